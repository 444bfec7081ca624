"""Leaves in the writer's own database: a leaf is in the same transaction as what it tells.

The right edge of the tree is a row beside them, so adding a leaf and knowing the root cost the same however
long the ledger is, and a transaction that is undone undoes its leaves. `TileWriter` makes the folder of them.
"""

import sqlite3
from collections.abc import Iterator

from station.custody.ledger import Fact, Head, Leaf, Stamp
from station.custody.merkle import HASH_BYTES, Edge
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError

SCHEMA = """
CREATE TABLE IF NOT EXISTS leaf(
  idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, hash BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS edge(
  one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, peaks BLOB NOT NULL,
  last BLOB NOT NULL) STRICT;
"""
FETCHED = 1024
"""Rows that are read at once."""


def append(db: sqlite3.Connection, fact: Fact, stamp: Stamp) -> Leaf:
    """Add a leaf within the transaction under way; LedgerError if the fact may not be an entry."""
    leaf, after = head(db).written(fact, stamp)
    db.execute("INSERT INTO leaf VALUES (?, ?, ?)", (leaf.index, leaf.entry, leaf.hash))
    row = (after.edge.size, b"".join(after.edge.peaks), after.last)
    db.execute("INSERT OR REPLACE INTO edge VALUES (1, ?, ?, ?)", row)
    return leaf


def head(db: sqlite3.Connection) -> Head:
    """Return where the ledger ends, as the transaction under way sees it."""
    row = db.execute("SELECT size, peaks, last FROM edge").fetchone()
    if row is None:
        return Head()
    size, peaks, last = row
    if len(peaks) != size.bit_count() * HASH_BYTES:
        raise LedgerError(f"the edge of {size} leaves has {len(peaks)} bytes")
    split = tuple(peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES))
    return Head(Edge(size, split), last)


def leaves(db: sqlite3.Connection, start: int) -> Iterator[Leaf]:
    """Yield the leaves from `start` on."""
    found = db.execute("SELECT idx, entry, hash FROM leaf WHERE idx >= ? ORDER BY idx", (start,))
    found.arraysize = FETCHED
    while rows := found.fetchmany():
        for index, entry, value in rows:
            yield Leaf(index, entry, value)


def catch_up(db: sqlite3.Connection, writer: TileWriter) -> int:
    """Give a folder's writer the leaves that it does not have, and return how many; nothing is published.

    LedgerError if the folder does not hold the beginning of this ledger.
    """
    begun = writer.head.edge.size
    if begun:
        row = db.execute("SELECT hash FROM leaf WHERE idx = ?", (begun - 1,)).fetchone()
        if row is None or row[0] != writer.head.last:
            raise LedgerError(f"{writer.folder}: its {begun} leaves are not the beginning of this ledger")
    for leaf in leaves(db, begun):
        writer.add(leaf)
    if writer.head != head(db):
        raise LedgerError(f"{writer.folder}: the leaves of the database do not lead to its edge")
    return writer.head.edge.size - begun
