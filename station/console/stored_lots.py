"""The lots that a station has kept: which there are, and the results of those that somebody looks at."""

from collections import OrderedDict
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from station.analysis.lot import Lot, lot_of
from station.console.lot_records import STORE
from station.datalog.maps import stdf as maps
from station.datalog.maps.wafer import WaferMap
from station.datalog.store import Store
from station.errors import AnalysisError, MapError, StorageError
from station.open_lot import JOURNAL
from station.past_sweeps import PastSweep, sweeps_in
from station.set_up import Study

MOST = 200
"""So many of the latest lots are listed."""
HELD = 3
"""So many lots stay in memory: whoever looks at one asks for test after test of it."""
TOGETHER = 30
"""So many lots are looked at together at most."""

Mark: TypeAlias = tuple[tuple[int, int], ...]
"""When a store's files were written last, and their sizes."""


class Parametric(Struct, frozen=True):
    """A test that gives a number."""

    number: int
    name: str


class Stored(Struct, frozen=True):
    """A lot, when it was set up (seconds since 1970), and what can be asked of it."""

    lot: str
    at: float
    product: str
    sequence: str
    flow: str
    sorted: bool
    """Whether its dies have places on wafers."""
    tests: tuple[Parametric, ...]
    devices: int
    ended: bool
    study: Study | None


class StoredLots:
    """Reads files and blocks; of one thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int], Stored] = {}
        """Of lots that have ended."""
        self._lots: OrderedDict[Path, tuple[Mark, Lot]] = OrderedDict()
        """Each as it was at its mark; the latest asked for is the last."""

    def listed(self, folder: Path) -> list[Stored]:
        """Return the latest lots of a folder that have results, the last one first."""
        stores = [(path.stat(), path) for path in folder.glob(f"*/{STORE}")]
        latest = sorted(stores, key=lambda one: -one[0].st_mtime)[:MOST]
        found = (self._one(path, status.st_ino) for status, path in latest)
        return sorted((one for one in found if one is not None), key=lambda one: -one.at)

    def lots(self, folder: Path, names: list[str], least: int = 1) -> list[Lot]:
        """Return lots by name; AnalysisError for one that is not there, and if there are too few or many."""
        if not least <= len(names) <= TOGETHER:
            raise AnalysisError(f"lots: {least} to {TOGETHER} of them, there are {len(names)}")
        return [self._lot(self._path(folder, name)) for name in names]

    def maps(self, folder: Path, names: list[str]) -> list[WaferMap]:
        """Return the wafers of lots, named by lot and wafer; AnalysisError for a lot that is not there."""
        if not 1 <= len(names) <= TOGETHER:
            raise AnalysisError(f"lots: 1 to {TOGETHER} of them, there are {len(names)}")
        return [wafer for name in names for wafer in self._maps(self._path(folder, name))]

    def sweeps(self, folder: Path, names: list[str]) -> list[PastSweep]:
        """Return what was swept in the first of these lots; AnalysisError if it is not there."""
        if not names:
            raise AnalysisError("name a lot")
        journal = self._path(folder, names[0]).parent / JOURNAL
        return sweeps_in(journal) if journal.exists() else []

    def _one(self, path: Path, inode: int) -> Stored | None:
        if (path, inode) in self._known:
            return self._known[path, inode]
        found = _stored(path)
        if found is not None and found.ended:
            self._known[path, inode] = found
        return found

    def _path(self, folder: Path, name: str) -> Path:
        path = folder / name / STORE
        if Path(name).name != name or not path.is_file():
            raise AnalysisError(f"there is no lot {name[:64]!r} with results")
        return path

    def _lot(self, path: Path) -> Lot:
        mark, (known, lot) = _mark(path), self._lots.get(path, (None, None))
        if lot is None or known != mark:
            lot = lot_of(path, _run(path))
        self._lots[path] = mark, lot
        self._lots.move_to_end(path)
        while len(self._lots) > HELD:
            self._lots.popitem(last=False)
        return lot

    @staticmethod
    def _maps(path: Path) -> list[WaferMap]:
        store = Store(path)
        try:
            return [replace(one, lot=path.parent.name) for one in maps.of_store(store, _last_run(store))]
        except MapError as error:
            raise AnalysisError(f"lot {path.parent.name}: {error}") from error
        finally:
            store.close()


def _mark(path: Path) -> Mark:
    """Return what changes with each result: that of a lot that runs is in the log beside the file."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return tuple((one.st_mtime_ns, one.st_size) for one in (file.stat() for file in files if file.exists()))


def _run(path: Path) -> int:
    store = Store(path)
    try:
        return _last_run(store)
    finally:
        store.close()


def _last_run(store: Store) -> int:
    runs = store.runs()
    if not runs:
        raise AnalysisError(f"{store.path}: there are no results yet")
    return runs[-1].run


def _stored(path: Path) -> Stored | None:
    """What is said of a lot; None while there is nothing, or if it is no store of ours."""
    store = Store(path)
    try:
        run = _last_run(store)
        info, state = store.info(run), store.state(run)
    except (AnalysisError, StorageError):
        return None
    finally:
        store.close()
    tests = tuple(Parametric(one.number, one.name) for one in info.tests if one.kind == "P")
    return Stored(
        path.parent.name,
        info.set_up,
        info.product,
        info.sequence,
        info.flow,
        info.wafers is not None,
        tests,
        info.quantity,
        state.finished is not None,
        info.study,
    )
