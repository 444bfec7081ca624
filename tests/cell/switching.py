"""A sequence that uses what stands beside the instruments: lines, relays, code readers, the tower."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from drivers.roles import Dio, IdReader, Supply, Tower
from station.model import Bin, BinKind
from station.sequence import Functional, Sequence, Site, StationBins, While
from station.units import V, mA


@dataclass(frozen=True)
class SwitchingSite(Site):
    """One of each."""

    vdd: Supply
    lines: Dio
    relays: Dio
    label: IdReader
    code: IdReader
    tower: Tower


@asynccontextmanager
async def led_in(site: SwitchingSite) -> AsyncGenerator[None, None]:
    """Relay 2 leads the supply to the socket."""
    await site.relays.write({"2": True})
    try:
        async with site.vdd.powering(3.3 * V, limit_a=80 * mA, ovp_v=3.8 * V):
            yield
    finally:
        await site.relays.write({"2": False})


async def labelled(site: SwitchingSite) -> bool:
    """The carrier's label can be read, by the reader that is triggered."""
    return await site.label.read() is not None


async def marked(site: SwitchingSite) -> bool:
    """The device's code is one of this lot's, by the reader that types what is held in front of it."""
    code = await site.code.read()
    return code is not None and code.startswith("T1-")


async def led(site: SwitchingSite) -> bool:
    """Relay 2 is on, and no other."""
    return [name for name, on in (await site.relays.read()).items() if on] == ["2"]


async def selected(site: SwitchingSite) -> bool:
    """The device is selected by D0 for a pulse, and D1 stays as it rests."""
    await site.lines.write({"D0": False})
    during = await site.lines.read()
    await site.lines.write({"D0": True})
    after = await site.lines.read()
    return (during["D0"], during["D1"], after["D0"]) == (False, True, True)


async def green(site: SwitchingSite) -> bool:
    """While devices are tested, people see green and nothing else."""
    return {colour for colour, lamp in (await site.tower.shown()).items() if lamp != "off"} == {"green"}


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
MARK = Bin(2, "mark", hard=3)
PATH = Bin(3, "path", hard=2)
SELECT = Bin(4, "select", hard=2)
TOWER = Bin(5, "tower", hard=2)
ERROR = Bin(20, "error", hard=5, kind=BinKind.OTHER)
OTHER = Bin(21, "other", hard=4)
UNTESTED = Bin(22, "untested", hard=5, kind=BinKind.OTHER)

SWITCHING = Sequence(
    name="switching",
    version="1",
    site=SwitchingSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
    rows=(
        Functional(100, labelled, bin=MARK),
        Functional(110, marked, bin=MARK, timeout_s=20.0),
        While(led_in, (
            Functional(200, led, bin=PATH),
            Functional(210, selected, bin=SELECT),
        ), bin=PATH),
        Functional(300, green, bin=TOWER),
    ),
)  # fmt: skip
