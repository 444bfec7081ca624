"""From the journal's leaves to a ledger that others can read: tiles, signed checkpoints, a witness's word.

What is published was signed by the key store, which signs only what follows from its last head. All that
touches files or the witness happens in one thread of its own, beside the loop.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import structlog

from station.custody import checkpoint, leaf_table
from station.custody.checkpoint import Checkpoint, Note
from station.custody.log_keys import Key, time_of
from station.custody.merkle import consistency, root_of
from station.custody.tile_writer import TileWriter
from station.custody.tiles import CHECKPOINT
from station.custody.witness_client import cosigned
from station.errors import LedgerError
from station.vault.configuration import LedgerTable
from station.vault.keys.errors import KeyStoreError
from station.vault.keys.header import Head

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()

ED25519_BYTES = 64
"""A signature of this length tells no time."""


class HeadSigner(Protocol):
    """The key store as the ledger sees it."""

    async def open_ledger(self, origin: str) -> Head:
        """Name the ledger, and return the head that was signed last."""

    async def sign_checkpoint(self, old: int, size: int, root: bytes, proof: list[bytes]) -> list[str]:
        """Signature lines for a head that follows from the last."""


@dataclass(frozen=True)
class Witnessed:
    """A witness and what is known of it."""

    url: str
    keys: tuple[Key, ...]


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
        self._database, self._folder, self._table, self._signer = database, folder, table, signer
        self._witnesses = tuple(witnesses)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._turn, self._grown = asyncio.Lock(), asyncio.Event()
        self._head = Head(table.origin)
        self._writer: TileWriter
        self._note: Note | None = None
        self._cosigned, self._cosigned_s = 0, -inf
        """How many leaves every witness last signed, and when, in the loop's time."""
        self.signed_at = 0
        """When the last checkpoint was signed, in unix seconds; 0 if none was."""

    async def open(self) -> None:
        """Compare ledger, folder and what was signed last; LedgerError if one went back or is another."""
        self._head = await self._signer.open_ledger(self._table.origin)
        self._writer = await self._apart(self._opened, self._head)

    def _opened(self, signed: Head) -> TileWriter:
        writer = TileWriter(self._folder)
        self._caught_up(writer)
        if writer.published is not None:
            self.signed_at = _signed_at(checkpoint.parsed((self._folder / CHECKPOINT).read_bytes()))
        size = writer.head.edge.size
        if signed.size > size or root_of(writer.node, signed.size) != signed.root:
            raise LedgerError(
                f"{self._database}: its {size} leaves do not begin with the {signed.size} that were signed;"
                " it went back, or is another"
            )
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
        """Sign and publish a checkpoint of all that the journal has told; LedgerError, KeyStoreError."""
        async with self._turn:
            await self._apart(self._caught_up, self._writer)
            edge = self._writer.head.edge
            if self._note is None or self._note.checkpoint.size != edge.size:
                proof = consistency(self._writer.node, self._head.size, edge.size)
                lines = await self._signer.sign_checkpoint(self._head.size, edge.size, edge.root, proof)
                self._head = Head(self._table.origin, edge.size, edge.root)
                signatures = checkpoint.signatures("".join(line + "\n" for line in lines))
                note = Note(Checkpoint(self._table.origin, edge.size, edge.root), signatures)
                await self._apart(self._writer.publish, note)
                self._note, self.signed_at = note, _signed_at(note)
                self._grown.set()
                self._grown = asyncio.Event()
            if self._witnesses and (edge.size > self._cosigned or self._age_s() > self._table.cosign_s):
                self._note = await self._apart(self._witnessed, self._note)
                self._cosigned, self._cosigned_s = edge.size, asyncio.get_running_loop().time()
            return self._note

    @property
    def size(self) -> int:
        """How many leaves are published."""
        return self._head.size if self._note is None else self._note.checkpoint.size

    @property
    def head(self) -> Checkpoint | None:
        """What was published last; None if nothing was since the start."""
        return None if self._note is None else self._note.checkpoint

    async def beyond(self, size: int) -> Checkpoint:
        """Wait until more leaves than `size` are published, and return the checkpoint over them."""
        while (head := self.head) is None or head.size <= size:
            await self._grown.wait()
        return head

    def unsafe(self) -> str:
        """Why nothing more may be admitted: no witness has signed for too long; empty if all is well."""
        if self._witnesses and self._age_s() > self._table.cosign_max_s:
            return f"no witness has signed the ledger for {self._table.cosign_max_s:g} s"
        return ""

    def _age_s(self) -> float:
        return asyncio.get_running_loop().time() - self._cosigned_s

    def _witnessed(self, note: Note) -> Note:
        for witness in self._witnesses:
            note = cosigned(witness.url, note, self._writer.node, witness.keys)
        self._writer.publish(note)
        return note

    def _caught_up(self, writer: TileWriter) -> None:
        try:
            with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as db:
                db.execute("BEGIN")
                leaf_table.catch_up(db, writer)
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
