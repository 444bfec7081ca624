"""The console's end of the socket: follows the engine, whatever it has missed; asks it for commands."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from station import commands, events
from station.console import wire
from station.custody.journal import read
from station.errors import StorageError
from station.writer import Writer

AGAIN_S = 0.5
SILENT_S = 3.0
"""An engine that does not even beat for so long is away."""
ANSWER_S = 65.0

log = logging.getLogger(__name__)


class AwayError(Exception):
    """There is no engine that could take a command."""


class Follower(Protocol):
    """Whoever is told what the engine tells; all on the loop."""

    def greeted(self, hello: wire.Hello) -> None:
        """The engine is there."""

    def begun(self, journal: Path) -> None:
        """There is a lot; its events follow, from the first."""

    def happened(self, line: int, event: events.Any) -> None:
        """One event, in the order of the journal's lines."""

    def noted(self, event: events.Any) -> None:
        """What was said between lots, in order; from the first after each greeting."""

    def caught_up(self) -> None:
        """What follows happens now."""

    def stands(self, state: str) -> None:
        """How the cell stands."""

    def left(self) -> None:
        """The engine is away."""


class EngineLink:
    """One connection after the other, for as long as the console runs."""

    def __init__(self, path: Path, follower: Follower) -> None:
        self._path, self._follower = Path(wire.checked(str(path))), follower
        self._writer: asyncio.StreamWriter | None = None
        self._reading = Writer("history")
        self._journal: Path | None = None
        self._line = self._notes = 0
        self._asked: dict[int, asyncio.Future[commands.Receipt]] = {}
        self._number = 0
        self._unread = ""
        """Why what the engine said could not be read last."""

    @property
    def there(self) -> bool:
        """Whether commands reach the engine."""
        return self._writer is not None

    async def run(self) -> None:
        """Follow the engine until cancelled."""
        try:
            while True:
                with suppress(OSError):
                    await self._once_told()
                self._leave()
                await asyncio.sleep(AGAIN_S)
        finally:
            self._leave()
            self._reading.close()

    async def ask(self, command: commands.Any) -> commands.Receipt:
        """Return the cell's receipt; AwayError if it is not reached."""
        if self._writer is None:
            raise AwayError
        self._number += 1
        number = self._number
        answer: asyncio.Future[commands.Receipt] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._writer.write(wire.line(wire.Ask(number=number, command=command)))
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise AwayError from None
        finally:
            self._asked.pop(number, None)

    async def _once_told(self) -> None:
        try:
            await self._once()
        except (ValueError, msgspec.DecodeError) as error:
            if (why := str(error)) != self._unread:  # it may say the same twice a second, for days
                log.warning("what the engine says cannot be read, it is asked anew: %s", why)
            self._unread = why

    async def _once(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._path), limit=wire.LINE_MAX)
        try:
            said = wire.from_engine(reader)
            while True:
                async with asyncio.timeout(SILENT_S):
                    one = await anext(said, None)
                if one is None:
                    return
                await self._take(one, writer)
        finally:
            writer.close()

    async def _take(self, one: wire.FromEngine, writer: asyncio.StreamWriter) -> None:
        match one:
            case wire.Hello():
                self._writer = writer
                self._follower.greeted(one)
                await self._read_notes(one.notes)
            case wire.Lot():
                self._journal = Path(one.journal)
                await self._catch_up(one.lines)
            case wire.Happened() if one.line > self._line + 1:
                await self._catch_up(one.line)
            case wire.Happened() if one.line == self._line + 1:
                self._line += 1
                self._follower.happened(one.line, one.event)
            case wire.Happened():
                pass
            case wire.Noted():
                self._noted(one)
            case wire.Beat():
                self._follower.stands(one.state)
            case wire.Answer():
                self._answered(one)

    def _answered(self, one: wire.Answer) -> None:
        waiting = self._asked.get(one.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(one.receipt)

    def _noted(self, one: wire.Noted) -> None:
        if one.line > self._notes:
            self._notes = one.line
            self._follower.noted(one.event)

    async def _read_notes(self, path: str) -> None:
        try:
            said = await self._reading.run(_read, Path(path)) if path else []
        except (OSError, StorageError) as error:
            log.warning("what was said between lots cannot be read: %s", error)
            said = []
        self._notes = len(said)
        for event in said:
            self._follower.noted(event)

    async def _catch_up(self, lines: int) -> None:
        """Begin the lot anew from its journal, which has all that was told."""
        if self._journal is None:
            return
        self._follower.begun(self._journal)
        self._line = lines
        try:
            history = await self._reading.run(_read, self._journal) if lines else []
        except (OSError, StorageError) as error:
            log.warning("the history of the lot cannot be read: %s", error)
            history = []
        for self._line, event in enumerate(history, start=1):
            self._follower.happened(self._line, event)
            if self._line % 2000 == 0:
                await asyncio.sleep(0)
        self._follower.caught_up()

    def _leave(self) -> None:
        self._writer = None
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(AwayError())
        self._follower.left()


def _read(journal: Path) -> list[events.Any]:
    return list(read(journal))
