"""Probers that answer each line with one line: the connection, and heights by which contact is known."""

from abc import abstractmethod

from drivers.errors import EquipmentError, TransportError
from drivers.links.prober_options import ProberOptions
from drivers.links.probing import ProbingMachine
from drivers.links.wire import Wire

TOLERANCE_UM = 1.0


class WiredProber(ProbingMachine):
    """A prober at one wire. What an answer says of the height decides whether it is in contact."""

    def __init__(self, name: str, wire: Wire, options: ProberOptions) -> None:
        super().__init__(name, options)
        self._wire = wire
        self._contact_um: float | None = None
        self._separated = False
        self.hard_bins = frozenset()

    # -- what a model brings
    @abstractmethod
    async def greet(self) -> None:
        """Say what must be said after opening, and nothing that moves."""

    @abstractmethod
    async def ask_contact_height(self) -> float:
        """Return the height of contact, in um; EquipmentError if none is set."""

    @abstractmethod
    async def drive(self, *, up: bool) -> float:
        """Move the chuck to contact or to separation and return the height that is read back, in um."""

    # -- the connection
    async def begin(self) -> None:
        """Open the wire, anew if it was open."""
        self._contact_um = None
        self._separated = False
        await self._wire.open()
        await self.greet()

    async def make_safe(self) -> None:
        """Separate, over a new connection if answers are missing on the old one."""
        if self._wire.broken:
            await self.begin()
        try:
            await self.separate()
        except TransportError:
            await self.begin()
            await self.separate()

    async def aclose(self) -> None:
        await self._wire.aclose()

    # -- height
    async def contact(self) -> bool:
        self._separated = False
        return not await self._below_contact(await self.drive(up=True))

    async def separate(self) -> None:
        height_um = await self.drive(up=False)
        if not await self._below_contact(height_um):
            raise EquipmentError(f"{self.name}: told to separate, and still at {height_um:g} um")
        self._separated = True

    async def apart(self) -> None:
        """Separate, unless that was the last thing done."""
        if not self._separated:
            await self.separate()

    async def _below_contact(self, height_um: float) -> bool:
        if self._contact_um is None:
            self._contact_um = await self.ask_contact_height()
        return height_um < self._contact_um - TOLERANCE_UM

    def wafer_changed(self) -> None:
        """The height of contact may be another one from here on."""
        self._contact_um = None
