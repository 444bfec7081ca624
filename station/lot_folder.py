"""The folder of a lot: its own, and never overwritten."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from station.between import NAME
from station.custody import durable_file
from station.errors import ConfigError, StorageError
from station.open_lot import JOURNAL, unloaded
from station.surroundings import WORLD

STORE = "results.db"
VAULT = "vault"
"""The folder of the vault that works for this lot alone."""
OURS = frozenset({JOURNAL, f"{JOURNAL}.reserve", VAULT, WORLD, NAME})
"""What is in the folder of a lot before it is loaded."""


def make_folder(folder: Path) -> None:
    """Make the lot's folder; ConfigError if there is one: a lot is never overwritten."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if JOURNAL in there and there <= OURS:  # a station died before it had loaded the lot
        remove_if_never_loaded(folder)
    elif JOURNAL in there and unloaded(folder):
        folder.rename(next(aside for aside in _aside(folder) if not aside.exists()))
    try:
        durable_file.keep_folder(folder, new=True)
    except FileExistsError:
        reason = "a lot is never overwritten; give this one another name"
        raise ConfigError(f"{folder} exists: {reason}") from None
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error


def _aside(folder: Path) -> Iterator[Path]:
    """Yield names for a lot that was put back before anything of it was tested."""
    return (folder.with_name(f"{folder.name}.unloaded-{number}") for number in count(1))


def remove_if_never_loaded(folder: Path) -> None:
    """Remove the folder of a lot that never began: nothing half-written stays, the name is free again."""
    journal = folder / JOURNAL
    if journal.exists():
        with journal.open("rb") as file:
            if file.readline().endswith(b"\n"):
                return
    shutil.rmtree(folder, ignore_errors=True)
