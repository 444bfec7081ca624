"""What stations are told without asking: stops, holds and what waits, once the ledger has published it."""

import sqlite3
from collections.abc import Iterator

import msgspec

from station.custody.ledger import Entry
from station.vault.wire import floor_pb2 as wire

KINDS = {
    "line.stopped": "stop",
    "line.released": "release",
    "unit.quarantined": "hold",
    "unit.released": "release",
    "spool.high": "spool",
    "spool.full": "spool",
    "rate.unusual": "alarm",
}
"""The kind of notice that each event is."""
CHECKPOINT = "checkpoint"
_ENTRY = msgspec.json.Decoder(Entry)


def between(db: sqlite3.Connection, start: int, end: int) -> list[wire.Notice]:
    """The notices of leaves `start` to `end`, without the last, in order."""
    return [*_between(db, start, end)]


def _between(db: sqlite3.Connection, start: int, end: int) -> Iterator[wire.Notice]:
    query = "SELECT idx, entry FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx"
    for index, content in db.execute(query, (start, end)):
        entry = _ENTRY.decode(content)
        if kind := KINDS.get(entry.event):
            yield wire.Notice(kind=kind, scope=_scope(entry), detail=_detail(entry), leaf=index)


def _scope(entry: Entry) -> str:
    """What it concerns: a unit, a site, or the line."""
    site, station = entry.data.get("site"), entry.data.get("station")
    return entry.unit or (f"site {site} of {station}" if site and station else "line")


def _detail(entry: Entry) -> str:
    for name in ("why", "reason", "code", "stops"):
        if name in entry.data:
            return str(entry.data[name])
    return entry.event
