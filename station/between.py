"""What is said while no cell takes it: why nothing runs, that an alarm was seen, what the vault tells.

It goes into a journal of the station's own, and each command has its effect once, also after a restart.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from station import commands, events
from station.alarms import Alarms
from station.authority import Action, denied
from station.custody.journal import Journal, read
from station.engine import receipts
from station.errors import ConfigError, SequenceError, UntrustedError
from station.recipe.content import Recipe
from station.recipe.shelf import NotFoundError, Shelf
from station.writer import Writer

T = TypeVar("T")
NAME = "between"
"""The journal, in the station's folder."""
Heard: TypeAlias = Callable[[int, events.Any], None]
"""Told of each entry and its line; called on the loop of `Between`."""
WORKS = commands.Apply | commands.Test | commands.ReleaseKeys
"""What is done by whoever makes the cells, while there is none."""
SAYINGS = commands.Reason | commands.Acknowledge | commands.Shelve | commands.Stage | commands.Unload | WORKS
"""What can be said to a station without a cell; a recipe is staged by it whether there is one or not."""
OF_VAULT = events.VaultTold | events.QuotaLow | events.LedgerHead
"""What the vault tells by itself, whether there is a cell or not."""
Work: TypeAlias = Callable[[WORKS], Awaitable[tuple[commands.Receipt, events.Any | None]]]
REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (NotFoundError, "not_found"),
    (UntrustedError, "invalid_recipe"),
    (SequenceError, "invalid_recipe"),
    (ConfigError, "invalid_recipe"),
    (OSError, "integrity"),
)


class Between:
    """Made and run on a real-time loop beside the station's; `request` is for any loop."""

    def __init__(self, path: Path, now: Callable[[], float], shelf: Shelf | None = None) -> None:
        self._shelf, self._reading = shelf, Writer("recipes")
        self._turn = asyncio.Lock()
        self._journal = Journal(path, reserve_bytes=0)
        self._now = now
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._receipts: dict[str, commands.Receipt] = {}
        self._lines = 0
        self.alarms = Alarms()
        """Those that are no lot's: what the vault told."""
        self.told_of = "", -1
        """The vault's ledger, and its last entry that was told of."""
        self.ended: set[str] = set()
        """The logs that the ledger was before."""
        self.heard: list[Heard] = []
        self.work: Work = _nobody
        """Does what nobody here can."""

    @property
    def path(self) -> Path:
        """The journal."""
        return self._path.absolute()

    def open(self) -> None:
        """Open the journal, and know again what was said; StorageError."""
        self._journal.open()
        for event in read(self._path):
            self._lines += 1
            self._remember(event)

    def close(self) -> None:
        """Close it."""
        self._reading.close()
        self._journal.close()

    async def request(self, command: SAYINGS, unknown: str = "", after: float = 0.0) -> commands.Receipt:
        """Take it from whichever loop; `unknown` says what it names and nobody knows.

        It is not said before `after`, the end of the last lot: a simulated one has a time of its own.
        """
        return await self._whole(self._taken(command, unknown, after))

    async def tell(self, told: OF_VAULT) -> None:
        """Keep a word of the vault, from whichever loop; StorageError."""
        await self._whole(self._kept(told))

    async def _whole(self, saying: Coroutine[Any, Any, T]) -> T:
        """Have it done on the loop of this: to its end, though whoever asked waits no more."""
        return await asyncio.shield(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(saying, self._loop)))

    async def _kept(self, told: OF_VAULT) -> None:
        async with self._turn:
            await self._tell(told)

    async def _taken(self, command: SAYINGS, unknown: str, after: float) -> commands.Receipt:
        async with self._turn:
            if command.id not in self._receipts:
                await self._tell(*await self._effect(command, unknown, max(self._now(), after)))
            return self._receipts[command.id]

    async def _effect(self, command: SAYINGS, unknown: str, at: float) -> tuple[events.Any, ...]:
        """Return what is to be journalled of a command; a recipe is staged by then."""
        if (objection := _objection(command, unknown)) is not None:
            return (receipts.refused(command, at, *objection),)
        if isinstance(command, WORKS):
            return await self._worked(command, at)
        if not isinstance(command, commands.Stage):
            said = receipts.said(command, at)
            return (receipts.accepted(command, at), *(() if said is None else (said,)))
        try:
            recipe = await self._staged(command)
        except tuple(kind for kind, _ in REFUSALS) as error:
            code = next(code for kind, code in REFUSALS if isinstance(error, kind))
            return (receipts.refused(command, at, code, str(error)),)
        told = events.Staged(at=at, recipe=command.recipe, title=recipe.title, actor=command.actor)
        return receipts.accepted(command, at), told

    async def _worked(self, command: WORKS, at: float) -> tuple[events.Any, ...]:
        receipt, told = await self.work(command)
        after = () if told is None else (told,)
        if receipt.ok:
            return (receipts.accepted(command, at), *after)
        return (receipts.refused(command, at, receipt.code, receipt.reason), *after)

    async def _staged(self, command: commands.Stage) -> Recipe:
        if self._shelf is None:
            raise NotFoundError("no recipes lie with this station")
        return await self._reading.run(self._shelf.stage, command.recipe, command.reason)

    async def _tell(self, *told: events.Any) -> None:
        await self._journal.commit(*told)
        for event in told:
            self._remember(event)
            self._lines += 1
            for heard in self.heard:
                heard(self._lines, event)

    def _remember(self, event: events.Any) -> None:
        match event:
            case events.CommandAccepted():
                self._receipts[event.id] = commands.Receipt(ok=True, code="ok")
            case events.CommandRefused():
                self._receipts[event.id] = commands.Receipt(False, event.code, event.reason)
            case events.VaultTold() | events.QuotaLow():
                self._heard_of(event.origin, event.leaf)
                self.alarms.take(0, event)
            case events.LedgerHead():
                self._heard_of(event.origin, event.size - 1)
            case events.Acknowledged() | events.Shelved():
                self.alarms.take(0, event)
            case _:
                pass

    def _heard_of(self, origin: str, leaf: int) -> None:
        before, _ = self.told_of
        if before not in ("", origin):
            self.ended.add(before)
        self.told_of = origin, leaf


async def _nobody(command: WORKS) -> tuple[commands.Receipt, events.Any | None]:
    return commands.Receipt(False, "wrong_state", f"{receipts.name_of(command)}: this run has one lot"), None


def _objection(command: SAYINGS, unknown: str) -> tuple[str, str] | None:
    name = receipts.name_of(command)
    if reason := denied(Action(name), command.roles):
        return "denied", reason
    if objection := receipts.unreasoned(command):
        return objection
    return ("not_found", f"{name}: {unknown}") if unknown else None


@asynccontextmanager
async def between(
    folder: Path, now: Callable[[], float], shelf: Shelf | None = None
) -> AsyncGenerator[Between, None]:
    """Have it while the block lasts; StorageError if its journal cannot be read or written."""
    made = Between(folder / NAME, now, shelf)
    made.open()
    try:
        yield made
    finally:
        made.close()
