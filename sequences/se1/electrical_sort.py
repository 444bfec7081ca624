"""SE1 wafer sort without a vault: contact, leakage, supply. Nothing is written into the chip."""

from sequences.se1.final_test import (
    CONTACT,
    DEFAULT,
    ERROR,
    GOOD,
    LEAKAGE,
    SUPPLY,
    UNTESTED,
    continuity,
    idd_idle,
    leakage,
)
from sequences.se1.site import INPUTS, ProbedSite, powered
from station.model import Limit
from station.rules import StopRules
from station.sequence import Parametric, Retest, Sequence, StationBins, While
from station.units import mA, uA

ELECTRICAL_SORT = Sequence(
    name="se1-electrical-sort",
    version="1.0",
    product="se1",
    site=ProbedSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=DEFAULT, untested=UNTESTED),
    rows=(
        Parametric(100, continuity, Limit(-0.9, -0.3, "V"), bin=CONTACT, pins=INPUTS),
        Parametric(200, leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
        While(powered, (Parametric(300, idd_idle, Limit(2 * mA, 9 * mA, "A"), bin=SUPPLY),), bin=SUPPLY),
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
