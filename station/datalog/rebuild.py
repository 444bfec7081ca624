"""The datalog again from the store: byte for byte the file that was written live."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.writer import Profile
from station.datalog.store import Store
from station.errors import StorageError
from station.model import LotInfo, TouchdownResult


def replay(store: Store, run: int, folder: Path, *, profile: Profile | None = None) -> StdfFile:
    """Write a run's file anew as far as the store has it, and return it open, to go on with.

    A `.part` file that is there is replaced. `profile`: that of the lot, if none is given.
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


class OpenRun:
    """The run of a lot that was left open, in a store that is open, and the file beside it."""

    def __init__(self, store: Store, info: LotInfo, folder: Path) -> None:
        self._store, self._info, self._folder = store, info, folder
        self._run = 0
        self.finished: float | None = None
        """When the run had been ended already, unix time; None if it had not."""

    def take_up(self) -> int:
        """Go on with the run, or begin it; return the number of its last touchdown."""
        mine = [state for state in self._store.runs() if state.lot == self._info.lot]
        if not mine:
            self._run = self._store.begin(self._info)
            return 0
        self._run, self.finished = mine[-1].run, mine[-1].finished
        self._store.refit(self._run, self._info)
        return self._store.resume(self._run)

    def recall(self, told: Callable[[TouchdownResult], None]) -> None:
        """Tell of each landing, in order."""
        for landed in self._store.touchdowns(self._run):
            told(landed)

    def replayed(self, text: str, at: float) -> StdfFile:
        """Write the file anew and return it open; one that had its name already, of an open lot, goes.

        `text` stands behind the last touchdown, unless the run had been ended.
        """
        if self.finished is None:
            self._store.event("station", text, at)
        StdfFile(self._folder, self._info).path.unlink(missing_ok=True)
        return replay(self._store, self._run, self._folder)


def rebuild(store: Store, run: int, folder: Path, *, profile: Profile | None = None) -> Path:
    """Write the file of a finished run into `folder`, in its own profile if none is given."""
    state = store.state(run)
    if state.finished is None:
        raise StorageError(f"{store.path}: run {run} of lot {state.lot} is not finished")
    return replay(store, run, folder, profile=profile).close(state.finished, state.disposition)


def _tell(file: StdfFile, texts: list[str]) -> None:
    for text in texts:
        file.event_text(text)
