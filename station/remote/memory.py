"""What a station must know again after a restart: its epoch, taken commands, receipts, events nobody has yet.

One SQLite file. Every call blocks and is durable when it returns.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path

from station.errors import StorageError
from station.remote.messages import Kept

SCHEMA = """
CREATE TABLE IF NOT EXISTS epoch(number INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS client(kid TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS taken(
  number INTEGER PRIMARY KEY, kid TEXT NOT NULL, id TEXT NOT NULL, bytes BLOB NOT NULL, asked BLOB NOT NULL,
  reply BLOB, UNIQUE (kid, id)) STRICT;
CREATE TABLE IF NOT EXISTS outbox(number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,
  payload BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lot(journal TEXT PRIMARY KEY, lines INTEGER NOT NULL) STRICT;
"""
KEPT = 100_000
"""Receipts; older ones are forgotten, and their commands are long refused as stale."""


class Standing(Enum):
    """What a command is to a station that remembers."""

    FRESH = "fresh"
    AGAIN = "again"
    """Asked anew under the id of one that was taken: it gets that one's receipt."""
    REPLAYED = "replayed"
    STALE = "stale"


@dataclass(frozen=True)
class Remembered:
    """Whether a command is new, and the reply to the one before it if it is not."""

    standing: Standing
    reply: bytes | None = None
    last: int = -1
    """The client's last sequence number."""


@dataclass(frozen=True)
class Asked:
    """What makes a command this one: its key and id, its exact bytes, what it asks for."""

    kid: str
    id: str
    envelope: bytes
    """SHA-256 of the signed payload."""
    asked: bytes
    """SHA-256 of command and arguments."""
    seq: int


@dataclass(frozen=True)
class Waiting:
    """An event that the broker has not got yet."""

    number: int
    topic: str
    payload: bytes


class Memory:
    """The file `remote.db`; used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def open(self) -> int:
        """Open or create it and return this start's epoch; StorageError."""
        try:
            return self._opened()
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: {error}") from error

    def _opened(self) -> int:
        db = self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(SCHEMA)
        with _transaction(db):
            db.execute("INSERT INTO epoch SELECT COALESCE(MAX(number), 0) + 1 FROM epoch")
            db.execute("DELETE FROM epoch WHERE number < (SELECT MAX(number) FROM epoch)")
        return int(db.execute("SELECT number FROM epoch").fetchone()[0])

    def close(self) -> None:
        """Close it."""
        if self._db is not None:
            self._db.close()
            self._db = None

    # -- commands
    def take(self, asked: Asked) -> Remembered:
        """Say what a command is to us and, if it is new, remember it: from here on it is used up."""
        with self._stored() as db, _transaction(db):
            known = db.execute(
                "SELECT bytes, asked, reply FROM taken WHERE kid = ? AND id = ?", (asked.kid, asked.id)
            ).fetchone()
            row = db.execute("SELECT seq FROM client WHERE kid = ?", (asked.kid,)).fetchone()
            last = -1 if row is None else int(row[0])
            standing = _standing(asked, known, last)
            if standing in (Standing.FRESH, Standing.AGAIN):
                db.execute("INSERT OR REPLACE INTO client VALUES (?, ?)", (asked.kid, asked.seq))
            if standing is Standing.FRESH:
                db.execute(
                    "INSERT INTO taken(kid, id, bytes, asked) VALUES (?, ?, ?, ?)",
                    (asked.kid, asked.id, asked.envelope, asked.asked),
                )
                db.execute("DELETE FROM taken WHERE number <= (SELECT MAX(number) FROM taken) - ?", (KEPT,))
            return Remembered(standing, None if known is None else known[2], last)

    def settle(self, asked: Asked, reply: bytes, told: Iterable[tuple[str, bytes]]) -> None:
        """Keep the receipt of a command, and the events that tell of it."""
        with self._stored() as db, _transaction(db):
            db.execute("UPDATE taken SET reply = ? WHERE kid = ? AND id = ?", (reply, asked.kid, asked.id))
            db.executemany("INSERT INTO outbox(topic, payload) VALUES (?, ?)", told)

    # -- events
    def put(self, told: Iterable[tuple[str, bytes]], journal: str = "", lines: int = 0) -> None:
        """Queue events for the broker; `lines` of that journal have then been looked at."""
        with self._stored() as db, _transaction(db):
            db.executemany("INSERT INTO outbox(topic, payload) VALUES (?, ?)", told)
            if journal:
                db.execute("INSERT OR REPLACE INTO lot VALUES (?, ?)", (journal, lines))

    def journals(self) -> dict[str, int]:
        """Return the journals of lots that are not over, and how many lines of each were looked at."""
        with self._stored() as db:
            return dict(db.execute("SELECT journal, lines FROM lot").fetchall())

    def finished(self, journal: str) -> None:
        """Nothing more will come from a journal."""
        with self._stored() as db:
            db.execute("DELETE FROM lot WHERE journal = ?", (journal,))

    def waiting(self, most: int, after: int = 0) -> list[Waiting]:
        """Return the oldest events behind a number that nobody has yet."""
        query = "SELECT number, topic, payload FROM outbox WHERE number > ? ORDER BY number LIMIT ?"
        with self._stored() as db:
            return [Waiting(*row) for row in db.execute(query, (after, most))]

    def delivered(self, number: int) -> None:
        """The broker has all events up to this one."""
        with self._stored() as db:
            db.execute("DELETE FROM outbox WHERE number <= ?", (number,))

    def taken_up(self, numbers: Iterable[int]) -> None:
        """The broker has these, and nobody else need say so."""
        with self._stored() as db, _transaction(db):
            db.executemany("DELETE FROM outbox WHERE number = ?", ((number,) for number in numbers))

    def kept(self, found: Iterable[Kept]) -> None:
        """A collector has these events; what it has otherwise than we sent it goes on waiting."""
        with self._stored() as db, _transaction(db):
            for one in found:
                row = db.execute("SELECT payload FROM outbox WHERE number = ?", (one.number,)).fetchone()
                if row is not None and sha256(row[0]).hexdigest() == one.sha256:
                    db.execute("DELETE FROM outbox WHERE number = ?", (one.number,))

    @contextmanager
    def _stored(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db if self._db is not None else _closed()
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: {error}") from error


def _closed() -> sqlite3.Connection:
    raise sqlite3.ProgrammingError("it is not open")


def _standing(asked: Asked, known: tuple[bytes, bytes, bytes | None] | None, last: int) -> Standing:
    if known is not None and (known[0] == asked.envelope or known[1] != asked.asked):
        return Standing.REPLAYED
    if asked.seq <= last:
        return Standing.STALE
    return Standing.FRESH if known is None else Standing.AGAIN


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
