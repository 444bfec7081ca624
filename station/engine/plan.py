"""What a cell is made of, and what its lots go into."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol

from drivers.roles import Resource
from station import commands, events
from station.clock import Clock
from station.custody.balance import Binned
from station.engine.bound import Bound
from station.engine.bus import Bus
from station.engine.history import History
from station.engine.lot_journal import LotJournal
from station.engine.records import Records
from station.errors import ConfigError
from station.model import LotInfo
from station.sequence import S
from station.sequence import Sequence as TestSequence
from station.vault_answers import LotClosing, Quota, VaultGreeting


class VaultUnit(Protocol):
    """What the vault knows of one unit; an empty standing is one that it has never seen."""

    @property
    def standing(self) -> str:
        """How far it got."""

    @property
    def intent(self) -> str:
        """The step that was announced and is not known to be done; empty if there is none."""

    @property
    def account(self) -> str:
        """Where it is in the plant's balance."""

    @property
    def sealed(self) -> bool:
        """Whether it has its record."""

    @property
    def uid(self) -> bytes:
        """Of a sealed one."""

    @property
    def serial(self) -> str:
        """Of a sealed one."""


class LotVault(Protocol):
    """The vault as a lot sees it."""

    async def open_lot(self, lot: str, *, product: str, quantity: int, sorts: bool) -> Quota | None:
        """Tell the vault of the lot; what is left of its order, if it has one."""

    async def ask_unit(self, unit: str) -> VaultUnit:
        """Ask what it knows of a unit."""

    async def claim(self, lot: str, binned: Sequence[Binned]) -> None:
        """Tell where its devices went."""

    async def close_lot(self, lot: str) -> LotClosing:
        """Close it there, or learn why it stays open; CustodyError while a unit of it is in work."""


def in_time(now: float, landings: int) -> str:
    """Nothing is ever due."""
    del now, landings
    return ""


@dataclass(frozen=True)
class Folder:
    """What a lot's results go into, opened when the lot is loaded."""

    path: Path
    journal: LotJournal
    records: Records

    async def close(self) -> None:
        """Close all files."""
        try:
            await self.records.close()
        finally:
            self.journal.close()


@dataclass(frozen=True)
class Examined:
    """What is known of the machines before a lot begins."""

    wrong: tuple[str, ...] = ()
    """Why it must not."""
    near: tuple[str, ...] = ()
    """What will soon be so."""
    waivable: Mapping[str, str] = field(default_factory=dict)
    """By name of a check, why it must not unless somebody answers for it."""
    told: tuple[events.Any, ...] = ()
    """What the journal is told of it."""


def _as_is(at: float) -> Examined:
    del at
    return Examined()


def nothing_due(at: float, landings: int, waived: Collection[str]) -> str:
    """Nothing is ever due."""
    del at, landings, waived
    return ""


def _nothing_open() -> tuple[Folder, History]:
    raise ConfigError("no lot was left open")


@dataclass(frozen=True)
class Plan(Generic[S]):
    """What a cell is made of: everything is bound, nothing is open but the equipment."""

    bound: Bound[S]
    resources: Sequence[Resource]
    sequence: TestSequence[S]
    describe: Callable[[commands.Load], LotInfo]
    open_folder: Callable[[LotInfo], Folder]
    vault: LotVault | None
    clock: Clock
    bus: Bus
    overdue: Callable[[float, int, Collection[str]], str] = nothing_due
    """Asked between touchdowns, with time, landings so far, and the checks that somebody answers for: what is
    due before the lot goes on."""
    reopen_folder: Callable[[], tuple[Folder, History]] = _nothing_open
    """Open the folder of the lot that was left open, and read its journal; ConfigError, StorageError."""
    assets: Sequence[str] = ()
    """Names of card, contactors and boards, as the station file has them."""
    examine: Callable[[float], Examined] = _as_is
    """Compare the machines with what they should be, at a unix time."""
    greeting: VaultGreeting | None = None
    """What the vault said of itself, if the lot has one."""
