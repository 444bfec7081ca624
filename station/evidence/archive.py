"""The one form that a bundle may have, so that no byte of it can differ: a tar file in ustar format.

Plain files only, mode 0644, no owner, time 0; the index first, the others sorted by name; zeros as padding,
and two blocks of zeros at the end. A header is not interpreted: it must be the one that name and size make.
"""

import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from station.custody import durable_file
from station.errors import EvidenceError

BLOCK = 512
INDEX = "index.json"
NAME_MAX = 100
SIZE_MAX = 8**11 - 1
"""The largest number that fits into a header, 8 GiB less one."""
CHUNK = 1 << 20
END = bytes(2 * BLOCK)
_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*\Z")
_SIZE = slice(124, 135)


@dataclass(frozen=True)
class Member:
    """A file of a bundle: where its content begins, and its length."""

    name: str
    start: int
    size: int


def header(name: str, size: int) -> bytes:
    """Return the header of a file; EvidenceError if a bundle cannot have it."""
    if not _NAME.match(name.encode()) or len(name) > NAME_MAX:
        raise EvidenceError(f"a file of a bundle cannot be called {name[:NAME_MAX]!r}")
    if not 0 <= size <= SIZE_MAX:
        raise EvidenceError(f"{name}: {size} bytes; at most {SIZE_MAX} are allowed")
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """Return what fills the last block of a file."""
    return bytes(-size % BLOCK)


# -- writing
def write(path: Path, index: bytes, files: Mapping[str, bytes | Path]) -> None:
    """Write a bundle whole or not at all; contents come as bytes or from files, which must not change."""
    new = path.with_name(path.name + durable_file.NEW)
    with new.open("wb") as out:
        for name, content in [(INDEX, index), *sorted(files.items())]:
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            out.write(header(name, size))
            for chunk in _chunks(content):
                out.write(chunk)
            out.write(padding(size))
        out.write(END)
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)
    durable_file.sync(path.parent)


def digest(content: bytes | Path) -> tuple[str, int]:
    """Return SHA-256 and size of a content."""
    found, size = sha256(), 0
    for chunk in _chunks(content):
        found.update(chunk)
        size += len(chunk)
    return found.hexdigest(), size


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


# -- reading
class Archive:
    """A bundle whose form is sound; its contents are read when they are wanted."""

    def __init__(self, file: int, members: Mapping[str, Member]) -> None:
        self._file = file
        self.members = members

    def read(self, name: str) -> bytes:
        """Return a whole file; EvidenceError if the bundle has no such file."""
        member = self.member(name)
        return self.part(member.start, member.size)

    def part(self, start: int, size: int) -> bytes:
        """Return some bytes of the bundle."""
        return _exactly(self._file, start, size)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a file piece by piece."""
        member = self.member(name)
        for at in range(0, member.size, CHUNK):
            yield self.part(member.start + at, min(CHUNK, member.size - at))

    def member(self, name: str) -> Member:
        """Return where a file lies; EvidenceError if the bundle does not have it."""
        if name not in self.members:
            raise EvidenceError(f"{name}: the bundle has no such file")
        return self.members[name]

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file."""
        found = sha256()
        for chunk in self.chunks(name):
            found.update(chunk)
        return found.hexdigest()

    def contents(self, folder: str) -> dict[str, bytes]:
        """Return the contents of a folder's files, by their names in it."""
        return {name: self.part(one.start, one.size) for name, one in self.below(folder).items()}

    def below(self, folder: str) -> dict[str, Member]:
        """Return the files of a folder, by their names in it."""
        start = folder + "/"
        return {name.removeprefix(start): one for name, one in self.members.items() if name.startswith(start)}


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a bundle; EvidenceError if it cannot be read, or is not in the one form."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    try:
        yield Archive(file, _members(file, path))
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from error
    finally:
        os.close(file)


@contextmanager
def unchecked(path: Path) -> Iterator[Archive]:
    """Open a bundle whose form is known already, to read parts of it."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Archive(file, {})
    finally:
        os.close(file)


def _members(file: int, path: Path) -> dict[str, Member]:
    size, at = os.fstat(file).st_size, 0
    found: dict[str, Member] = {}
    last = ""
    while size - at > len(END):
        member = _member(_exactly(file, at, BLOCK), at, size, path)
        if (not found) != (member.name == INDEX) or (last != INDEX and member.name <= last):
            raise EvidenceError(f"{path}: {member.name}: is not in its place; {INDEX} is first, then by name")
        found[member.name], last = member, member.name
        end = member.start + member.size
        at = end + len(padding(member.size))
        if at + len(END) > size:
            raise EvidenceError(f"{path}: {member.name}: the bundle ends within it")
        if _exactly(file, end, at - end).strip(b"\0"):
            raise EvidenceError(f"{path}: {member.name}: its padding is not zero")
    if not found or size - at != len(END) or _exactly(file, at, len(END)) != END:
        raise EvidenceError(f"{path}: no bundle ends like that: two blocks of zeros are wanted at byte {at}")
    return found


def _member(block: bytes, at: int, size: int, path: Path) -> Member:
    name, digits = block[:NAME_MAX].rstrip(b"\0"), block[_SIZE]
    if _NAME.match(name) and re.fullmatch(rb"[0-7]{11}", digits):
        member = Member(name.decode(), at + BLOCK, int(digits, 8))
        if header(member.name, member.size) == block:
            if member.start + member.size > size:
                raise EvidenceError(f"{path}: {member.name}: the bundle ends within it")
            return member
    raise EvidenceError(f"{path}: the header at byte {at} is not one that a bundle can have")


def _exactly(file: int, start: int, size: int) -> bytes:
    data = os.pread(file, size, start)
    while len(data) < size:
        more = os.pread(file, size - len(data), start + len(data))
        if not more:
            raise EvidenceError(f"the bundle has been cut at byte {start + len(data)} while it was read")
        data += more
    return data
