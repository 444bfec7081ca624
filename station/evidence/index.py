"""The index of a bundle: which files it has, with their hashes, signed by the record keys."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from station.evidence.archive import INDEX, Archive, digest
from station.evidence.finding import Finding
from station.evidence.jws import Jws, RecordKeys
from station.evidence.strict import decoded

TYPE = "hardbin-evidence+jws"


class IndexedFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the bundle."""

    name: str
    sha256: str
    size: int


class Index(Struct, frozen=True, forbid_unknown_fields=True):
    """What the vault says that the bundle is."""

    v: Literal[1]
    lot: str
    vault: str
    mode: str
    made: int
    """When, ms since 1970."""
    files: tuple[IndexedFile, ...]
    """Sorted by name."""


def listed(files: Mapping[str, bytes | Path]) -> tuple[IndexedFile, ...]:
    """Hash all files."""
    return tuple(IndexedFile(name, *digest(content)) for name, content in sorted(files.items()))


def read(archive: Archive, keys: RecordKeys) -> Index:
    """Read and verify the index; EvidenceError, TrustError."""
    return believed(archive.read(INDEX), keys)


def believed(data: bytes, keys: RecordKeys) -> Index:
    """Verify an index that was read from wherever; EvidenceError, TrustError."""
    return decoded(keys.payload(decoded(data, Jws), TYPE), Index)


def differences(archive: Archive, index: Index) -> Iterable[Finding]:
    """Compare what is there with what is signed."""
    known = {one.name: one for one in index.files}
    for name in sorted(known.keys() - archive.members.keys()):
        yield Finding(name, "is in the index, but not in the bundle")
    for name, member in archive.members.items():
        if name == INDEX:
            continue
        if name not in known:
            yield Finding(name, "is not in the index")
        elif known[name].size != member.size or archive.digest(name) != known[name].sha256:
            yield Finding(name, "is not the file that was signed: its SHA-256 is another")
