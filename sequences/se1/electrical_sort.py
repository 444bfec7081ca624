"""SE1 wafer sort without a vault: contact, leakage, supply. Nothing is written into the chip."""

from dataclasses import replace

from sequences.se1.final_test import (
    CONTACT,
    CONTINUITY,
    DEFAULT,
    ERROR,
    GOOD,
    IDD_IDLE,
    LEAKAGE,
    SUPPLY,
    UNTESTED,
    leakage,
)
from sequences.se1.site import INPUTS, ProbedSite, powered
from station.model import Limit
from station.rules import StopRules
from station.sequence import STOP, Parametric, Retest, Sequence, StationBins, While
from station.units import uA

ELECTRICAL_SORT = Sequence(
    name="se1-electrical-sort",
    version="1.0",
    product="se1",
    site=ProbedSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED),
    rows=(
        CONTINUITY,
        Parametric(200, leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
        While(powered, (replace(IDD_IDLE, on_fail=STOP),), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT, SUPPLY}), times=1),
    rules=StopRules(
        baseline_yield=0.9,
        all_sites=3,
        yield_floor=0.8,
        compare_sites=True,
        contact_bins=(CONTACT,),
        no_touch=2,
    ),
)
