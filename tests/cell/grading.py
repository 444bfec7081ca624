"""A sequence that sorts good devices by their supply current, asks a chip again, and leaves a row out."""

from drivers.protocols import se1
from sequences.example.first import (
    CONTACT,
    ERROR,
    GOOD,
    INPUTS,
    MUTE,
    OTHER,
    SUPPLY,
    UNTESTED,
    FirstSite,
    continuity,
    idd_idle,
    powered,
)
from station.model import Bin, BinKind, Limit
from station.sequence import Earlier, Functional, Parametric, Retest, Retry, Sequence, StationBins, While
from station.units import V, mA

FRUGAL = Bin(11, "frugal", hard=11, kind=BinKind.PASS)
SPLIT = 5 * mA


async def tells_its_status(site: FirstSite) -> bool:
    """The chip answers a command."""
    await site.chip.power_on()
    try:
        return (await site.chip.transmit(se1.command("DIE STATUS"))).status == 0x9000
    finally:
        await site.chip.power_off()


async def idd_again(site: FirstSite) -> float:
    """Supply current once more, of the devices that are not frugal."""
    return await site.vdd.measure_current()


def if_not_frugal(earlier: Earlier) -> bool:
    """Whether the current is above the split."""
    return (earlier["idd_idle"].value or 0.0) > SPLIT


GRADING = Sequence(
    name="grading",
    version="1",
    site=FirstSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
    rows=(
        Parametric(100, continuity, Limit(-0.9 * V, -0.3 * V, "V"), bin=CONTACT, pins=INPUTS),
        While(powered, (
            Parametric(
                300, idd_idle, Limit(2 * mA, 9 * mA, "A"), bin=SUPPLY,
                grades=((Limit(None, SPLIT, "A"), FRUGAL), (Limit(None, 9 * mA, "A"), GOOD)),
            ),
            Parametric(
                310, idd_again, Limit(2 * mA, 9 * mA, "A"), bin=SUPPLY, when=if_not_frugal, skippable=True
            ),
            Functional(400, tells_its_status, bin=MUTE, retry=Retry(times=2, settle_s=0.05)),
        ), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT})),
)  # fmt: skip
