"""Curves in a lot that begins only when its sockets are empty: each input is looked at before it.

A device that was left in a socket conducts by its protection diodes, a short does so anyway.
"""

from dataclasses import replace

from sequences.example.curve import CURVE, INPUTS, CurveSite
from station.model import Limit
from station.sequence import Parametric
from station.units import V, uA


async def stray_current(site: CurveSite) -> float:
    """The largest current of an input below ground: a diode would draw all that the limit allows."""
    found = list[float]()
    for pin in INPUTS:
        async with site.io[pin].forcing_voltage(-0.9 * V, limit_a=100 * uA):
            found.append(await site.io[pin].measure())
    return max(found, key=abs)


SOCKETS = replace(
    CURVE, name="sockets", empty=(Parametric(10, stray_current, Limit(-1 * uA, 1 * uA, "A"), timeout_s=10.0),)
)
