"""A second sort that measures supply currents again only of dies that drew much at the first."""

from dataclasses import replace

from sequences.se1.electrical_sort import ELECTRICAL_SORT
from sequences.se1.final_test import CONTACT, SUPPLY, continuity, idd_idle
from sequences.se1.site import INPUTS, powered
from station.model import Limit
from station.rules import StopRules
from station.sequence import Earlier, Parametric, Retest, While
from station.units import mA

SPLIT = 5 * mA


def if_it_drew_much(earlier: Earlier) -> bool:
    """Whether the supply current was above the split at the first sort."""
    return (earlier["CP1/idd_idle"].value or 0.0) > SPLIT


SECOND_SORT = replace(
    ELECTRICAL_SORT,
    name="second-sort",
    rows=(
        Parametric(100, continuity, Limit(-0.9, -0.3, "V"), bin=CONTACT, pins=INPUTS),
        While(powered, (
            Parametric(
                310, idd_idle, Limit(2 * mA, 9 * mA, "A"), bin=SUPPLY, when=if_it_drew_much, skippable=True
            ),
        ), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT}), times=1),
    rules=StopRules(),
)  # fmt: skip
