"""A bench of one site, with each instrument in a row of its own: nothing is said about the chip alone.

A hot test that looks at its own bench first: is the supply what the socket gets, is the clock what the board
gets, and are the devices as warm as they should be.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from drivers.roles import Counter, Dmm, Generator, IdReader, Relays, Scanner, Scope, Supply, Thermal, taking
from station.model import Bin, BinKind, Limit
from station.sequence import Functional, Parametric, Sequence, Site, StationBins, While
from station.units import V, mA

CLOCK_HZ = 4e6
CLOCK_VPP = 3.3 * V
HOT_C = 85.0
SOAK_S = 10.0
REACH_S = 1800.0


@dataclass(frozen=True)
class BenchSite(Site):
    """One of each; what several sites share they take in turns, what is needed together at once."""

    vdd: Supply
    matrix: Relays
    dmm: Dmm
    scanner: Scanner
    generator: Generator
    scope: Scope
    counter: Counter
    thermal: Thermal
    code: IdReader


@asynccontextmanager
async def powered(site: BenchSite) -> AsyncGenerator[None, None]:
    """VDD at 3.3 V."""
    async with site.vdd.powering(3.3 * V, limit_a=80 * mA, ovp_v=3.8 * V):
        yield


@asynccontextmanager
async def clocked(site: BenchSite) -> AsyncGenerator[None, None]:
    """The clock of the load board runs, the matrix leads it there, and nobody else looks at it."""
    async with taking(site.matrix, site.generator, site.counter, site.scope):
        await site.generator.waveform(
            "square", frequency_hz=CLOCK_HZ, amplitude_vpp=CLOCK_VPP, offset_v=CLOCK_VPP / 2
        )
        async with site.matrix.closed({"1A01"}), site.generator.driving():
            yield


async def marked(site: BenchSite) -> bool:
    """The code on the device can be read, once for this contact."""
    return bool(await site.code.read())


async def vdd_by_meter(site: BenchSite) -> float:
    """VDD at the socket, by the multimeter behind the matrix."""
    async with taking(site.matrix, site.dmm), site.matrix.closed({f"1B{site.number:02d}"}):
        await site.dmm.configure("dc_voltage", full_scale=10.0)
        return await site.dmm.measure()


async def vdd_by_scanner(site: BenchSite) -> float:
    """The same, by the scanner's channel of this site."""
    channel = str(100 + site.number)
    async with taking(site.scanner):
        return (await site.scanner.scan("dc_voltage", {channel}))[channel]


async def clock_rate(site: BenchSite) -> float:
    """What the board's clock is, by the counter."""
    await site.counter.set_input(1, level_v=CLOCK_VPP / 2)
    return (await site.counter.frequency(1))[0]


async def clock_swing(site: BenchSite) -> float:
    """From the lowest to the highest level of two periods, by the scope."""
    await site.scope.set_channel(1, full_scale_v=8.0, offset_v=CLOCK_VPP / 2)
    await site.scope.set_time(2 / CLOCK_HZ)
    await site.scope.set_trigger(1, level_v=CLOCK_VPP / 2)
    await site.scope.arm_single()
    await site.scope.wait_trigger(timeout_s=1.0)
    volts = (await site.scope.waveform(1)).volts
    return max(volts) - min(volts)


async def temperature(site: BenchSite) -> float:
    """How warm the air is that flows over the device, when it has come to its temperature and soaked."""
    await site.thermal.set(HOT_C, window_k=1.0, soak_s=SOAK_S)
    async with site.thermal.flowing():
        return await site.thermal.reach(timeout_s=REACH_S)


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
SUPPLY = Bin(2, "supply", hard=2)
CLOCK = Bin(3, "clock", hard=2)
HEAT = Bin(4, "heat", hard=2)
MARK = Bin(5, "mark", hard=3)
ERROR = Bin(20, "error", hard=5, kind=BinKind.OTHER)
OTHER = Bin(21, "other", hard=4)
UNTESTED = Bin(22, "untested", hard=5, kind=BinKind.OTHER)

BENCH = Sequence(
    name="bench",
    version="1",
    site=BenchSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
    rows=(
        Functional(50, marked, bin=MARK),
        While(powered, (
            Parametric(100, vdd_by_meter, Limit(3.28, 3.32, "V"), bin=SUPPLY),
            Parametric(110, vdd_by_scanner, Limit(3.28, 3.32, "V"), bin=SUPPLY),
        ), bin=SUPPLY),
        While(clocked, (
            Parametric(200, clock_rate, Limit(3.999e6, 4.001e6, "Hz"), bin=CLOCK),
            Parametric(210, clock_swing, Limit(3.1, 3.5, "V"), bin=CLOCK),
        ), bin=CLOCK),
        Parametric(300, temperature, Limit(84.0, 86.0, "degC"), bin=HEAT, timeout_s=REACH_S + 5.0),
    ),
)  # fmt: skip
