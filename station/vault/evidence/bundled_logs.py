"""The logs that a lot's bundle has: the one that grows, and those that the lot or its order began in."""

import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station.custody import checkpoint
from station.custody.checkpoint import Note
from station.custody.leaf_table import Log
from station.custody.merkle import inclusion
from station.custody.tiles import CHECKPOINT, ENTRIES, TileReader, bundle, tiles_of
from station.errors import LedgerError
from station.evidence.bundle import ENDED, LEDGER
from station.evidence.manifest import Leaf


@dataclass(frozen=True)
class Shelf:
    """One of a vault's logs, and the folder that it lies in."""

    number: int
    log: Log
    folder: Path

    @property
    def base(self) -> int:
        """The row of its first leaf."""
        return self.log.base


class NeededLog:
    """A log of the bundle, under its checkpoint."""

    def __init__(self, shelf: Shelf, note: Note, place: str) -> None:
        """`place` is its folder in the bundle."""
        self._shelf, self._note, self._place = shelf, note, place
        self._tiles = TileReader(shelf.folder, note.checkpoint.size)

    @property
    def end(self) -> int:
        """The row behind its last leaf."""
        return self._shelf.base + self._note.checkpoint.size

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield checkpoint and tiles, by their names in the bundle."""
        yield f"{self._place}/{CHECKPOINT}", self._note.encode()
        for tile in tiles_of(self._note.checkpoint.size):
            if tile.level == ENTRIES:
                yield f"{self._place}/{tile.name}", bundle(self._tiles.entries(tile))
            else:
                yield f"{self._place}/{tile.name}", self._tiles.hashes(tile)

    def leaf(self, row: int) -> Leaf:
        """A leaf with its proof, by its row."""
        index, size = row - self._shelf.base, self._note.checkpoint.size
        proof = tuple(b64encode(one).decode() for one in inclusion(self._tiles.node, index, size))
        origin = "" if self._place == LEDGER else self._note.checkpoint.origin
        return Leaf(index, self._tiles.entry(index).decode(), proof, origin)


def needed(
    db: sqlite3.Connection, shelves: Sequence[Shelf], note: Note, about: Mapping[str, Sequence[str]]
) -> list[NeededLog]:
    """The last log, with `note`, and those from the one on that first tells of what it is about.

    That is names and values of an entry, such as `lot` and the lot's name.
    """
    *ended, last = shelves
    first = _first_row(db, about) if ended else 0
    found = [
        NeededLog(one, _final(one.folder), f"{ENDED}/{one.number}")
        for one in ended
        if one.log.end is not None and first < one.log.end
    ]
    return [*found, NeededLog(last, note, LEDGER)]


def _first_row(db: sqlite3.Connection, about: Mapping[str, Sequence[str]]) -> int:
    marks = [f'"{name}":'.encode() + msgspec.json.encode(one) for name, all_ in about.items() for one in all_]
    wanted = " OR ".join("instr(entry, ?)" for _ in marks)
    row = db.execute(f"SELECT idx FROM leaf WHERE {wanted} ORDER BY idx LIMIT 1", marks).fetchone()  # noqa: S608 - placeholders
    return 0 if row is None else int(row[0])


def _final(folder: Path) -> Note:
    path = folder / CHECKPOINT
    try:
        return checkpoint.parsed(path.read_bytes())
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
