"""Whatever brings devices to the sites, one contact after the other, and is told their bins."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from drivers.errors import EquipmentError
from drivers.roles.happening import Happening, NeedlesCleaned, unheard
from drivers.roles.resource import Resource


@dataclass(frozen=True)
class Touchdown:
    """One contact as the machine announces it: which sites hold a device, and what is known of each."""

    sites: frozenset[int]
    ids: Mapping[int, str] = field(default_factory=dict)
    """Device id by site, where the machine reads one."""
    positions: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Die x, y by site; empty for a handler."""
    wafer: str = ""
    """Id of the wafer; empty for a handler."""


class Due(Protocol):
    """Whoever knows which dies are to be landed again."""

    def __call__(self, wafer: str, *, used_up: bool) -> Mapping[tuple[int, int], frozenset[int]]:
        """Return those that are due now, and by which sites not; `used_up`: all others have their bins."""


def nothing_due(wafer: str, *, used_up: bool) -> Mapping[tuple[int, int], frozenset[int]]:
    """No die is to be landed again."""
    del wafer, used_up
    return {}


class Feeder(Resource):
    """A handler or a prober, as a lot sees it."""

    can_replunge: bool = False
    """Whether the machine can lift and land the same devices again on command."""
    hard_bins: frozenset[int]
    """The hard bins that the machine can sort to, or mark."""

    brings_again: frozenset[int] = frozenset()
    """The hard bins whose devices the machine can bring again, and name, after it has sorted them."""
    picks_site: bool = False
    """Whether the station picks device and site, so that any device can come again to any site: a die."""
    due: Due = staticmethod(nothing_due)
    """Set by the lot before it starts; asked before each contact by a machine that picks its devices."""
    can_clean: bool = False
    """Whether `clean_needles` does something."""
    landed_before: int = 0
    """How often it has landed before it was opened, over lots and restarts: cleaning goes by it."""

    cleanings: int = 0
    """How often it was cleaned since it was opened: what it is cleaned on wears out by them."""

    heard: Callable[[Happening], None] = staticmethod(unheard)
    """Set by whoever wants to know what happens at the machine."""
    rests: bool = False
    """Whether a pause must bring it to rest: what it has landed is lifted, and landed again after it."""

    @abstractmethod
    async def start_lot(self, lot: str) -> None:
        """Tell the machine that a lot begins, in as far as it can be told; the listener is armed first."""

    def settled(self, dies: Mapping[str, frozenset[tuple[int, int]]]) -> None:
        """Be told before `start_lot` which dies, by wafer, have their bins: none is landed on again."""
        del dies

    @abstractmethod
    def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        """Yield each contact once its devices are ready to test, until the machine says that the lot is over.

        The next is awaited only after the last was sorted or replunged. An alarm of the machine raises
        EquipmentError with its code and text; waiting for input is no error, however long.
        """

    @abstractmethod
    async def sort(self, bins: Mapping[int, int]) -> None:
        """Order the hard bin of every device in contact, {site: hard bin}; return when the machine took it.

        Sent at most once per contact: when it is unknown what the machine took, raises EquipmentError.
        """

    async def clean(self) -> None:
        """Clean what touches the devices, and count it; nothing may be in contact."""
        await self.clean_needles()
        self.cleanings += 1
        self.heard(NeedlesCleaned())

    async def clean_needles(self) -> None:
        """Have the machine do it; called by `clean`."""
        raise EquipmentError(f"{self.name}: nothing is known that cleans it")

    async def pause(self) -> None:
        """Come to rest, with nothing in contact; only of a machine that `rests`."""
        return

    async def resume(self) -> None:
        """Go on after a pause."""
        return

    async def end_lot(self) -> None:
        """Bring away what the machine still holds of a lot that is over; nothing, unless it can."""
        return

    @abstractmethod
    async def replunge(self) -> None:
        """Lift and land the devices in contact again; the next touchdown is the same devices."""
