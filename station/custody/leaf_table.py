"""Leaves in the writer's own database: a leaf is in the same transaction as what it tells.

The right edge of the tree is a row beside them, so adding a leaf and knowing the root cost the same however
long the ledger is, and a transaction that is undone undoes its leaves. `TileWriter` makes the folder of them.

A ledger may be several logs, one after the other: rows go on, while each log counts its leaves from 0.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from station.custody import rotation
from station.custody.checkpoint import Checkpoint
from station.custody.ledger import Fact, Head, Leaf, Stamp, decoded
from station.custody.merkle import HASH_BYTES, Edge
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError

SCHEMA = """
CREATE TABLE IF NOT EXISTS leaf(
  idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, hash BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS edge(
  one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, peaks BLOB NOT NULL,
  last BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log(base INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE) STRICT;
"""
FETCHED = 1024
"""Rows that are read at once."""


@dataclass(frozen=True)
class Log:
    """One of the logs that a ledger is."""

    origin: str
    base: int
    """The row of its first leaf."""
    size: int | None
    """How many leaves it has; None of the last one, which grows."""

    @property
    def end(self) -> int | None:
        """The row behind its last leaf."""
        return None if self.size is None else self.base + self.size


def logs(db: sqlite3.Connection, origin: str) -> tuple[Log, ...]:
    """Return the logs in their order; a ledger that was never rotated is one, of this origin."""
    rows = db.execute("SELECT origin, base FROM log ORDER BY base").fetchall() or [(origin, 0)]
    ends = [*(base for _, base in rows[1:]), None]
    return tuple(
        Log(name, base, None if end is None else end - base)
        for (name, base), end in zip(rows, ends, strict=True)
    )


def append(db: sqlite3.Connection, fact: Fact, stamp: Stamp) -> Leaf:
    """Add a leaf within the transaction under way; LedgerError if the fact may not be an entry."""
    return placed(db, fact, stamp)[0]


def placed(db: sqlite3.Connection, fact: Fact, stamp: Stamp) -> tuple[Leaf, int]:
    """Add a leaf, and return it with its row, which no leaf of another log has."""
    leaf, after = head(db).written(fact, stamp)
    added = "INSERT INTO leaf VALUES ((SELECT coalesce(max(idx) + 1, 0) FROM leaf), ?, ?)"
    place = db.execute(added, (leaf.entry, leaf.hash)).lastrowid
    row = (after.edge.size, b"".join(after.edge.peaks), after.last)
    db.execute("INSERT OR REPLACE INTO edge VALUES (1, ?, ?, ?)", row)
    return leaf, place or 0


def rotate(
    db: sqlite3.Connection, ending: Fact, opening: Fact, old: str, new: str, stamp: Stamp
) -> Checkpoint:
    """End log `old` with one fact and begin `new` with another; return the final checkpoint of the old.

    One transaction: the old log ends where the new one begins, or nothing has happened. LedgerError if the
    name was used before.
    """
    if new in {log.origin for log in logs(db, old)}:
        raise LedgerError(f"there was a log {new} already; a log that has ended is never continued")
    append(db, replace(ending, data={**ending.data, "next": new}), stamp)
    edge = head(db).edge
    final = Checkpoint(old, edge.size, edge.root)
    db.execute("INSERT OR IGNORE INTO log VALUES (0, ?)", (old,))
    db.execute("INSERT INTO log SELECT max(idx) + 1, ? FROM leaf", (new,))
    db.execute("DELETE FROM edge")
    append(db, replace(opening, data={**opening.data, "origin": new, "before": rotation.told(final)}), stamp)
    return final


def head(db: sqlite3.Connection) -> Head:
    """Return where the log that grows ends, as the transaction under way sees it."""
    row = db.execute("SELECT size, peaks, last FROM edge").fetchone()
    if row is None:
        return Head()
    size, peaks, last = row
    if len(peaks) != size.bit_count() * HASH_BYTES:
        raise LedgerError(f"the edge of {size} leaves has {len(peaks)} bytes")
    split = tuple(peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES))
    return Head(Edge(size, split), last)


def leaves(db: sqlite3.Connection, start: int, log: Log | None = None) -> Iterator[Leaf]:
    """Yield the leaves of a log from `start` on; without one, those of a ledger that was never rotated."""
    base, end = (0, None) if log is None else (log.base, log.end)
    query = "SELECT idx, entry, hash FROM leaf WHERE idx >= ? AND idx < coalesce(?, idx + 1) ORDER BY idx"
    found = db.execute(query, (base + start, end))
    found.arraysize = FETCHED
    while rows := found.fetchmany():
        for index, entry, value in rows:
            yield Leaf(index - base, entry, value)


def finals(db: sqlite3.Connection, ended: Sequence[Log]) -> list[tuple[Checkpoint, int]]:
    """Return each ended log's final checkpoint, as the next log names it, and when, ms since 1970."""
    found = []
    for log in ended:
        (first,) = db.execute("SELECT entry FROM leaf WHERE idx = ?", (log.end,)).fetchone()
        final = rotation.before_of(first)
        if final is None:
            raise LedgerError(f"the log after {log.origin} does not say what that came to")
        found.append((final, decoded(first).t))
    return found


def begun_ms(db: sqlite3.Connection, log: Log) -> int:
    """Return when the first entry of a log was told, ms since 1970."""
    (first,) = db.execute("SELECT entry FROM leaf WHERE idx = ?", (log.base,)).fetchone()
    return decoded(first).t


def link(db: sqlite3.Connection, ended: Log) -> tuple[bytes, bytes]:
    """Return the last entry of a log that has ended, and the first of the next."""
    query = "SELECT entry FROM leaf WHERE idx IN (?1 - 1, ?1) ORDER BY idx"
    (last,), (first,) = db.execute(query, (ended.end,)).fetchall()
    return last, first


def catch_up(db: sqlite3.Connection, writer: TileWriter, log: Log | None = None) -> int:
    """Give a folder's writer the leaves that it does not have, and return how many; nothing is published.

    LedgerError if the folder does not hold the beginning of this log.
    """
    begun, base = writer.head.edge.size, 0 if log is None else log.base
    if begun:
        row = db.execute("SELECT hash FROM leaf WHERE idx = ?", (base + begun - 1,)).fetchone()
        if row is None or row[0] != writer.head.last:
            raise LedgerError(f"{writer.folder}: its {begun} leaves are not the beginning of this ledger")
    for leaf in leaves(db, begun, log):
        writer.add(leaf)
    if not _ends_there(db, writer, log):
        raise LedgerError(f"{writer.folder}: the leaves of the database do not lead to its edge")
    return writer.head.edge.size - begun


def _ends_there(db: sqlite3.Connection, writer: TileWriter, log: Log | None) -> bool:
    """Whether a writer came to the edge; of a log that has ended, to what the next one's first leaf names."""
    if log is None or log.end is None:
        return writer.head == head(db)
    edge = writer.head.edge
    return finals(db, (log,))[0][0] == Checkpoint(log.origin, edge.size, edge.root)
