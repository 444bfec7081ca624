"""A port that remembers when it must not be trusted any more."""

import asyncio
from collections.abc import Callable

from drivers.errors import EquipmentError
from drivers.roles.turn import waiting
from drivers.transports import Conversation, Port, T


class GuardedPort(Port):
    """Passes conversations on; the first fault of the machine behind it is told to `quarantine`.

    It never refuses by itself: in quarantine, switching off is still tried, and the resources' turns refuse
    everything else.
    """

    def __init__(self, port: Port) -> None:
        self.name = port.name
        self._port = port
        self.quarantine: Callable[[str], None] = lambda reason: None

    async def open(self) -> None:
        await self._port.open()

    async def run(self, conversation: Conversation[T]) -> T:
        try:
            return await self._port.run(conversation)
        except EquipmentError as error:
            self.quarantine(str(error))
            raise
        except asyncio.CancelledError:
            if (timer := waiting.get()) is not None and timer.expired():
                self.quarantine(f"{self.name}: a row ran past its time in the middle of a call")
            raise

    def __getattr__(self, name: str) -> object:
        """What only one kind of port has, such as the interrupt pipe of a USB device, is that port's own."""
        return getattr(self._port, name)

    async def service_request(self) -> int:
        return await self._port.service_request()

    async def aclose(self) -> None:
        await self._port.aclose()
