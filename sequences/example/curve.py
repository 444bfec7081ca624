"""Curves of the inputs: what a source-measure unit climbs by itself, with one reading at each level.

A list of currents shows the protection diode, a line of voltages the leakage, and a sweep whose steps wait
for the load board's clock shows the leakage in step with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.roles import Reading, Smu
from station.model import Bin, BinKind, Limit
from station.sequence import Parametric, Sequence, Site, StationBins
from station.units import V, mA, uA

INPUTS = ("IO", "RST", "CLK")
CURRENTS = (-10 * uA, -100 * uA, -1 * mA)
"""A decade from one to the next."""
FULL_V = 3.6 * V
POINTS = 37
STEPS_V = (0.9 * V, 1.8 * V, 2.7 * V, 3.6 * V)


@dataclass(frozen=True)
class CurveSite(Site):
    """A source-measure channel at each input."""

    io: Mapping[str, Smu]


async def clamp_drop(site: CurveSite) -> dict[str, float]:
    """The voltage of each protection diode at 100 uA, the middle one of three."""
    return {pin: curve[1].value for pin, curve in (await _clamps(site)).items()}


async def clamp_decade(site: CurveSite) -> dict[str, float]:
    """How far the voltage goes from 10 uA to 1 mA: two decades of a junction, and what is in series to it."""
    return {pin: curve[0].value - curve[2].value for pin, curve in (await _clamps(site)).items()}


async def _clamps(site: CurveSite) -> dict[str, tuple[Reading, ...]]:
    curves = dict[str, tuple[Reading, ...]]()
    for pin in INPUTS:
        async with site.io[pin].forcing_current(0.0, limit_v=2.0 * V):
            curves[pin] = await site.io[pin].sweep(CURRENTS)
    return curves


async def leakage_curve(site: CurveSite) -> dict[str, float]:
    """The worst current of each input on the way to 3.6 V; at the limit it is the limit, which fails."""
    worst = dict[str, float]()
    for pin in INPUTS:
        async with site.io[pin].forcing_voltage(0.0, limit_a=10 * uA):
            worst[pin] = _worst(await site.io[pin].sweep_linear(0.0, FULL_V, POINTS))
    return worst


async def clocked_leakage(site: CurveSite) -> dict[str, float]:
    """The same, of a few voltages, each forced at an edge of the load board's clock."""
    worst = dict[str, float]()
    for pin in INPUTS:
        async with site.io[pin].forcing_voltage(0.0, limit_a=10 * uA):
            worst[pin] = _worst(await site.io[pin].sweep(STEPS_V, triggered=True))
    return worst


def _worst(curve: tuple[Reading, ...]) -> float:
    return max((reading.value for reading in curve), key=abs)


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
CLAMP = Bin(2, "clamp", hard=2)
LEAKAGE = Bin(3, "leakage", hard=2)
ERROR = Bin(20, "error", hard=5, kind=BinKind.OTHER)
OTHER = Bin(21, "other", hard=4)
UNTESTED = Bin(22, "untested", hard=5, kind=BinKind.OTHER)

CURVE = Sequence(
    name="curve",
    version="1",
    site=CurveSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
    rows=(
        Parametric(100, clamp_drop, Limit(-0.9, -0.3, "V"), bin=CLAMP, pins=INPUTS),
        Parametric(110, clamp_decade, Limit(0.1, 0.3, "V"), bin=CLAMP, pins=INPUTS),
        Parametric(200, leakage_curve, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS, timeout_s=10.0),
        Parametric(210, clocked_leakage, Limit(-1 * uA, 1 * uA, "A"), bin=LEAKAGE, pins=INPUTS),
    ),
)
