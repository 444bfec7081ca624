"""A file of results that gets its name when it is whole and on disk; no file is overwritten."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from station.custody import durable_file
from station.errors import StorageError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield where to write it; StorageError if it cannot be, or if there is a file of that name."""
    if path.exists():
        raise StorageError(f"{path}: the file exists, it is not overwritten")
    part = path.with_name(path.name + durable_file.NEW)  # not .part: that may be the cut file it is made of
    try:
        durable_file.keep_folder(path.parent)
        with _of_its_own(part):
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        durable_file.sync(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _of_its_own(part: Path) -> Iterator[None]:
    """Nothing of an earlier try is in the file, and nothing is left if this one fails."""
    part.unlink(missing_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            part.unlink()
