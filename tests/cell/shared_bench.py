"""Sites that share the instruments of one bench, each with levels and a clock of its own."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from drivers.roles import Counter, Dmm, Generator, Relays, Scope, Supply, taking
from station.model import Bin, BinKind, Limit
from station.sequence import Parametric, Sequence, Site, StationBins, While
from station.units import V, mA


@dataclass(frozen=True)
class SharedSite(Site):
    """A supply of its own; all else is shared."""

    vdd: Supply
    matrix: Relays
    dmm: Dmm
    generator: Generator
    scope: Scope
    counter: Counter

    @property
    def level_v(self) -> float:
        """No two sites have the same supply."""
        return 2.0 + 0.2 * self.number

    @property
    def clock_hz(self) -> float:
        """Nor the same clock."""
        return 1e6 * self.number


@asynccontextmanager
async def powered(site: SharedSite) -> AsyncGenerator[None, None]:
    """VDD of this site."""
    async with site.vdd.powering(site.level_v, limit_a=80 * mA, ovp_v=3.8 * V):
        yield


@asynccontextmanager
async def clocked(site: SharedSite) -> AsyncGenerator[None, None]:
    """The clock of one site on the board, and everything that looks at it, for this site alone."""
    async with taking(site.scope, site.matrix, site.counter, site.generator):
        await site.generator.waveform("square", frequency_hz=site.clock_hz, amplitude_vpp=3.0, offset_v=1.5)
        async with site.matrix.closed({"1A01"}), site.generator.driving():
            yield


async def measured(site: SharedSite) -> float:
    """VDD by the multimeter, against what it must be."""
    await site.dmm.configure("dc_voltage", full_scale=10.0)
    return await site.dmm.measure() - site.level_v


async def by_meter(site: SharedSite) -> float:
    """Matrix and multimeter, taken together, named in another order than elsewhere."""
    async with taking(site.dmm, site.matrix), site.matrix.closed({f"1B{site.number:02d}"}):
        return await measured(site)


async def one_after_the_other(site: SharedSite) -> float:
    """The matrix is held while the multimeter is asked for."""
    async with site.matrix.closed({f"1B{site.number:02d}"}), taking(site.dmm):
        return await measured(site)


async def without_its_turn(site: SharedSite) -> float:
    """The multimeter is used by whoever comes."""
    async with site.matrix.closed({f"1B{site.number:02d}"}):
        return await measured(site)


async def rate(site: SharedSite) -> float:
    """The clock by the counter, against what it must be."""
    await site.counter.set_input(1, level_v=1.5)
    return (await site.counter.frequency(1))[0] / site.clock_hz


async def swing(site: SharedSite) -> float:
    """The clock by the scope."""
    await site.scope.set_channel(1, full_scale_v=8.0, offset_v=1.5)
    await site.scope.set_time(2 / site.clock_hz)
    await site.scope.set_trigger(1, level_v=1.5)
    await site.scope.arm_single()
    await site.scope.wait_trigger(timeout_s=1.0)
    volts = (await site.scope.waveform(1)).volts
    return max(volts) - min(volts)


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
SUPPLY = Bin(2, "supply", hard=2)
CLOCK = Bin(3, "clock", hard=2)
ERROR = Bin(20, "error", hard=5, kind=BinKind.OTHER)
OTHER = Bin(21, "other", hard=4)
UNTESTED = Bin(22, "untested", hard=5, kind=BinKind.OTHER)


def sequence(name: str, meter: Callable[[SharedSite], Awaitable[float]]) -> Sequence[SharedSite]:
    """Return a sequence that takes matrix and multimeter so."""
    return Sequence(
        name=name,
        version="1",
        site=SharedSite,
        bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
        rows=(
            While(powered, (Parametric(100, meter, Limit(-0.02, 0.02, "V"), bin=SUPPLY),), bin=SUPPLY),
            While(clocked, (
                Parametric(200, rate, Limit(0.999, 1.001, ""), bin=CLOCK),
                Parametric(210, swing, Limit(2.8, 3.2, "V"), bin=CLOCK),
            ), bin=CLOCK),
        ),
    )  # fmt: skip


TOGETHER = sequence("together", by_meter)
NESTED = sequence("nested", one_after_the_other)
CARELESS = sequence("careless", without_its_turn)
