"""A device on the SPI lines of an MPSSE engine: D0 is the clock, D1 leads to it, D2 from it.

No maker's text was at hand; see `drivers.protocols.mpsse`. In modes 0 and 1 the clock rests low, in 2 and 3
high; in 0 and 2 bits are taken at the clock's first edge. Taking them at its second one is none of the
engine's own modes: three phases hold the data over both edges, as in public code for these bridges (pyftdi).
"""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from drivers.errors import EquipmentError
from drivers.protocols.mpsse import Code, clock, counted, levels
from drivers.roles.spi import Spi
from drivers.transports import Conversation, Port

Mode: TypeAlias = Literal[0, 1, 2, 3]
MOST_BYTES = 4096
CODES: Mapping[int, Code] = {0: Code.SHIFT, 1: Code.SHIFT_BACK, 2: Code.SHIFT_BACK, 3: Code.SHIFT}
"""Which edge the engine puts out data at, and which it takes them at."""


class Engine(Protocol):
    """The engine that the lines belong to."""

    def pins(self) -> tuple[int, int]:
        """Levels of the outputs, and which lines are outputs, as numbers of 16 bits."""

    def done(self, commands: bytes, size: int) -> Conversation[bytes]:
        """Say commands; return the `size` bytes that they bring. ProtocolError if it is another number."""


def rests_high(mode: int) -> bool:
    """Whether the clock rests high."""
    return mode in (2, 3)


def clocked(mode: int, hz: float) -> bytes:
    """The commands that set the clock for a mode."""
    return clock(hz, three_phases=mode in (1, 3))


class SpiChannel(Spi):
    """The device at one select line."""

    def __init__(self, name: str, port: Port, engine: Engine, select: int, mode: int) -> None:
        """`select` is the bit of its select line."""
        super().__init__(name)
        self._port = port
        self._engine = engine
        self._select = select
        self._code = CODES[mode]

    async def exchange(self, data: bytes) -> bytes:
        if not 1 <= len(data) <= MOST_BYTES:
            raise EquipmentError(f"{self.name}: {len(data)} bytes; 1 to {MOST_BYTES} at a time are possible")
        return await self._port.run(self._shifted(data))

    async def make_safe(self) -> None:
        """Say nothing: it is selected only while it shifts, and the lines rest with their chip."""

    def _shifted(self, data: bytes) -> Conversation[bytes]:
        """Shift with the device selected, in one transfer; never said again, since it may have effects."""
        value, direction = self._engine.pins()
        selected = levels(value & ~self._select, direction)
        rests = levels(value | self._select, direction)
        return (yield from self._engine.done(selected + counted(self._code, data) + rests, len(data)))
