"""A sequence that talks to what is on the load board: a register on SPI, a memory on I2C."""

from dataclasses import dataclass

from drivers.roles import I2c, Spi
from station.model import Bin, BinKind, Limit
from station.sequence import Functional, Parametric, Sequence, Site, StationBins

COUNT_AT = b"\x10"
PATTERN = b"\xa5\x3c"


@dataclass(frozen=True)
class BoardSite(Site):
    """One of each."""

    register: Spi
    memory: I2c


async def shifted(site: BoardSite) -> bool:
    """What is shifted into the register comes out of it."""
    heard = await site.register.exchange(PATTERN + bytes(len(PATTERN)))
    return heard[len(PATTERN) :] == PATTERN


async def touchdowns(site: BoardSite) -> float:
    """The board counts its touchdowns in its memory; a new one holds ones."""
    before = int.from_bytes(await site.memory.exchange(COUNT_AT, 2), "big")
    now = 1 if before == 0xFFFF else before + 1
    await site.memory.exchange(COUNT_AT + now.to_bytes(2, "big"))
    assert await site.memory.answers()
    return float(int.from_bytes(await site.memory.exchange(COUNT_AT, 2), "big"))


GOOD = Bin(1, "good", hard=1, kind=BinKind.PASS)
REGISTER = Bin(2, "register", hard=2)
WORN = Bin(3, "worn", hard=3)
ERROR = Bin(20, "error", hard=5, kind=BinKind.OTHER)
OTHER = Bin(21, "other", hard=4)
UNTESTED = Bin(22, "untested", hard=5, kind=BinKind.OTHER)

LOAD_BOARD = Sequence(
    name="load-board",
    version="1",
    site=BoardSite,
    bins=StationBins(passing=GOOD, error=ERROR, default=OTHER, untested=UNTESTED),
    rows=(
        Functional(100, shifted, bin=REGISTER),
        Parametric(110, touchdowns, Limit(1, 3, ""), bin=WORN),
    ),
)
