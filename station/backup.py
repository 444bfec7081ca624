"""A station's folders in one file while it works, and back; databases are copied as of one moment.

Databases come last: a ledger's folder is then never ahead of the database that it is made of.
"""

import io
import os
import sqlite3
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from station.custody import durable_file
from station.errors import ConfigError, CustodyError

MANIFEST = "manifest.json"
SQLITE = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database; its content is in the copy."""


class Member(Struct, frozen=True):
    """A file of the backup."""

    path: str
    size: int
    mode: int
    sha256: str


@dataclass(frozen=True)
class Copied:
    """A file as it was read."""

    member: Member
    data: bytes


def save(folders: Sequence[Path], out: Path) -> tuple[Member, ...]:
    """Write a backup of folders into a new file that only its owner can read; ConfigError, CustodyError."""
    names = [folder.resolve().name for folder in folders]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"two folders are called {', '.join(sorted(twice))}: back them up apart")
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: there is no such folder")
    return written(_files(folders), out)


def written(files: Iterable[Copied], out: Path) -> tuple[Member, ...]:
    """Write files into a new one that only its owner can read; ConfigError, CustodyError."""
    try:
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}") from error
    try:
        with os.fdopen(file, "wb") as raw:
            members = _written(files, raw)
            raw.flush()
            os.fsync(raw.fileno())
        durable_file.sync(out.resolve().parent)
    except (OSError, sqlite3.Error) as error:
        out.unlink()
        raise CustodyError(f"{out}: {error}") from error
    except BaseException:
        out.unlink()
        raise
    return members


def _written(files: Iterable[Copied], raw: io.BufferedWriter) -> tuple[Member, ...]:
    members = []
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for one in files:
            _add(tar, one.member, one.data)
            members.append(one.member)
        _add(tar, Member(MANIFEST, 0, 0o600, ""), msgspec.json.encode(members))
    return tuple(members)


def _files(folders: Sequence[Path]) -> Iterator[Copied]:
    plain: list[tuple[str, Path]] = []
    databases: list[tuple[str, Path]] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.name.endswith(BESIDE):
                continue
            name = str(PurePosixPath(folder.resolve().name, *path.relative_to(folder).parts))
            (databases if _is_database(path) else plain).append((name, path))
    for name, path in plain:
        yield _copied(name, path, path.read_bytes())
    for name, path in databases:
        yield _copied(name, path, _snapshot(path))


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _snapshot(path: Path) -> bytes:
    """Read a database as it stands at one moment, whoever writes it."""
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(":memory:")) as copy:
        live.backup(copy)
        return copy.serialize()


def _copied(name: str, path: Path, data: bytes) -> Copied:
    return copied(name, data, stat.S_IMODE(path.stat().st_mode))


def copied(name: str, data: bytes, mode: int = 0o600) -> Copied:
    """Return what goes into the file under a name."""
    return Copied(Member(name, len(data), mode, sha256(data).hexdigest()), data)


def _add(tar: tarfile.TarFile, member: Member, data: bytes) -> None:
    info = tarfile.TarInfo(member.path)
    info.size, info.mode = len(data), member.mode
    tar.addfile(info, io.BytesIO(data))


def restore(file: Path, into: Path) -> tuple[Member, ...]:
    """Write a backup's files into a new folder, having checked each; ConfigError, CustodyError."""
    if into.exists():
        raise ConfigError(f"{into} is there already; restore into a new folder, and look at it first")
    members = checked(file)
    try:
        into.mkdir(mode=0o700, parents=True)
        folders = {into}
        told = {one.path: one for one in members}
        for name, data in _contents(file):
            if (one := told.get(name)) is not None:
                path = into / name
                folders |= {path.parent, *durable_file.make_folder(path.parent)}
                durable_file.put(path, data)
                path.chmod(one.mode)
        durable_file.sync_all(folders)
    except OSError as error:
        raise CustodyError(f"{error.filename or into}: {error.strerror}") from error
    return members


def checked(file: Path) -> tuple[Member, ...]:
    """Read a backup through; CustodyError if a file of it is not what it was, is missing, or is too many."""
    found: dict[str, str] = {}
    manifest = b""
    for name, data in _contents(file):
        if name == MANIFEST:
            manifest = data
        elif name in found:
            raise CustodyError(f"{file}: {name} is there twice")
        else:
            found[name] = sha256(data).hexdigest()
    try:
        members = msgspec.json.decode(manifest, type=tuple[Member, ...])
    except msgspec.DecodeError as error:
        raise CustodyError(f"{file}: is no backup: {error}") from error
    told = {one.path: one.sha256 for one in members}
    if odd := sorted(told.items() ^ found.items()):
        raise CustodyError(f"{file}: {odd[0][0]} is not what was backed up, is missing, or is too many")
    return members


def _contents(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a backup, one in memory at a time."""
    try:
        with tarfile.open(file) as tar:
            for info in tar:
                path = PurePosixPath(info.name)
                if not info.isreg() or path.is_absolute() or ".." in path.parts:
                    raise CustodyError(f"{file}: {info.name} is no file within a folder")
                content = tar.extractfile(info)
                yield info.name, b"" if content is None else content.read()
    except (tarfile.TarError, EOFError) as error:
        raise CustodyError(f"{file}: is no backup: {error}") from error
