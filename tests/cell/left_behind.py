"""Curves, for a cell with something in the socket of site 2 that nobody has seen."""

from dataclasses import replace

from sequences.example.curve import CURVE, CurveSite
from station.sequence import Functional


async def nothing_left(site: CurveSite) -> bool:
    """Nothing is, at the other sites."""
    return site.number != 2


LEFT_BEHIND = replace(CURVE, name="left-behind", empty=(Functional(10, nothing_left),))
