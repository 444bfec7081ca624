"""Files that after any crash are the old or the new one: new file, fsync, rename, fsync of the folder."""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

NEW = ".new"
"""End of the name of a file that is not finished; such a file counts for nothing."""


def replace(path: Path, data: bytes) -> None:
    """Write a file durably, in place of the one that may be there."""
    put(path, data)
    sync(path.parent)


def put(path: Path, data: bytes) -> None:
    """Write a file whole; that it is there is durable only when its folder is synced."""
    new = path.with_name(path.name + NEW)
    _fill(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), data)
    new.replace(path)


def create(path: Path, data: bytes) -> None:
    """Write a file durably that only its owner can read; FileExistsError if there is one by then."""
    file, name = tempfile.mkstemp(NEW, path.name, path.parent)
    new = Path(name)
    try:
        _fill(file, data)
        os.link(new, path)
    finally:
        new.unlink()
    sync(path.parent)


def _fill(file: int, data: bytes) -> None:
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)


def make_folder(folder: Path, *, mode: int = 0o777, new: bool = False) -> list[Path]:
    """Make a folder and those above it; return the ones to sync before the folder is sure to be there.

    FileExistsError if it must be `new` and there is one.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=not new, mode=mode)
    return [one.parent for one in missing]


def keep_folder(folder: Path, *, mode: int = 0o777, new: bool = False) -> None:
    """Make a folder as `make_folder` does; when it returns, the folder outlives a power cut."""
    sync_all(make_folder(folder, mode=mode, new=new))


def sync(folder: Path) -> None:
    """Make durable which files a folder has."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a folder for this process while the block lasts; BlockingIOError if another one has it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def sync_all(folders: Iterable[Path]) -> None:
    """Sync several folders, each once."""
    for folder in sorted(set(folders)):
        sync(folder)
