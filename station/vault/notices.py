"""What stations are told without asking, once the ledger has published it: stops, alarms, what runs out."""

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from station.custody.checkpoint import Checkpoint
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
    "uid.duplicate": "alarm",
    "spki.duplicate": "alarm",
    "registry.conflict": "alarm",
    "rmac.wrong": "alarm",
    "cryptogram.wrong": "alarm",
    "clock.step": "alarm",
    "clock.offset": "alarm",
    "log.gap": "alarm",
    "config.changed": "alarm",
    "quota.low": "quota",
    "order.exhausted": "quota",
    "lot.closed": "closed",
}
"""The kind of notice that each event is."""
WORDS = {
    "uid.duplicate": "another die has this UID",
    "spki.duplicate": "another die has this key",
    "rmac.wrong": "a reply whose MAC is wrong",
    "cryptogram.wrong": "it does not know its transport keys",
}
"""What those are that say nothing besides."""
RELEASE, CHECKPOINT = "release", "checkpoint"
LATE_MAX = 100_000
"""So many entries are looked through for a station that was away."""
_ENTRY = msgspec.json.Decoder(Entry)
Concerns = Callable[[Entry], bool]


def between(
    db: sqlite3.Connection, start: int, end: int, concerns: Concerns, base: int = 0
) -> list[wire.Notice]:
    """The notices of the leaves in rows `start` to `end`, without the last, of what concerns somebody.

    `base` is the row of the log's first leaf: a notice names a leaf by its index in its log.
    """
    return [*_between(db, (start, end), concerns, base)]


def published(head: Checkpoint, at: float) -> wire.Notice:
    """Tell of a signed checkpoint: its root is the detail, hexadecimal."""
    return wire.Notice(
        kind=CHECKPOINT, scope=head.origin, detail=head.root.hex(), leaf=head.size - 1, at_ms=round(at * 1000)
    )


def _between(
    db: sqlite3.Connection, rows: tuple[int, int], concerns: Concerns, base: int
) -> Iterator[wire.Notice]:
    query = "SELECT idx, entry FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx"
    for row, content in db.execute(query, rows):
        entry = _ENTRY.decode(content)
        if (kind := _kind(entry)) and concerns(entry):
            yield wire.Notice(
                kind=kind,
                scope=_scope(entry),
                detail=_detail(entry),
                leaf=row - base,
                event=entry.event,
                at_ms=entry.t,
            )


def _kind(entry: Entry) -> str:
    """How far the clock is off is told each minute; a notice is only that it is too far, or no longer."""
    if entry.event == "clock.offset":
        why = entry.data.get("why")
        return "" if why is None else "alarm" if why else RELEASE
    return KINDS.get(entry.event, "")


def _scope(entry: Entry) -> str:
    """What it concerns: a unit, a lot, an order, a site, or the line."""
    site, station = entry.data.get("site"), entry.data.get("station")
    place = f"site {site} of {station}" if site and station else "line"
    return entry.unit or entry.lot or entry.order or place


def _detail(entry: Entry) -> str:
    if KINDS[entry.event] == "quota":
        return msgspec.json.encode({"left": 0, **entry.data}).decode()
    for name in ("why", "reason", "code", "stops"):
        if name in entry.data:
            return str(entry.data[name])
    return WORDS.get(entry.event, entry.event)
