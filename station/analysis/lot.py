"""The results of a lot as one table, from the store or from an STDF file: what every analysis begins with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.analysis import spent
from station.analysis.spent import TestTimes
from station.analysis.wafers import Stacked, stacked
from station.datalog.maps import stdf as maps
from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.stdf.columns import Columns, load
from station.datalog.stdf.flags import ALARM
from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import Place, Seen, place
from station.datalog.store import Store
from station.errors import AnalysisError, MapError

NOT_GOOD, NOT_JUDGED = 0x18, 0x10
FAIL_BITS, FAILED = 0xC0, 0x80
SPARSE = np.dtype([("place", "<u2"), ("test", "u1"), ("parm", "u1")])
SQLITE = b"SQLite format 3\0"


class TestColumn(Struct, frozen=True):
    """What is fixed of a test; a limit that is not there is None."""

    __test__ = False

    number: int
    name: str
    kind: str
    """P, M or F."""
    unit: str
    low: float | None
    high: float | None


class Contacts(Struct, frozen=True):
    """One element a contact, in order."""

    part: NDArray[np.str_]
    site: NDArray[np.int64]
    hard: NDArray[np.int64]
    soft: NDArray[np.int64]
    flags: NDArray[np.int64]
    """PART_FLG."""
    test_ms: NDArray[np.int64]
    last: NDArray[np.bool_]
    """Whether no later contact superseded it."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """Whether it passed."""
        bits = self.flags & NOT_GOOD
        return np.logical_not(bits.astype(np.bool_))


class Lot(Struct, frozen=True):
    """A lot's results. `values` and `failed` are contacts × tests; NaN where there is no number."""

    name: str
    product: str
    program: str
    station: str
    tests: tuple[TestColumn, ...]
    contacts: Contacts
    values: NDArray[np.float64]
    failed: NDArray[np.bool_]
    bin_names: dict[int, str]
    """Of soft bins."""
    passing: frozenset[int]
    """Soft bins that are good."""
    times: TestTimes

    def column(self, number: int) -> int:
        """Return the place of a test."""
        found = [at for at, test in enumerate(self.tests) if test.number == number]
        if not found:
            raise AnalysisError(f"lot {self.name} has no test {number}")
        return found[0]


def lot_of(path: Path, run: int | None = None) -> Lot:
    """Read a store (`run`, or the only one) or an STDF file, known by how it begins."""
    if not _stored(path):
        return of_file(path)
    with _run_of(path, run) as (store, number):
        return of_store(store, number)


def stacked_of(path: Path, run: int | None = None) -> Stacked | None:
    """Return the wafers of a store's run or of an STDF file, laid over each other; None of a final test."""
    try:
        if not _stored(path):
            return stacked(maps.read(path))
        with _run_of(path, run) as (store, number):
            return stacked(maps.of_store(store, number))
    except MapError:
        return None


def _stored(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


@contextmanager
def _run_of(path: Path, run: int | None) -> Iterator[tuple[Store, int]]:
    store = Store(path)
    try:
        runs = [state.run for state in store.runs()]
        if run is None and len(runs) != 1:
            raise AnalysisError(f"{path}: it has {len(runs)} runs, say which with --run")
        yield store, runs[0] if run is None else run
    finally:
        store.close()


def of_store(store: Store, run: int) -> Lot:
    """Return a run of the store."""
    info, rows = store.info(run), list(store.devices(run))
    tests = tuple(
        TestColumn(
            test.number,
            test.name,
            test.kind,
            test.limit.unit if test.limit else "",
            test.limit.low if test.limit else None,
            test.limit.high if test.limit else None,
        )
        for test in info.tests
    )
    values = np.frombuffer(b"".join([row.vals for row in rows]), "<f8").reshape(len(rows), len(tests)).copy()
    values[:, [test.kind != "P" for test in tests]] = np.nan
    values[_flagged(rows, len(tests), ALARM, ALARM)] = np.nan
    contacts = _contacts(
        [str(row.part_id) for row in rows],
        [(row.site, row.hbin, row.sbin, row.part_flg, row.test_ms) for row in rows],
    )
    return Lot(
        info.lot,
        info.product,
        f"{info.sequence} {info.sequence_version}",
        info.station,
        tests,
        contacts,
        values,
        _flagged(rows, len(tests), FAIL_BITS, FAILED),
        {bin_.number: bin_.name for bin_ in info.bins},
        frozenset(bin_.number for bin_ in info.bins if bin_.good),
        spent.of_rows(rows, DeviceRows(info), len(tests)),
    )


def of_file(path: Path) -> Lot:
    """Return what an STDF file holds; of several results of a test in one contact the last one."""
    found = load(path)
    if found.fault:
        raise AnalysisError(f"{path}: {found.fault}")
    ends = [record for record in found.others if record.name == "PRR"]
    master = next((record for record in found.others if record.name == "MIR"), Record("MIR", {}))
    tests = tuple(sorted([*_measured(found), *_others(found)], key=lambda test: test.number))
    seen, names, parts = Seen(), dict[int, str](), list[str]()
    for record in found.others:
        if record.name == "PRR":
            parts.append(" ".join(seen.identity(record)).strip())
        elif record.name == "SBR":
            names[record.integer("SBIN_NUM")] = record.text("SBIN_NAM")
        seen.note(record)
    fields = ("SITE_NUM", "HARD_BIN", "SOFT_BIN", "PART_FLG", "TEST_T")
    contacts = _contacts(parts, [tuple(record.integer(name) for name in fields) for record in ends])
    values, failed = _matrix(found, tests, len(ends))
    good = {int(number) for number in np.unique(contacts.soft[contacts.good])}
    return Lot(
        master.text("LOT_ID"),
        master.text("PART_TYP"),
        f"{master.text('JOB_NAM')} {master.text('JOB_REV')}".strip(),
        master.text("NODE_NAM"),
        tests,
        contacts,
        values,
        failed,
        names,
        frozenset(good),
        spent.of_records(found.others, (test.number for test in tests)),
    )


def _measured(found: Columns) -> list[TestColumn]:
    tests = list[TestColumn]()
    for number, first in found.firsts.items():
        low, high = (first.real(name) if first.valid(name) else None for name in ("LO_LIMIT", "HI_LIMIT"))
        tests.append(TestColumn(number, first.text("TEST_TXT"), "P", first.text("UNITS"), low, high))
    return tests


def _others(found: Columns) -> list[TestColumn]:
    """Return the tests that are no single numbers: functional ones, and those with a value a pin."""
    tests = dict[int, TestColumn]()
    for record in found.others:
        number = record.integer("TEST_NUM")
        if record.name in {"MPR", "FTR"} and number not in found.firsts:
            tests.setdefault(
                number, TestColumn(number, record.text("TEST_TXT"), record.name[0], "", None, None)
            )
    return list(tests.values())


def _matrix(
    found: Columns, tests: tuple[TestColumn, ...], contacts: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.full((contacts, len(tests)), np.nan)
    failed = np.zeros((contacts, len(tests)), np.bool_)
    numbers = np.array([test.number for test in tests], np.int64)
    column, inside = np.searchsorted(numbers, found.test), found.contact >= 0
    row, column = found.contact[inside], column[inside]
    values[row, column] = np.where(found.usable, found.result, np.nan)[inside]
    failed[row, column] = np.equal(found.flags & FAIL_BITS, FAILED)[inside]
    places = {test.number: number for number, test in enumerate(tests)}
    for contact, record in _of_contacts(found.others):
        number = record.integer("TEST_NUM")
        failed[contact, places[number]] |= record.integer("TEST_FLG") & FAIL_BITS == FAILED
    return values, failed


def _of_contacts(records: tuple[Record, ...]) -> Iterator[tuple[int, Record]]:
    """Yield each MPR and FTR with the place of the PRR that closes its part."""
    waiting, contact = dict[Place, list[Record]](), 0
    for record in records:
        if record.name in {"MPR", "FTR"}:
            waiting.setdefault(place(record), []).append(record)
        elif record.name == "PRR":
            for one in waiting.pop(place(record), []):
                yield contact, one
            contact += 1


def _contacts(parts: list[str], rows: list[tuple[int, ...]]) -> Contacts:
    numbers = np.array(rows, np.int64).reshape(len(rows), 5)
    part = np.array(parts, np.str_)
    last = np.zeros(len(parts), np.bool_)
    last[list({name: at for at, name in enumerate(parts)}.values())] = True
    site, hard, soft, flags, test_ms = numbers.T
    return Contacts(part, site, hard, soft, flags, test_ms, last)


def _flagged(rows: list[DeviceRow], tests: int, bits: int, state: int) -> NDArray[np.bool_]:
    """Tell of each contact and test whether these bits of its TEST_FLG are so."""
    found = np.zeros((len(rows), tests), np.bool_)
    for number, row in enumerate(rows):
        if row.flags:
            sparse = np.frombuffer(row.flags, SPARSE)
            found[number, sparse["place"]] = np.equal(sparse["test"] & bits, state)
    return found
