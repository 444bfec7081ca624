"""Where results are kept: the store is the truth of the measurements, the STDF file a projection of it."""

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from station.errors import StorageError
from station.model import LotInfo, TouchdownResult
from station.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


class ResultStore(Protocol):
    """What the engine needs of the store; every call blocks."""

    def open(self) -> None:
        """Open or create it."""

    def begin(self, info: LotInfo) -> int:
        """Begin a run and return its id."""

    def commit(self, result: TouchdownResult) -> None:
        """Make one landing durable; StorageError if it cannot be."""

    def event(self, kind: str, text: str, at: float) -> None:
        """Keep what stands in the datalog behind the last landing."""

    def finish(self, ended: float) -> None:
        """Close the run."""

    def close(self) -> None:
        """Close the database."""


class ResultFile(Protocol):
    """What the engine needs of the STDF file; every call blocks."""

    def open(self) -> None:
        """Begin the file."""

    def touchdown(self, result: TouchdownResult) -> None:
        """Append one landing as a whole."""

    def event_text(self, text: str) -> None:
        """Append what happened between two landings."""

    def close(self, finished: float) -> Path:
        """Write the summaries, verify, and give the file its name."""

    def abandon(self) -> None:
        """Close the file as it is: the lot stays open."""


class OpenRun(Protocol):
    """Store and file of a lot that was left open, once the store is open; every call blocks."""

    finished: float | None
    """When the run had been ended already, unix time; None if it had not."""

    def take_up(self) -> int:
        """Go on with the lot's run, or begin it; return the number of its last landing."""

    def recall(self, told: Callable[[TouchdownResult], None]) -> None:
        """Tell of each landing that the store has, in order."""

    def replayed(self, text: str, at: float) -> ResultFile:
        """Write the file anew and return it open; `text` stands behind the last landing, now and later."""


class Records:
    """Store and STDF behind one writer thread."""

    def __init__(self, store: ResultStore, file: ResultFile, open_run: OpenRun | None = None) -> None:
        """`open_run` is needed to take a lot up."""
        self._store = store
        self._file = file
        self._open_run = open_run
        self._writer = Writer("records")
        self._torn = False
        """Whether the file could not be written, and takes nothing more."""
        self._closed: tuple[Path, float] | None = None
        """The finished file, and as of when."""

    async def open(self, info: LotInfo) -> None:
        """Begin the run in both."""
        await self._writer.run(self._store.open)
        await self._writer.run(self._store.begin, info)
        await self._writer.run(self._file.open)

    async def take_up(self) -> int:
        """Go on with the run that is there; return the number of the last landing that the store has."""
        await self._writer.run(self._store.open)
        return 0 if self._open_run is None else await self._writer.run(self._open_run.take_up)

    async def replay(self, text: str, at: float) -> None:
        """Write the file anew from the store; `text` stands in both behind the last landing."""
        if self._open_run is not None:
            self._file = await self._writer.run(self._open_run.replayed, text, at)

    async def recall(self, told: Callable[[TouchdownResult], None]) -> None:
        """Tell of each landing that the store has of the lot, in order; on the writer's thread."""
        if self._open_run is not None:
            await self._writer.run(self._open_run.recall, told)

    async def commit(self, result: TouchdownResult) -> None:
        """Return when the landing is durable in the store; StorageError otherwise."""
        await self._writer.run(self._store.commit, result)

    async def note(self, text: str, at: float, *, kind: str = "rule") -> None:
        """Keep in the store what the datalog is to say behind the last landing; StorageError."""
        await self._writer.run(self._store.event, kind, text, at)

    async def say(self, text: str) -> None:
        """Append to the datalog what the store has kept; StorageError."""
        await self._write(self._file.event_text, text)

    async def project(self, result: TouchdownResult) -> None:
        """Append the landing to the STDF file; StorageError does not change a verdict, it holds the lot."""
        await self._write(self._file.touchdown, result)

    async def mend(self, at: float) -> bool:
        """Write a file that failed anew from the store, StorageError if that fails too; tell if it was so."""
        if not self._torn or self._open_run is None:
            return False
        await self._writer.run(self._file.abandon)
        await self._writer.run(self._open_run.take_up)
        await self.replay("datalog written anew from the store", at)
        self._torn = False
        return True

    async def finish(self, ended: float) -> Path:
        """Close both; return the verified STDF file. What was closed already, and when, stays.

        A file that failed is written anew first.
        """
        await self.mend(ended)
        before = None if self._open_run is None else self._open_run.finished
        if self._closed is None:
            ended = ended if before is None else before
            self._closed = await self._write(self._file.close, ended), ended
        path, ended = self._closed
        if before is None:
            await self._writer.run(self._store.finish, ended)
        return path

    async def _write(self, append: Callable[P, T], *what: P.args, **more: P.kwargs) -> T:
        try:
            return await self._writer.run(append, *what, **more)
        except StorageError:
            self._torn = True
            raise

    async def close(self) -> None:
        """Close what is open; the lot may go on later."""
        try:
            await self._writer.run(self._file.abandon)
        finally:
            try:
                await self._writer.run(self._store.close)
            finally:
                self._writer.close()
