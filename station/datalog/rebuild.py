"""The datalog again from the store: byte for byte the file that was written live."""

from collections import defaultdict
from pathlib import Path

from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.writer import Profile
from station.datalog.store import Store
from station.errors import StorageError


def replay(store: Store, run: int, folder: Path, *, profile: Profile = "compact") -> StdfFile:
    """Write a run's file anew as far as the store has it, and return it open, to go on with.

    A `.part` file that is there is replaced.
    """
    file = StdfFile(folder, store.info(run), profile=profile)
    file.part.unlink(missing_ok=True)
    file.open()
    texts = defaultdict[int, list[str]](list)
    for event in store.events(run):
        texts[event.after].append(event.text)
    _tell(file, texts[0])
    for result in store.touchdowns(run):
        file.touchdown(result)
        _tell(file, texts[result.seq])
    return file


def rebuild(store: Store, run: int, folder: Path, *, profile: Profile = "compact") -> Path:
    """Write the file of a finished run into `folder` and return its path."""
    state = store.state(run)
    if state.finished is None:
        raise StorageError(f"{store.path}: run {run} of lot {state.lot} is not finished")
    return replay(store, run, folder, profile=profile).close(state.finished, state.disposition)


def _tell(file: StdfFile, texts: list[str]) -> None:
    for text in texts:
        file.event_text(text)
