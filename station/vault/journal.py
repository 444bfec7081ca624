"""The vault's one file: SQLite, one writing thread, many changes a commit, durable before anyone goes on."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from station.custody import leaf_table
from station.vault import stops, unit_moves
from station.vault.desk import approvals, orders, people
from station.vault.pki import revoked
from station.vault.plant import site_claims

T = TypeVar("T")

GROUP = 64
"""Changes that share one commit, at most."""

CHECKPOINT_PAGES = 8_000
"""How far the write-ahead log grows, 32 MB, before SQLite moves it into the file, which all wait for."""

CACHE_KIB = 64 * 1024
"""Pages that are kept in memory: the inner ones of all indexes, and those of the dies in work."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS lot(
  lot TEXT PRIMARY KEY, product TEXT NOT NULL, order_id TEXT NOT NULL, quantity INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('open', 'closed')), opened REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS unit(
  unit TEXT PRIMARY KEY, lot TEXT NOT NULL REFERENCES lot, place TEXT NOT NULL, uid BLOB UNIQUE,
  standing TEXT NOT NULL, intent TEXT NOT NULL, account TEXT NOT NULL, contacts INTEGER NOT NULL,
  sessions INTEGER NOT NULL, updated REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS step(
  seq INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES unit, name TEXT NOT NULL,
  phase TEXT NOT NULL CHECK(phase IN ('intent', 'done', 'failed')), session BLOB NOT NULL, t REAL NOT NULL,
  detail TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS identity(unit TEXT PRIMARY KEY REFERENCES unit, object BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS challenge(
  value BLOB PRIMARY KEY, unit TEXT NOT NULL REFERENCES unit) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS public_key(
  spki_hash BLOB PRIMARY KEY, unit TEXT NOT NULL REFERENCES unit, slot INTEGER NOT NULL,
  algorithm INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cert(
  issuer BLOB NOT NULL, serial BLOB NOT NULL, unit TEXT NOT NULL REFERENCES unit, slot INTEGER NOT NULL,
  spki_hash BLOB NOT NULL, not_before INTEGER NOT NULL, der BLOB, der_hash BLOB UNIQUE, state TEXT NOT NULL,
  PRIMARY KEY(issuer, serial), UNIQUE(unit, slot, spki_hash)) STRICT;
CREATE TABLE IF NOT EXISTS record(
  unit TEXT PRIMARY KEY REFERENCES unit, serial TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
  hash BLOB NOT NULL UNIQUE, jws BLOB NOT NULL, leaf INTEGER NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS rma(
  unit TEXT PRIMARY KEY REFERENCES unit, box BLOB NOT NULL, token_hash BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS profile(
  hash TEXT PRIMARY KEY, product TEXT NOT NULL, statement BLOB NOT NULL, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS recipe(
  hash TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, fingerprint TEXT NOT NULL,
  statement BLOB NOT NULL, at REAL NOT NULL, UNIQUE(name, version)) STRICT;
CREATE TABLE IF NOT EXISTS rma_permit(
  unit TEXT PRIMARY KEY REFERENCES unit, sealed BLOB NOT NULL, persons TEXT NOT NULL,
  at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS key_told(
  key TEXT PRIMARY KEY, changes INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ceremony(
  hash TEXT PRIMARY KEY, ceremony TEXT NOT NULL, transcript TEXT NOT NULL, bundle BLOB NOT NULL,
  at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sorted_die(
  uid BLOB PRIMARY KEY, unit TEXT UNIQUE, state TEXT NOT NULL
  CHECK(state IN ('assigned', 'loaded', 'listed')), source TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS claim(
  station TEXT NOT NULL, lot TEXT NOT NULL REFERENCES lot, next INTEGER NOT NULL, leaf INTEGER NOT NULL,
  PRIMARY KEY(station, lot)) STRICT;
CREATE INDEX IF NOT EXISTS unit_lot ON unit(lot);
CREATE INDEX IF NOT EXISTS unit_in_work ON unit(lot) WHERE account = 'WIP' AND intent <> '';
CREATE INDEX IF NOT EXISTS step_unit ON step(unit);
CREATE INDEX IF NOT EXISTS public_key_unit ON public_key(unit, slot);
"""
SCHEMAS = (
    SCHEMA,
    leaf_table.SCHEMA,
    people.SCHEMA,
    approvals.SCHEMA,
    orders.SCHEMA,
    unit_moves.SCHEMA,
    stops.SCHEMA,
    revoked.SCHEMA,
    site_claims.SCHEMA,
)


class JournalError(Exception):
    """Nothing can be made durable any more: the vault stops admitting and gives no verdict."""


class Change(Generic[T]):
    """One change and whoever waits for it."""

    def __init__(self, act: Callable[[sqlite3.Connection], T]) -> None:
        self._act = act
        self._result: list[T] = []
        self._error: Exception | None = None
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()

    def attempt(self, db: sqlite3.Connection) -> None:
        """Make the change as one of several; if it fails, it is undone alone."""
        db.execute("SAVEPOINT change")
        if not self.made(db):
            db.execute("ROLLBACK TO change")
        db.execute("RELEASE change")

    def made(self, db: sqlite3.Connection) -> bool:
        """Make the change; False if it failed, of which only its own waiter learns.

        That the file fails is raised, and all learn of it: SQLite may have undone the others too.
        """
        try:
            self._result = [self._act(db)]
        except Exception as error:  # noqa: BLE001 - handed to the one who waits
            if _of_the_file(error):
                raise
            self._error = error
        return self._error is None

    def refuse(self, error: Exception) -> None:
        """It did not become durable, whatever was tried."""
        if self._error is None:
            self._error = JournalError(f"the journal cannot be written: {error}")

    def settle(self) -> None:
        """Tell the waiter, if it still waits; on its loop."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result[0])


def _of_the_file(error: Exception) -> bool:
    """Whether it is file or disk that failed, and not what the change asks for."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


class Journal:
    """State, uniqueness and counters of a step are one transaction, so they cannot disagree."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: SimpleQueue[Change[object] | None] = SimpleQueue()
        self._thread = Thread(target=self._write, name="journal", daemon=True)
        self.commits = 0

    async def open(self) -> None:
        """Create or open the file; JournalError if that cannot be."""
        self._thread.start()
        try:
            await self.commit(lambda db: db.execute("SELECT count(*) FROM unit").fetchone())
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def commit(self, act: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Make a change, in the order of the calls; result or error come when it is on disk."""
        change = Change(act)
        self._queue.put(change)  # type: ignore[arg-type]
        return change.future

    def close(self) -> None:
        """Write what is waiting and close the file."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _write(self) -> None:
        try:
            db = self._opened()
        except sqlite3.Error as error:
            self._refuse(error)
            return
        group, more = self._group()
        while group or more:
            self._transact(db, group)
            if not more:
                break
            group, more = self._group()
        db.close()

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        db.executescript("".join(SCHEMAS))
        return db

    def _group(self) -> "tuple[list[Change[object]], bool]":
        """Wait for one change and take what has come meanwhile; False as second when it is to end."""
        group: list[Change[object]] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == GROUP:
                return group, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return group, True
        return group, False

    def _transact(self, db: sqlite3.Connection, group: "list[Change[object]]") -> None:
        failure: sqlite3.Error | None = None
        try:
            db.execute("BEGIN IMMEDIATE")
            if _changed(db, group):
                db.execute("COMMIT")
                self.commits += 1
            else:
                db.execute("ROLLBACK")
        except sqlite3.Error as error:
            failure = error
            if db.in_transaction:
                db.execute("ROLLBACK")
        _tell(group, failure)

    def _refuse(self, error: sqlite3.Error) -> None:
        group, more = self._group()
        while group or more:
            _tell(group, error)
            if not more:
                return
            group, more = self._group()


def _changed(db: sqlite3.Connection, group: "list[Change[object]]") -> bool:
    """Make the changes; False if there was but one, and it failed. One alone needs no savepoint."""
    if len(group) == 1:
        return group[0].made(db)
    for change in group:
        change.attempt(db)
    return True


def _tell(group: "list[Change[object]]", failure: Exception | None) -> None:
    """Let all who wait go on, with one call into each loop."""
    waiting: dict[asyncio.AbstractEventLoop, list[Change[object]]] = {}
    for change in group:
        if failure is not None:
            change.refuse(failure)
        waiting.setdefault(change.loop, []).append(change)
    for loop, changes in waiting.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, changes)


def _settle(changes: "list[Change[object]]") -> None:
    for change in changes:
        change.settle()
