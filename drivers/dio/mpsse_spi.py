"""A device on the SPI lines of an MPSSE engine: D0 is the clock, D1 leads to it, D2 from it.

No maker's text was at hand; see `drivers.protocols.mpsse`. Mode 0: the clock rests low, data change while it
falls and are taken while it rises.
"""

from collections.abc import Callable

from drivers.errors import EquipmentError
from drivers.roles.spi import Spi
from drivers.transports import Conversation, Port

MOST_BYTES = 4096


class SpiChannel(Spi):
    """The device at one select line."""

    def __init__(self, name: str, port: Port, talk: Callable[[bytes], Conversation[bytes]]) -> None:
        """`talk` holds the select line low while it shifts."""
        super().__init__(name)
        self._port = port
        self._talk = talk

    async def exchange(self, data: bytes) -> bytes:
        if not 1 <= len(data) <= MOST_BYTES:
            raise EquipmentError(f"{self.name}: {len(data)} bytes; 1 to {MOST_BYTES} at a time are possible")
        return await self._port.run(self._talk(data))

    async def make_safe(self) -> None:
        """Say nothing: it is selected only while it shifts, and the lines rest with their chip."""
