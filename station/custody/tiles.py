"""A ledger as a folder that an auditor copies: C2SP tlog-tiles.

`checkpoint`, `tile/<level>/<n>` with 256 hashes, `tile/entries/<n>` with 256 entries, each after its length.
The last tile of a level is partial, `<n>.p/<width>`, and stays until it is full.
"""

import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from station.custody.merkle import HASH_BYTES, fold
from station.errors import LedgerError

CHECKPOINT = "checkpoint"
TILES = "tile"
ENTRIES = -1
"""Stands for a level: the bundles of entries, cut like level 0."""
HEIGHT = 8
WIDTH = 1 << HEIGHT
CACHED = 64
"""Tiles that a reader keeps."""
_LENGTH = struct.Struct(">H")
_PATH = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<n>(x[0-9]{3}/)*[0-9]{3})(\.p/(?P<width>[1-9][0-9]{0,2}))?\Z"
)


@dataclass(frozen=True, order=True)
class Tile:
    """Which tile: `n` counts within the level, `width` is 256 when it is full."""

    level: int
    n: int
    width: int = WIDTH

    @property
    def name(self) -> str:
        """Its path below the ledger's folder."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"{TILES}/{level}/{numbered(self.n)}" + ("" if self.full else f".p/{self.width}")

    @property
    def full(self) -> bool:
        """Whether it can never grow."""
        return self.width == WIDTH


def numbered(n: int) -> str:
    """Write a tile's number as a path: 1234067 is `x001/x234/067`."""
    name, n = f"{n % 1000:03}", n // 1000
    while n:
        name, n = f"x{n % 1000:03}/{name}", n // 1000
    return name


def tile_of(name: str) -> Tile | None:
    """Read a path below `tile`; None if no tile has it."""
    match = _PATH.match(name)
    if match is None:
        return None
    level = ENTRIES if match["level"] == "entries" else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    found = Tile(level, n, int(match["width"] or WIDTH))
    return found if found.name == f"{TILES}/{name}" else None


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every tile of a tree: bundles of entries first, then hashes from level 0 up."""
    for level in range(ENTRIES, max(0, (size.bit_length() - 1) // HEIGHT) + 1):
        count = size >> (HEIGHT * max(0, level))
        for n in range(count // WIDTH):
            yield Tile(level, n)
        if count % WIDTH:
            yield Tile(level, count // WIDTH, count % WIDTH)


def bundle(entries: list[bytes]) -> bytes:
    """Put entries into one file, each after its length."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def unbundled(data: bytes, width: int) -> list[bytes]:
    """Take `width` entries out of a file; LedgerError with those that could be read if it does not fit."""
    entries: list[bytes] = []
    at = 0
    while len(entries) < width:
        start = at + _LENGTH.size
        if start > len(data) or start + _LENGTH.unpack_from(data, at)[0] > len(data):
            raise CutError(entries, f"ends inside entry {len(entries)} of {width}")
        at = start + _LENGTH.unpack_from(data, at)[0]
        entries.append(data[start:at])
    if at != len(data):
        raise CutError(entries, f"has {len(data) - at} bytes behind its {width} entries")
    return entries


def node_in(hashes: Callable[[int, int], bytes], level: int, index: int) -> bytes:
    """Return a node's hash, folded from the tile that `hashes` gives for a level of tiles and a number."""
    below = level % HEIGHT
    first = index << below
    start = first % WIDTH * HASH_BYTES
    return fold(hashes(level // HEIGHT, first // WIDTH)[start : start + (HASH_BYTES << below)])


class CutError(LedgerError):
    """A bundle is not what its name says; `entries` are those before the damage."""

    def __init__(self, entries: list[bytes], message: str) -> None:
        super().__init__(message)
        self.entries = entries


class TileReader:
    """Reads a ledger's folder; hashes of nodes for proofs, a few tiles kept in memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._kept: OrderedDict[Tile, bytes] = OrderedDict()

    def entry(self, index: int) -> bytes:
        """Return one entry."""
        tile = self._tile(ENTRIES, index // WIDTH)
        return self.entries(tile)[index % WIDTH]

    def entries(self, tile: Tile) -> list[bytes]:
        """Return all entries of a bundle."""
        data, width = self._found(tile)
        try:
            return unbundled(data, width)[: tile.width]
        except CutError as error:
            raise LedgerError(f"{self._folder / tile.name}: {error}") from error

    def entries_from(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield index and entry from `start` on."""
        for n in range(start // WIDTH, -(-self._size // WIDTH)):
            for place, entry in enumerate(self.entries(self._tile(ENTRIES, n))):
                if n * WIDTH + place >= start:
                    yield n * WIDTH + place, entry

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree; LedgerError if its tile is not there."""
        return node_in(lambda level, n: self.hashes(self._tile(level, n)), level, index)

    def hashes(self, tile: Tile) -> bytes:
        """Return the hashes of a tile."""
        if tile not in self._kept:
            data, width = self._found(tile)
            if len(data) != width * HASH_BYTES:
                raise LedgerError(f"{self._folder / tile.name}: {len(data)} bytes, not {width} hashes")
            self._kept[tile] = data[: tile.width * HASH_BYTES]
            if len(self._kept) > CACHED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(tile)
        return self._kept[tile]

    def _tile(self, level: int, n: int) -> Tile:
        count = self._size >> (HEIGHT * max(0, level))
        if n * WIDTH >= count:
            raise LedgerError(f"{self._folder}: {self._size} leaves have no tile {n} of level {level}")
        return Tile(level, n, min(WIDTH, count - n * WIDTH))

    def _found(self, tile: Tile) -> tuple[bytes, int]:
        """Return a tile's bytes, or those of the full one that has taken its place."""
        for wanted in (tile, Tile(tile.level, tile.n)):
            try:
                return (self._folder / wanted.name).read_bytes(), wanted.width
            except FileNotFoundError:
                continue
            except OSError as error:
                raise LedgerError(f"{self._folder / wanted.name}: {error.strerror}") from error
        raise LedgerError(f"{self._folder / tile.name}: there is no such file")
