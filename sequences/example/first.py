"""Your first sequence: contact, leakage, supply current, and a sign of life."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from drivers.roles import Card, Smu, Supply
from station.model import Bin, BinKind, Limit
from station.sequence import Functional, Parametric, Retest, Sequence, Site, StationBins, While
from station.units import V, mA, uA

INPUTS = ("IO", "CLK", "RST")


@dataclass(frozen=True)
class FirstSite(Site):
    """A source-measure channel at each input, a supply, and the card interface."""

    io: Mapping[str, Smu]
    vdd: Supply
    chip: Card


@asynccontextmanager
async def powered(site: FirstSite) -> AsyncGenerator[None, None]:
    """VDD at 3.3 V."""
    async with site.vdd.powering(3.3 * V, limit_a=80 * mA, ovp_v=3.8 * V):
        yield


async def continuity(site: FirstSite) -> dict[str, float]:
    """Pull 100 uA out of each input; its diode to ground shows about -0.6 V."""
    drops: dict[str, float] = {}
    for pin in INPUTS:
        async with site.io[pin].forcing_current(-100 * uA, limit_v=2.0 * V):
            drops[pin] = await site.io[pin].measure()
    return drops


async def leakage(site: FirstSite) -> dict[str, float]:
    """Each input at 3.6 V in turn, everything else off."""
    currents: dict[str, float] = {}
    for pin in INPUTS:
        async with site.io[pin].forcing_voltage(3.6 * V, limit_a=10 * uA):
            currents[pin] = await site.io[pin].measure()
    return currents


async def idd_idle(site: FirstSite) -> float:
    """Supply current with the chip in reset."""
    return await site.vdd.measure_current()


async def answers_to_reset(site: FirstSite) -> bool:
    """The chip comes out of reset and says who it is, in the direct convention (3B)."""
    answer = await site.chip.power_on()
    await site.chip.power_off()
    return answer.startswith(b"\x3b")


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
CONTACT = Bin(2, "contact", hard=2)
LEAKAGE = Bin(3, "leakage", hard=3)
SUPPLY = Bin(4, "supply", hard=3)
MUTE = Bin(5, "mute", hard=4)
OTHER = Bin(6, "other", hard=4)
ERROR = Bin(20, "error", hard=5, kind=BinKind.OTHER)
UNTESTED = Bin(21, "untested", hard=5, kind=BinKind.OTHER)

FIRST = Sequence(
    name="first",
    version="1",
    site=FirstSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
    rows=(
        Parametric(100, continuity, Limit(-0.9, -0.3, "V"), bin=CONTACT, pins=INPUTS),
        Parametric(200, leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
        While(powered, (
            Parametric(300, idd_idle, Limit(2 * mA, 9 * mA, "A"), bin=SUPPLY),
            Functional(400, answers_to_reset, bin=MUTE),
        ), bin=SUPPLY),
    ),
    retest=Retest(frozenset({CONTACT, SUPPLY}), times=1),
)  # fmt: skip
