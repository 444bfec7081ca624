"""The file of a station's people: accounts, sessions, approvals, and the leaves that tell of each change."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock

from station.custody import leaf_table
from station.errors import StorageError

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS person(
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, roles TEXT NOT NULL, badge BLOB UNIQUE, pin TEXT,
  disabled INTEGER NOT NULL DEFAULT 0, wrong INTEGER NOT NULL DEFAULT 0,
  locked_until REAL NOT NULL DEFAULT 0, since REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS past_pin(
  number INTEGER PRIMARY KEY, person TEXT NOT NULL REFERENCES person(id), pin TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS enrolment(
  code BLOB PRIMARY KEY, person TEXT NOT NULL UNIQUE REFERENCES person(id), expires REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS security_key(
  credential BLOB PRIMARY KEY, person TEXT NOT NULL REFERENCES person(id), public_key BLOB NOT NULL,
  used INTEGER NOT NULL, since REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS challenge(
  challenge BLOB PRIMARY KEY, purpose TEXT NOT NULL, expires REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS session(
  token BLOB PRIMARY KEY, number TEXT NOT NULL UNIQUE, person TEXT NOT NULL REFERENCES person(id),
  place TEXT NOT NULL, means TEXT NOT NULL, opened REAL NOT NULL, seen REAL NOT NULL,
  expires REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS act(
  digest TEXT PRIMARY KEY, body BLOB NOT NULL, requester TEXT NOT NULL REFERENCES person(id),
  state TEXT NOT NULL CHECK(state IN ('requested', 'approved', 'executed', 'denied', 'cancelled')),
  expires REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS approval(
  digest TEXT NOT NULL REFERENCES act(digest), person TEXT NOT NULL REFERENCES person(id),
  means TEXT NOT NULL, evidence BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (digest, person)) STRICT;
{leaf_table.SCHEMA}
"""
WAIT_S = 10.0
"""How long a change waits for that of another process."""


class Database:
    """The file `people.db`; each block is one transaction, durable when it ends. From any thread."""

    def __init__(self, path: Path) -> None:
        """Open the file, which is made if it is not there; StorageError."""
        self._path, self._turn = path, RLock()
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        with self._said():
            self._db = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False, isolation_level=None)
            with self._turn:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute("PRAGMA foreign_keys=ON")
                self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close it."""
        with self._turn:
            self._db.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Change something; all of it is undone if the block raises."""
        with self._turn, self._said():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Look at something."""
        with self._turn, self._said():
            yield self._db

    @contextmanager
    def apart(self) -> Iterator[sqlite3.Connection]:
        """A second connection that only reads, as it stood at one moment."""
        with self._said(), closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            yield db

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: {error}") from error
