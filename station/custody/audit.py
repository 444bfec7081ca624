"""Checking a ledger's folder offline: nothing is believed but the keys that the auditor brings.

Leaf hashes come from two places, the entries and the tiles. Those that lead to the signed root are the true
ones, so what was changed can be named. An audit takes about 100 bytes of memory a leaf beside the files.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from station.custody import rotation
from station.custody.audit_files import Files, Hashes, leaf_of, limited, readable, settled
from station.custody.checkpoint import NOTE_BYTES, Note, parsed
from station.custody.ledger import FIRST, Entry, decoded
from station.custody.log_keys import Key, signatures_by
from station.custody.merkle import HASH_BYTES, leaf_hash
from station.custody.tiles import CHECKPOINT, ENTRIES, Tile, tiles_of
from station.errors import LedgerError


class Finding(Struct, frozen=True):
    """What is wrong, in which file of the folder, and at which leaf if it concerns one."""

    file: str
    what: str
    leaf: int | None = None

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


class Report(Struct, frozen=True):
    """What an audit came to."""

    origin: str
    size: int
    root: str
    signed_by: tuple[str, ...]
    events: dict[str, int]
    """How many entries of each event."""
    findings: tuple[Finding, ...]
    notices: tuple[str, ...]
    """What is no fault, but should be known."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


@dataclass(frozen=True)
class Trust:
    """What the auditor brings: keys of the log and of witnesses, each of which must have signed."""

    log: Sequence[Key]
    witnesses: Sequence[Key] = ()
    older: Sequence[Note] = ()
    """Checkpoints from before: of the last audit, of a witness, of a lot traveller."""


def audited(folder: Path, trust: Trust) -> Report:
    """Check a folder and report; LedgerError if there is no checkpoint, or a file cannot be read."""
    path = folder / CHECKPOINT
    try:
        data, files = limited(path, NOTE_BYTES), Files.read(folder)
    except OSError as error:
        raise LedgerError(f"{error.filename or path}: {error.strerror}") from error
    return audited_files(data, files, trust)


def audited_files(checkpoint: bytes, files: Files, trust: Trust) -> Report:
    """Check a ledger of which all files were read, wherever they were."""
    try:
        note = parsed(checkpoint)
    except LedgerError as error:
        return Report("", 0, "", (), {}, (Finding(CHECKPOINT, str(error)),), ())
    return _Audit(note, trust, files).run()


@dataclass
class _Audit:
    note: Note
    trust: Trust
    files: Files
    findings: list[Finding] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def run(self) -> Report:
        head = self.note.checkpoint
        signed = self._signed(CHECKPOINT, self.note, [*self.trust.log, *self.trust.witnesses])
        hashes, leads = settled(self.files, head)
        if not leads:
            self._find(CHECKPOINT, f"neither entries nor tiles lead to the root of its {head.size} leaves")
        self._check_files(hashes)
        events = Counter(self._chained(hashes))
        for note in self.trust.older:
            self._check_older(note, hashes)
        return Report(
            head.origin,
            head.size,
            head.root.hex(),
            tuple(f"{key.name} ({key.kind.name})" for key in signed),
            dict(sorted(events.items())),
            tuple(self.findings),
            tuple(self.notices),
        )

    def _find(self, file: str, what: str, leaf: int | None = None) -> None:
        self.findings.append(Finding(file, what, leaf))

    def _signed(self, file: str, note: Note, wanted: Sequence[Key]) -> list[Key]:
        """Check the signatures of all keys that were given; the wanted ones must be there."""
        try:
            signed = signatures_by(note, [*self.trust.log, *self.trust.witnesses])
        except LedgerError as error:
            self._find(file, str(error))
            return []
        for key in wanted:
            if key not in signed:
                self._find(file, f"{key.name} ({key.kind.name}, id {key.id.hex()}) has not signed it")
        for name in sorted({key.name for key in self.trust.log} - {note.checkpoint.origin}):
            self._find(file, f"is of log {note.checkpoint.origin}, but the key is that of {name}")
        others = len(note.signatures) - len(signed)
        if others:
            self.notices.append(f"{file}: {others} signatures by keys that were not given")
        return list(signed)

    # -- files
    def _check_files(self, hashes: Hashes) -> None:
        self.notices += [f"{name}: is no part of a ledger" for name in self.files.strange]
        for tile in tiles_of(hashes.size):
            if self.files.best(tile) is None:
                self._find(tile.name, "is missing", leaf_of(tile, 0))
        for tile, data in self.files.tiles.items():
            known = hashes.covered(tile)
            if len(known) < tile.width * HASH_BYTES:
                self.notices.append(f"{tile.name}: goes beyond the checkpoint")
            if tile.level == ENTRIES:
                self._check_bundle(tile, data, known)
            else:
                self._check_hashes(tile, data, known)

    def _check_hashes(self, tile: Tile, data: bytes, known: bytes) -> None:
        if len(data) != tile.width * HASH_BYTES:
            self._find(tile.name, f"has {len(data)} bytes, not {tile.width} hashes", leaf_of(tile, 0))
        if data.startswith(known):
            return
        for place in range(len(known) // HASH_BYTES):
            at = slice(place * HASH_BYTES, (place + 1) * HASH_BYTES)
            if data[at] != known[at]:
                what = f"hash {place} is not one that the root stands for"
                self._find(tile.name, what, leaf_of(tile, place))

    def _check_bundle(self, tile: Tile, data: bytes, known: bytes) -> None:
        entries, fault = readable(data, tile.width)
        if fault:
            self._find(tile.name, fault, leaf_of(tile, len(entries)))
        for place, entry in enumerate(entries[: len(known) // HASH_BYTES]):
            if leaf_hash(entry) != known[place * HASH_BYTES : (place + 1) * HASH_BYTES]:
                leaf = leaf_of(tile, place)
                self._find(tile.name, f"entry {leaf} is not one that the root stands for", leaf)

    # -- entries
    def _chained(self, hashes: Hashes) -> Iterator[str]:
        """Check that each true entry is well made and names the one before; yield the events."""
        for tile in tiles_of(hashes.size):
            best = self.files.best(tile)
            if tile.level != ENTRIES or best is None:
                continue
            entries, _ = readable(best[1], best[0].width)
            for place, entry in enumerate(entries[: tile.width]):
                index = leaf_of(tile, place)
                if leaf_hash(entry) != hashes.leaf(index):
                    continue
                before = hashes.leaf(index - 1) if index else FIRST
                yield from self._linked(tile, index, entry, before)

    def _linked(self, tile: Tile, index: int, entry: bytes, before: bytes) -> Iterator[str]:
        try:
            found = decoded(entry)
        except LedgerError as error:
            self._find(tile.name, f"entry {index}: {error}", index)
            return
        if found.seq != index:
            self._find(tile.name, f"entry {index}: `seq` is {found.seq}", index)
        if found.prev != before.hex():
            self._find(tile.name, f"entry {index}: `prev` is not the hash of the entry before", index)
        yield found.event
        try:
            self._bordered(tile, found)
        except LedgerError as error:
            self._find(tile.name, str(error), index)

    def _bordered(self, tile: Tile, found: Entry) -> None:
        """Look at an entry that begins or ends a log: nothing may follow on its end."""
        last = self.note.checkpoint.size - 1
        if (following := rotation.next_of(found)) and found.seq != last:
            what = f"ends the log in {following}, but {last - found.seq} entries follow"
            self._find(tile.name, f"entry {found.seq}: {what}", found.seq)
        elif following:
            self.notices.append(f"it has ended, and goes on in {following}")
        if not found.seq and (before := rotation.before_of(found)) is not None:
            self.notices.append(f"it begins where {before.origin} ended, with {before.size} leaves")

    # -- history
    def _check_older(self, note: Note, hashes: Hashes) -> None:
        older, name = note.checkpoint, f"checkpoint of {note.checkpoint.size} leaves"
        self._signed(name, note, self.trust.log)
        if older.origin != self.note.checkpoint.origin:
            self._find(name, f"is of log {older.origin}, not {self.note.checkpoint.origin}")
        elif older.size > hashes.size:
            self._find(name, f"the ledger has {hashes.size} leaves now: it was rolled back")
        elif hashes.root(older.size) != older.root:
            self._find(name, "the ledger had another root then: it was rewritten")
