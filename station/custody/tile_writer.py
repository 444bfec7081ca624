"""Writing a ledger's folder: a checkpoint is there only when all that it covers is on disk.

One process writes; anybody may read and copy meanwhile, the checkpoint first.
"""

import shutil
from pathlib import Path

from station.custody import durable_file
from station.custody.checkpoint import Checkpoint, Note, parsed
from station.custody.checkpoint_signer import CheckpointSigner
from station.custody.ledger import Head, Leaf
from station.custody.merkle import EMPTY, HASH_BYTES, Edge, consistency, edge_of, fold
from station.custody.tiles import CHECKPOINT, ENTRIES, HEIGHT, WIDTH, Tile, TileReader, bundle, node_in
from station.errors import LedgerError


class TileWriter:
    """Collects leaves, and makes them durable with the checkpoint that covers them."""

    def __init__(self, folder: Path) -> None:
        """Go on behind the checkpoint of a folder, or begin one; LedgerError if it is not sound."""
        self.folder = folder
        self.published = _published(folder)
        self._edge, self._entries, self._hashes = _right_side(folder, self.published)
        self._full: dict[Tile, bytes] = {}
        last = self._last_leaf() if self._edge.size else Head().last
        self.head = Head(self._edge, last)
        """Where the ledger ends, with what was added since the checkpoint."""

    def add(self, leaf: Leaf) -> None:
        """Take the next leaf; nothing is on disk before `publish`."""
        if leaf.index != self._edge.size:
            raise LedgerError(f"{self.folder}: leaf {leaf.index} does not follow {self._edge.size} leaves")
        self._edge = self._edge.grown(leaf.hash)
        self.head = Head(self._edge, leaf.hash)
        self._entries.append(leaf.entry)
        if len(self._entries) == WIDTH:
            self._full[Tile(ENTRIES, leaf.index // WIDTH)] = bundle(self._entries)
            self._entries = []
        self._add_hash(0, leaf.index, leaf.hash)

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree, of leaves that are not published too."""
        return node_in(self._row, level, index)

    def sign_and_publish(self, signer: CheckpointSigner) -> Note:
        """Have a checkpoint of all leaves signed, and publish it; LedgerError if the signer refuses."""
        edge, old = self._edge, signer.last.size
        if old > edge.size:
            raise LedgerError(f"{self.folder}: {old} leaves are signed, it has only {edge.size}")
        note = signer.sign(old, edge.size, edge.root, consistency(self.node, old, edge.size))
        self.publish(note)
        return note

    def publish(self, note: Note) -> None:
        """Write what the checkpoint covers, then the checkpoint; LedgerError if it is not of this ledger."""
        checkpoint = note.checkpoint
        if (checkpoint.size, checkpoint.root) != (self._edge.size, self._edge.root):
            raise LedgerError(
                f"{self.folder}: the checkpoint of {checkpoint.size} leaves is of another ledger"
            )
        if self.published is not None and self.published.origin != checkpoint.origin:
            raise LedgerError(f"{self.folder}: is of log {self.published.origin}, not {checkpoint.origin}")
        try:
            self._write_all()
            durable_file.replace(self.folder / CHECKPOINT, note.encode())
            self._remove_partial()
        except OSError as error:
            raise LedgerError(f"{self.folder}: {error.strerror}") from error
        self.published = checkpoint

    def _add_hash(self, level: int, index: int, value: bytes) -> None:
        if level == len(self._hashes):
            self._hashes.append(bytearray())
        row = self._hashes[level]
        row += value
        if len(row) == WIDTH * HASH_BYTES:
            self._full[Tile(level, index // WIDTH)] = bytes(row)
            self._hashes[level] = bytearray()
            self._add_hash(level + 1, index // WIDTH, fold(bytes(row)))

    def _row(self, level: int, n: int) -> bytes:
        tile = Tile(level, n)
        if tile in self._full:
            return self._full[tile]
        if n == self._edge.size >> HEIGHT * (level + 1):
            return bytes(self._hashes[level])
        return TileReader(self.folder, self._edge.size).hashes(tile)

    def _write_all(self) -> None:
        dirty = set(durable_file.make_folder(self.folder)) | {self.folder}
        for tile, data in [*self._full.items(), *self._partial()]:
            path = self.folder / tile.name
            dirty |= {path.parent, *durable_file.make_folder(path.parent)}
            durable_file.put(path, data)
        durable_file.sync_all(dirty)

    def _partial(self) -> list[tuple[Tile, bytes]]:
        found = []
        if self._entries:
            tile = Tile(ENTRIES, self._edge.size // WIDTH, len(self._entries))
            found.append((tile, bundle(self._entries)))
        for level, row in enumerate(self._hashes):
            if row:
                n = self._edge.size >> HEIGHT * (level + 1)
                found.append((Tile(level, n, len(row) // HASH_BYTES), bytes(row)))
        return found

    def _remove_partial(self) -> None:
        """Remove the partial tiles of those that are full now; they hold nothing that these do not."""
        for tile in self._full:
            path = self.folder / tile.name
            shutil.rmtree(path.with_name(path.name + ".p"), ignore_errors=True)
        self._full = {}

    def _last_leaf(self) -> bytes:
        return TileReader(self.folder, self._edge.size).node(0, self._edge.size - 1)


def _published(folder: Path) -> Checkpoint | None:
    path = folder / CHECKPOINT
    try:
        return parsed(path.read_bytes()).checkpoint
    except FileNotFoundError:
        return None
    except (OSError, LedgerError) as error:
        raise LedgerError(f"{path}: {error}") from error


def _right_side(folder: Path, checkpoint: Checkpoint | None) -> tuple[Edge, list[bytes], list[bytearray]]:
    """Read edge, entries and hashes of the tiles that are not full."""
    size, root = (0, EMPTY) if checkpoint is None else (checkpoint.size, checkpoint.root)
    reader = TileReader(folder, size)
    edge = edge_of(reader.node, size)
    if edge.root != root:
        raise LedgerError(f"{folder}: its tiles do not have the root of its checkpoint")
    entries = list(reader.entries(Tile(ENTRIES, size // WIDTH, size % WIDTH))) if size % WIDTH else []
    hashes: list[bytearray] = []
    count = size
    while count:
        width = count % WIDTH
        row = reader.hashes(Tile(len(hashes), count // WIDTH, width)) if width else b""
        hashes.append(bytearray(row))
        count //= WIDTH
    return edge, entries, hashes
