"""From the journal's leaves to a ledger that others can read: tiles, signed checkpoints, a witness's word.

What is published was signed by the key store, which signs only what follows from its last head. All that
touches files or the witness happens in one thread of its own, beside the loop.

When the journal has begun another log, the old one is brought to its end in steps, each of which a crash may
cut short: its final checkpoint is published and witnessed, the key store takes the new log, the folder is put
away. What is left to do is seen from the journal, from what the store signs for, and from what the folder is.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import structlog

from station.custody import checkpoint, leaf_table
from station.custody.checkpoint import Checkpoint, Note
from station.custody.leaf_table import Log
from station.custody.log_keys import Key, time_of
from station.custody.merkle import consistency, inclusion, root_of
from station.custody.tile_writer import TileWriter
from station.custody.tiles import CHECKPOINT
from station.custody.witness_client import cosigned
from station.errors import LedgerError
from station.vault.configuration import LedgerTable
from station.vault.evidence.bundled_logs import Shelf
from station.vault.keys.errors import KeyStoreError, PolicyError
from station.vault.keys.header import Head
from station.vault.log_folders import LogFolders

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()

ED25519_BYTES = 64
"""A signature of this length tells no time."""


class HeadSigner(Protocol):
    """The key store as the ledger sees it."""

    async def open_ledger(self, origin: str) -> Head:
        """Name the ledger, and return the head that was signed last."""

    async def rotate_ledger(self, origin: str, last: bytes, proof: list[bytes], first: bytes) -> Head:
        """Take the next log in place of the one that has ended."""

    async def sign_checkpoint(self, old: int, size: int, root: bytes, proof: list[bytes]) -> list[str]:
        """Signature lines for a head that follows from the last."""

    def log_keys(self, origin: str) -> tuple[Key, ...]:
        """The public keys that sign a log."""


@dataclass(frozen=True)
class Witnessed:
    """A witness and what is known of it."""

    url: str
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Reached:
    """How far a log is published: the row of its first leaf, its checkpoint, and when that was signed."""

    base: int
    checkpoint: Checkpoint
    at: float

    @property
    def end(self) -> int:
        """The row behind what is covered."""
        return self.base + self.checkpoint.size


class Publisher:
    """The one writer of a vault's ledger folder."""

    def __init__(
        self,
        database: Path,
        folder: Path,
        table: LedgerTable,
        signer: HeadSigner,
        witnesses: Sequence[Witnessed] = (),
    ) -> None:
        self._database, self._table, self._signer = database, table, signer
        self._folders = LogFolders(folder)
        self._witnesses = tuple(witnesses)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._turn, self._grown = asyncio.Lock(), asyncio.Event()
        self._logs: tuple[Log, ...] = (Log(table.origin, 0, None),)
        """Those that were begun, up to the one whose heads are signed."""
        self._head = Head(table.origin)
        self._unheard = False
        """Whether the key store was asked for a head and has not answered: it may have signed."""
        self._writer: TileWriter | None = None
        self._note: Note | None = None
        self._cosigned, self._cosigned_s = 0, -inf
        """How many leaves every witness last signed, and when, in the loop's time."""
        self._finals: tuple[Reached, ...] = ()
        """Of the logs that have ended."""
        self.signed_at = 0
        """When the last checkpoint was signed, in unix seconds; 0 if none was."""

    async def open(self) -> None:
        """Compare ledger, folder and what was signed last; LedgerError if one went back or is another.

        A rotation that a crash has cut short is gone through with when it is published next.
        """
        logs = await self._apart(self._read, leaf_table.logs, self._table.origin)
        if self._table.origin not in {log.origin for log in logs}:
            raise LedgerError(f"the ledger is {logs[-1].origin}, and was never {self._table.origin}")
        await self._take_up(logs)
        await self._open_log()

    async def _take_up(self, logs: tuple[Log, ...]) -> None:
        """Ask the key store for which log it signs, and for the head that it signed last."""
        for count, one in enumerate(logs, 1):
            try:
                head = await self._signer.open_ledger(one.origin)
            except PolicyError:  # it signs for a later one
                if count == len(logs):
                    raise
                continue
            self._go_on_with(logs[:count], head)
            return

    def _go_on_with(self, logs: tuple[Log, ...], head: Head) -> None:
        self._logs, self._head, self._unheard = logs, head, False
        self._writer, self._note, self._cosigned = None, None, 0

    async def _open_log(self) -> None:
        finals = await self._apart(self._read, leaf_table.finals, self._logs[:-1])
        self._finals = tuple(
            Reached(one.base, final, at_ms / 1000)
            for one, (final, at_ms) in zip(self._logs[:-1], finals, strict=True)
        )
        self._writer = await self._apart(self._opened, self._head)

    def _opened(self, signed: Head) -> TileWriter:
        self._folders.put_away(self._logs)
        writer = TileWriter(self._folders.growing)
        self._caught_up(writer)
        if writer.published is not None:
            self.signed_at = _signed_at(checkpoint.parsed((writer.folder / CHECKPOINT).read_bytes()))
        size = writer.head.edge.size
        if signed.size > size or root_of(writer.node, signed.size) != signed.root:
            raise LedgerError(
                f"{self._database}: its {size} leaves do not begin with the {signed.size} that were signed;"
                " it went back, or is another"
            )
        self._folders.keep_keys(self._signer.log_keys(self.origin))
        return writer

    async def run(self) -> None:
        """Publish whenever leaves wait, until cancelled; what fails is tried again, and told."""
        while True:
            await asyncio.sleep(self._table.checkpoint_s)
            try:
                await self.publish()
            except (LedgerError, KeyStoreError) as error:
                log.error("ledger", error=str(error))

    async def publish(self) -> Note:
        """Sign and publish a checkpoint of all that the journal has told; LedgerError, KeyStoreError.

        A log that has ended gets its final checkpoint, with every witness's word, before the next begins.
        """
        async with self._turn:
            await self._followed()
            return await self._published()

    async def _followed(self) -> None:
        """Go on to the last log that the journal has begun."""
        if self._unheard:
            await self._take_up(await self._apart(self._read, leaf_table.logs, self._table.origin))
        if self._writer is None:
            await self._open_log()
        while len(logs := await self._apart(self._read, leaf_table.logs, self._table.origin)) > len(
            self._logs
        ):
            at = len(self._logs)
            self._logs = logs[:at]  # it has an end now
            await self._published()
            last, first = await self._apart(self._read, leaf_table.link, self._logs[-1])
            proof = await self._apart(self._last_proof)
            self._unheard = True
            head = await self._signer.rotate_ledger(logs[at].origin, last, proof, first)
            self._go_on_with(logs[: at + 1], head)
            await self._open_log()

    def _last_proof(self) -> list[bytes]:
        size = self._open_writer.head.edge.size
        return inclusion(self._open_writer.node, size - 1, size)

    @property
    def _open_writer(self) -> TileWriter:
        if self._writer is None:
            raise LedgerError(f"{self._folders.growing}: is not open")
        return self._writer

    async def _published(self) -> Note:
        writer = self._open_writer
        await self._apart(self._caught_up, writer)
        edge = writer.head.edge
        if self._note is None or self._note.checkpoint.size != edge.size:
            proof = consistency(writer.node, self._head.size, edge.size)
            self._unheard = True
            lines = await self._signer.sign_checkpoint(self._head.size, edge.size, edge.root, proof)
            self._head, self._unheard = Head(self.origin, edge.size, edge.root), False
            signatures = checkpoint.signatures("".join(line + "\n" for line in lines))
            note = Note(Checkpoint(self.origin, edge.size, edge.root), signatures)
            await self._apart(writer.publish, note)
            self._note, self.signed_at = note, _signed_at(note)
            self._grown.set()
            self._grown = asyncio.Event()
        if self._witnesses and (edge.size > self._cosigned or self._age_s() > self._table.cosign_s):
            self._note = await self._apart(self._witnessed, self._note)
            self._cosigned, self._cosigned_s = edge.size, asyncio.get_running_loop().time()
        return self._note

    @property
    def origin(self) -> str:
        """The name of the log whose heads are signed."""
        return self._logs[-1].origin

    @property
    def rows(self) -> int:
        """The row behind the last leaf that is published."""
        size = self._head.size if self._note is None else self._note.checkpoint.size
        return self._logs[-1].base + size

    @property
    def reached(self) -> Reached | None:
        """What was published last; None if nothing of this log was since the start."""
        if self._note is None:
            return None
        return Reached(self._logs[-1].base, self._note.checkpoint, self.signed_at)

    def all_keys(self) -> list[Key]:
        """The public keys of all logs; LedgerError."""
        return [*self._folders.keys(len(self._logs)), *self._signer.log_keys(self.origin)]

    def shelves(self) -> list[Shelf]:
        """The logs, and where each lies."""
        count = len(self._logs)
        return [Shelf(n, one, self._folders.of(n, count)) for n, one in enumerate(self._logs, 1)]

    def row(self, origin: str, index: int) -> int | None:
        """The row of a leaf of one of the logs; None if there is no such log."""
        return next((one.base + index for one in self._logs if one.origin == origin), None)

    async def beyond(self, row: int) -> list[Reached]:
        """Wait until `row` is published, and return how far each log is that has it or what comes after."""
        while (reached := self.reached) is None or reached.end <= row:
            await self._grown.wait()
        return [one for one in (*self._finals, reached) if one.end > row]

    def unsafe(self) -> str:
        """Why nothing more may be admitted: no witness has signed for too long; empty if all is well."""
        if self._witnesses and self._age_s() > self._table.cosign_max_s:
            return f"no witness has signed the ledger for {self._table.cosign_max_s:g} s"
        return ""

    def _age_s(self) -> float:
        return asyncio.get_running_loop().time() - self._cosigned_s

    def _witnessed(self, note: Note) -> Note:
        for witness in self._witnesses:
            nodes = self._open_writer.node
            note = cosigned(witness.url, note, nodes, witness.keys, old=self._cosigned)
        self._open_writer.publish(note)
        return note

    def _caught_up(self, writer: TileWriter) -> None:
        self._read(leaf_table.catch_up, writer, self._logs[-1])

    def _read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read the database beside its writer, as of one moment."""
        try:
            with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as db:
                db.execute("BEGIN")
                return function(db, *args, **kwargs)
        except sqlite3.Error as error:
            raise LedgerError(f"{self._database}: {error}") from error

    async def close(self) -> None:
        """Publish what waits, and leave; what cannot be published is told."""
        try:
            await self.publish()
        except (LedgerError, KeyStoreError) as error:
            log.error("ledger", error=str(error))
        self._thread.shutdown()

    async def _apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*args, **kwargs)
        )


def _signed_at(note: Note) -> int:
    """The time that the log's own ML-DSA-44 signature tells."""
    own = (one for one in note.signatures if one.name == note.checkpoint.origin)
    return max((time_of(one) for one in own if len(one.content) > ED25519_BYTES), default=0)
