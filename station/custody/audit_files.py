"""What an audit reads: every file of a ledger's folder, and the hashes that its signed root stands for."""

from dataclasses import dataclass
from pathlib import Path

from station.custody.checkpoint import Checkpoint
from station.custody.merkle import HASH_BYTES, fold, leaf_hash, root_of
from station.custody.tiles import ENTRIES, HEIGHT, TILES, WIDTH, CutError, Tile, tile_of, tiles_of, unbundled

TILE_BYTES = WIDTH * HASH_BYTES
BUNDLE_BYTES = WIDTH * (2 + 0xFFFF)
"""The longest file of a ledger."""


@dataclass(frozen=True)
class Files:
    """The tiles of a folder, partial ones of older checkpoints too, and what else lies there."""

    tiles: dict[Tile, bytes]
    strange: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> "Files":
        """Read all; OSError if one cannot be read."""
        tiles: dict[Tile, bytes] = {}
        strange: list[str] = []
        for path in sorted((folder / TILES).rglob("*")):
            name = path.relative_to(folder / TILES).as_posix()
            tile = tile_of(name)
            if tile is not None and path.is_file() and not path.is_symlink():
                tiles[tile] = limited(path, BUNDLE_BYTES)
            elif path.is_symlink() or not path.is_dir():
                strange.append(f"{TILES}/{name}")
        return cls(dict(sorted(tiles.items())), tuple(strange))

    def room(self) -> int:
        """Return how many leaves there can be at most: a false checkpoint must not keep us for ever."""
        return 2 * WIDTH * len(self.tiles)

    def best(self, tile: Tile) -> tuple[Tile, bytes] | None:
        """Return a tile, or the full one that has taken its place; None if neither is there."""
        for wanted in (tile, Tile(tile.level, tile.n)):
            if wanted in self.tiles:
                return wanted, self.tiles[wanted]
        return None


class Hashes:
    """The hashes of every level of tiles over given leaf hashes."""

    def __init__(self, leaves: bytearray) -> None:
        self.size = len(leaves) // HASH_BYTES
        self._levels = [leaves]
        while len(self._levels[-1]) >= TILE_BYTES:
            below = memoryview(self._levels[-1])
            ends = range(TILE_BYTES, len(below) + 1, TILE_BYTES)
            self._levels.append(bytearray().join(fold(bytes(below[end - TILE_BYTES : end])) for end in ends))

    def covered(self, tile: Tile) -> bytes:
        """Return what must be in a tile of hashes, or be the hashes of a bundle, as far as the tree goes."""
        level = max(0, tile.level)
        if level >= len(self._levels):
            return b""
        start = tile.n * TILE_BYTES
        return bytes(self._levels[level][start : start + tile.width * HASH_BYTES])

    def leaf(self, index: int) -> bytes:
        """Return a leaf's hash."""
        return bytes(self._levels[0][index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def root(self, size: int) -> bytes:
        """Return the root of the first leaves."""
        return root_of(self._node, size)

    def _node(self, level: int, index: int) -> bytes:
        below = level % HEIGHT
        row, start = self._levels[level // HEIGHT], (index << below) * HASH_BYTES
        return fold(bytes(row[start : start + (HASH_BYTES << below)]))


def settled(files: Files, head: Checkpoint) -> tuple[Hashes, bool]:
    """Return the hashes that lead to the signed root, else those of the entries; True in the first case."""
    told, kept = bytearray(), bytearray()
    size = min(head.size, files.room())
    for tile in tiles_of(size):
        if tile.level == ENTRIES:
            told += _padded(_told(tile, files), tile)
        elif tile.level == 0:
            best = files.best(tile)
            kept += _padded(b"" if best is None else best[1], tile)
    for leaves in (told, kept):
        hashes = Hashes(leaves)
        if size == head.size and hashes.root(size) == head.root:
            return hashes, True
    return Hashes(told), False


def limited(path: Path, size: int) -> bytes:
    """Read a file, of one that is longer than it may be only as much as shows it."""
    with path.open("rb") as file:
        return file.read(size + 1)


def readable(data: bytes, width: int) -> tuple[list[bytes], str]:
    """Return the entries of a bundle up to a damage, and what the damage is."""
    try:
        return unbundled(data, width), ""
    except CutError as error:
        return error.entries, str(error)


def leaf_of(tile: Tile, place: int) -> int:
    """Return the first leaf under a place of a tile."""
    return (tile.n * WIDTH + place) << HEIGHT * max(0, tile.level)


def _told(tile: Tile, files: Files) -> bytes:
    best = files.best(tile)
    if best is None:
        return b""
    entries, _ = readable(best[1], best[0].width)
    return b"".join(map(leaf_hash, entries))


def _padded(hashes: bytes, tile: Tile) -> bytes:
    """Cut to a tile's width; zeros, which are the hash of nothing, stand for what is not there."""
    size = tile.width * HASH_BYTES
    return hashes[:size].ljust(size, b"\0")
