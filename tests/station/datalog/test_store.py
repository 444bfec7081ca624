"""The store keeps what was measured, all of a touchdown or nothing of it."""

import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.datalog.rows import DeviceRows
from station.datalog.store import Store
from station.errors import StorageError
from station.model import (
    Bin,
    DeviceResult,
    Disposition,
    Ending,
    Measurement,
    Personalisation,
    Verdict,
)
from tests.station.datalog.lots import (
    BEGAN,
    CONTACT,
    ERROR,
    GOOD,
    failed,
    good,
    idd,
    lot,
    passed,
    touchdown,
    touchdowns,
    unjudged,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "station.db")
    store.open()
    yield store
    store.close()


def test_touchdowns_come_back_as_they_were(store: Store) -> None:
    run = store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    assert tuple(store.touchdowns(run)) == touchdowns()
    assert store.info(run) == lot()


MEASURED = st.one_of(
    st.builds(
        Measurement,
        st.just(300),
        st.just("idd_idle"),
        st.just("P"),
        st.just(Verdict.PASSED),
        value=st.floats(2e-3, 9e-3),
        text=st.sampled_from(("", "note")),
    ),
    st.builds(idd, st.floats(1.0, 1e30)),
    st.builds(idd, st.sampled_from((float("inf"), float("-inf"))), ending=st.just(Ending.OVER_RANGE)),
    st.builds(
        idd, st.none(), st.just(Verdict.FAILED), st.sampled_from((Ending.DUT_ERROR, Ending.DUT_SILENT))
    ),
    st.builds(
        idd,
        st.none(),
        st.just(Verdict.NOT_JUDGED),
        st.sampled_from((Ending.NO_VALUE, Ending.EQUIPMENT, Ending.TIMEOUT, Ending.ABORTED)),
    ),
)
ANSWERED = st.builds(
    Measurement,
    st.just(500),
    st.just("known_answer"),
    st.just("F"),
    st.sampled_from((Verdict.PASSED, Verdict.FAILED)),
    text=st.sampled_from(("", "byte 3: \u2260", "x" * 3000)),
)
TOUCHED = st.builds(
    Measurement,
    st.just(100),
    st.just("continuity"),
    st.just("M"),
    st.sampled_from((Verdict.PASSED, Verdict.FAILED)),
    values=st.tuples(*[st.floats(allow_nan=False)] * 3),
)
SEALED = Personalisation(Disposition.SEALED, 0, "", b"\1\2", "S1", b"\3" * 48, (b"\4" * 32,))


@given(st.lists(st.one_of(MEASURED, ANSWERED, TOUCHED), unique_by=lambda m: m.test), st.booleans())
def test_a_device_comes_back_as_it_was(measured: list[Measurement], cut: bool) -> None:
    ordered = tuple(sorted(measured, key=lambda m: m.test))
    sealed = None if cut else SEALED
    device = DeviceResult(2, 9, 3, CONTACT, Verdict.FAILED, ordered, BEGAN, 0.125, cut, sealed, "why")
    rows = DeviceRows(lot())
    assert rows.unpack(rows.pack(device)) == device


def test_a_device_that_simply_passed_is_values_only() -> None:
    row = DeviceRows(lot(tests=lot().tests[1:3])).pack(
        DeviceResult(1, 1, 1, GOOD, Verdict.PASSED, passed()[1:3], BEGAN, 0.1)
    )
    assert (len(row.vals), row.flags, row.extra, row.n_exec) == (16, None, None, 2)


def test_a_value_can_be_read_in_sql(store: Store) -> None:
    run = store.begin(lot())
    store.commit(touchdown(1, good(1, 1), failed(2, 2)))
    with sqlite3.connect(store.path) as connection:
        (defs,) = connection.execute("SELECT defs FROM test_set").fetchone()
        query = "SELECT substr(vals, 1 + 8 * 1, 8) FROM device WHERE run_id = ? ORDER BY site"
        cut = [blob for (blob,) in connection.execute(query, (run,))]
    connection.close()
    assert '"idd_idle"' in defs
    assert [struct.unpack("<d", blob) for blob in cut] == [(5e-3,), (12.1e-3,)]


def test_settings(store: Store) -> None:
    store.begin(lot())
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA page_size").fetchone() == (8192,)
    connection.close()
    with store._writer.connect() as writer:
        assert writer.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_what_is_told_is_in_the_outbox_with_it(store: Store) -> None:
    run = store.begin(lot())
    store.commit(touchdowns()[0])
    store.finish(BEGAN + 50)
    assert store.pending() == ((1, "run", "1"), (2, "touchdown", "1/1"), (3, "end", "1"))
    store.sent(2, BEGAN + 60)
    assert store.pending() == ((3, "end", f"{run}"),)


def test_a_touchdown_twice_is_refused_and_changes_nothing(store: Store) -> None:
    run = store.begin(lot())
    store.commit(touchdowns()[0])
    before = store.pending()
    with pytest.raises(StorageError, match="touchdown 1: it is stored already"):
        store.commit(touchdowns()[0])
    assert tuple(store.touchdowns(run)) == touchdowns()[:1]
    assert store.pending() == before


def test_a_contact_twice_takes_its_whole_touchdown_with_it(store: Store) -> None:
    run = store.begin(lot())
    store.commit(touchdowns()[0])
    with pytest.raises(StorageError, match="touchdown 2: it is stored already"):
        store.commit(touchdown(2, good(1, 7), failed(2, 2)))
    assert tuple(store.touchdowns(run)) == touchdowns()[:1]
    store.commit(touchdowns()[1])


def test_a_lot_begins_once(store: Store) -> None:
    store.begin(lot())
    with pytest.raises(StorageError, match="lot L1017: it is stored already"):
        store.begin(lot())


def test_nothing_is_committed_outside_a_lot(store: Store) -> None:
    with pytest.raises(StorageError, match="no lot has begun"):
        store.commit(touchdowns()[0])
    with pytest.raises(StorageError, match="no lot has begun"):
        store.event("note", "early", BEGAN)
    store.begin(lot())
    store.finish(BEGAN)
    with pytest.raises(StorageError, match="no lot has begun"):
        store.commit(touchdowns()[0])


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (DeviceResult(1, 1, 1, Bin(7, "?", 7), Verdict.FAILED, (), BEGAN, 0.1), "bin 7 at site 1"),
        (
            DeviceResult(
                2, 1, 1, ERROR, Verdict.PASSED, (Measurement(9, "x", "F", Verdict.PASSED),), BEGAN, 1
            ),
            "test 9 at site 2",
        ),
    ],
)
def test_what_the_lot_does_not_know_is_refused(store: Store, device: DeviceResult, message: str) -> None:
    store.begin(lot())
    with pytest.raises(StorageError, match=message):
        store.commit(touchdown(1, device))


def test_it_works_from_any_thread(store: Store) -> None:
    run = store.begin(lot())
    for result in touchdowns():
        thread = Thread(target=store.commit, args=(result,))
        thread.start()
        thread.join()
    assert len(list(store.touchdowns(run))) == 3


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    first = Store(tmp_path / "station.db")
    first.open()
    run = first.begin(lot())
    first.commit(touchdowns()[0])
    first.close()
    second = Store(tmp_path / "station.db")
    second.open()
    assert second.state(run).finished is None
    assert second.resume(run) == 1
    for result in touchdowns()[1:]:
        second.commit(result)
    second.finish(BEGAN + 50, "H")
    assert second.state(run).finished == BEGAN + 50
    assert tuple(second.touchdowns(run)) == touchdowns()
    second.close()


def test_contacts_of_a_part_are_linked(store: Store) -> None:
    store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    with sqlite3.connect(store.path) as connection:
        rows = connection.execute(
            "SELECT id, part_id, exec_no, supersedes FROM device ORDER BY id"
        ).fetchall()
    connection.close()
    assert rows == [
        (1, 1, 1, None),
        (2, 2, 1, None),
        (3, 3, 1, None),
        (4, 2, 2, 2),
        (5, 3, 2, 3),
        (6, 4, 1, None),
    ]


def altered(store: Store, *statements: str) -> None:
    """Alter the database behind the store's back."""
    with sqlite3.connect(store.path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


BEND = "CREATE TRIGGER bend AFTER INSERT ON device BEGIN UPDATE device SET hbin = 1 WHERE id = NEW.id; END"
KEEP = "CREATE TRIGGER keep BEFORE DELETE ON touchdown BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"


@pytest.mark.parametrize("kept", [False, True], ids=["taken out at once", "taken out later"])
def test_what_does_not_read_back_is_told_and_not_kept(store: Store, *, kept: bool) -> None:
    run = store.begin(lot())
    altered(store, BEND, *[KEEP] * kept)
    store.commit(touchdown(1, good(1, 1)))
    with pytest.raises(StorageError, match="I/O error" if kept else "does not read back as it was written"):
        store.commit(touchdown(2, failed(1, 2)))
    altered(store, "DROP TRIGGER bend", *["DROP TRIGGER keep"] * kept)
    if not kept:
        assert tuple(store.touchdowns(run)) == (touchdown(1, good(1, 1)),)
    corrected = touchdown(2, unjudged(1, 2))
    store.commit(corrected)
    assert tuple(store.touchdowns(run)) == (touchdown(1, good(1, 1)), corrected)
    assert [told for _, *told in store.pending()] == [
        ["run", "1"],
        ["touchdown", "1/1"],
        ["touchdown", "1/2"],
    ]


def test_statistics_at_the_end(store: Store) -> None:
    run = store.begin(lot())
    for result in (
        touchdown(1, failed(1, 1, value=4.0), unjudged(2, 2)),
        touchdown(2, failed(1, 3, value=8.0)),
    ):
        store.commit(result)
    store.finish(BEGAN + 50)
    with sqlite3.connect(store.path) as connection:
        query = "SELECT site, n, mean, m2, min, max, fail FROM summary WHERE run_id = ? AND test = 300"
        rows = connection.execute(query, (run,)).fetchall()
    connection.close()
    assert rows == [(1, 2, 6.0, 8.0, 4.0, 8.0, 2), (2, 0, 0.0, 0.0, None, None, 0)]


def test_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    path.write_text(
        "this is no database, but it is long enough to be read as the header of one, is it not?\n" * 9
    )
    store = Store(path)
    with pytest.raises(StorageError, match="station.db: open: file is not a database"):
        store.open()
    store.close()


def test_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "station.db") as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    store = Store(tmp_path / "station.db")
    with pytest.raises(StorageError, match="schema version 7, this station reads 1"):
        store.open()
    store.close()


def test_unknown_runs(store: Store) -> None:
    with pytest.raises(StorageError, match="there is no run 4"):
        store.info(4)
    with pytest.raises(StorageError, match="there is no run 4"):
        store.state(4)
