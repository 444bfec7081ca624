"""A box at a port that is asked: how it is opened, checked, set up, made safe and closed."""

from abc import abstractmethod
from typing import ClassVar

from drivers.links.identity import checked
from drivers.links.scpi import ScpiLink
from drivers.links.tsp import TspLink
from drivers.roles import Identity, Machine
from drivers.transports import Conversation, Port


class PortMachine(Machine):
    """A machine that tells its identity to `*IDN?`; a model says which it is, and how it is set up."""

    port: ClassVar[type] = Port
    queue: ClassVar[type[ScpiLink] | type[TspLink] | None] = ScpiLink
    """In whose words it is asked for its queue of errors; None for one that has none."""
    models: str
    """A pattern that the model of its identity must match: all of a class, or the one of a machine."""

    def __init__(self, name: str, port: Port, *, min_gap_s: float = 0.0) -> None:
        self.name = name
        self._port = port
        self._asking = ScpiLink(min_gap_s)
        self._min_gap_s = min_gap_s

    async def connect(self) -> None:
        await self._port.open()
        await self.identify()
        await self._port.run(self._setting_up())
        for channel in self.channels.values():
            await channel.make_safe()

    async def identify(self) -> Identity:
        found = await self._port.run(self._asking.identify())
        return checked(found, models=self.models, name=self.name, port=self._port.name)

    async def read_errors(self) -> None:
        if self.queue is not None:
            await self._port.run(self.queue(self._min_gap_s).exchange())

    async def aclose(self) -> None:
        await self._port.aclose()

    @abstractmethod
    def _setting_up(self) -> Conversation[None]:
        """Reset the machine and tell it what the options say."""
