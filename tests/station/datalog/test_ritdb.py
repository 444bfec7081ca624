"""RITdb: every value of the store, under entities that point to each other."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from station.datalog.ritdb import export
from station.datalog.stdf.notes import alarms
from station.datalog.store import Store
from station.errors import StorageError
from station.model import DeviceResult, LotInfo, Verdict
from tests.station.datalog.lots import lot, touchdowns
from tests.station.datalog.test_intake import landings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    return store


def test_values_bins_and_parts_are_those_of_the_store(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "lot.ritdb"
    rows = export(store, 1, path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM ritdb1").fetchone() == (rows,)
        kinds = Counter(kind for (kind,) in db.execute("SELECT value FROM ritdb1 WHERE name = 'ENTITY_TYPE'"))
        assert (kinds["PART_RESULT_EVENT"], kinds["PART_INSTANCE_OUT"], kinds["BIN"]) == (6, 4, 4)
        assert (kinds["SITE_INFO"], kinds["RESULT_INFO"], kinds["RESULT_LIMIT_SET"]) == (2, 6, 5)
        found = db.execute(
            "SELECT r.value, r.value2 FROM ritdb1 r JOIN ritdb1 t ON t.entityID = r.indexID "
            "WHERE r.name = 'R' AND t.name = 'RESULT_NUMBER' AND t.value = 300 ORDER BY r.sequence"
        ).fetchall()
        column = [value for value in store.column(1, 300) if value == value]
        assert [value for value, _ in found if value is not None] == column
        assert [told for _, told in found] == ["PV", "FV", "XV", "PV", "FV", "PV"]
        final = db.execute(
            "SELECT p.value, b.value FROM ritdb1 o JOIN ritdb1 p USING (entityID) "
            "JOIN ritdb1 d USING (entityID) JOIN ritdb1 b ON b.entityID = d.value "
            "WHERE o.value = 'PART_INSTANCE_OUT' AND p.name = 'PART_ID' "
            "AND d.name = 'DISPOSITION_BIN_EID' AND b.name = 'BIN_NUMBER' ORDER BY p.value"
        ).fetchall()
        assert final == [(1, 1), (2, 1), (3, 300), (4, 1)]
    store.close()


Entity = dict[str, object]


def entities(db: sqlite3.Connection) -> dict[int, Entity]:
    """Each entity with its attributes, but for those that point elsewhere."""
    found = dict[int, Entity]()
    for entity, name, value in db.execute("SELECT entityID, name, value FROM ritdb1 WHERE indexID = 0"):
        found.setdefault(entity, {})[name] = value
    return found


def read_back(path: Path) -> list[tuple[object, ...]]:
    """What each contact says: part, site, bin, verdict, time, and each result by test and channel."""
    with closing(sqlite3.connect(path)) as db:
        known = entities(db)
        contacts = {n: one for n, one in known.items() if one["ENTITY_TYPE"] == "PART_RESULT_EVENT"}
        results = dict[int, dict[tuple[object, object], tuple[object, object]]]()
        query = "SELECT entityID, indexID, value, value2 FROM ritdb1 WHERE name = 'R' ORDER BY sequence"
        for entity, info, value, told in db.execute(query):
            test = known[info]["RESULT_NUMBER"], known[info].get("hardbin.CHANNEL", "")
            results.setdefault(entity, {})[test] = value, told
    return [
        (
            one["PART_ID"],
            known[int(str(one["SITE_INFO_EID"]))]["SITE_ID"],
            known[int(str(one["BIN_EID"]))]["BIN_NUMBER"],
            one["PF"],
            one["EVENT_TEST_TIME"],
            results.get(number, {}),
        )
        for number, one in contacts.items()
    ]


MARKS = {Verdict.PASSED: "PV", Verdict.FAILED: "FV", Verdict.NOT_JUDGED: "XV"}


def of_device(device: DeviceResult, info: LotInfo) -> tuple[object, ...]:
    """The same of a contact in the store."""
    pins = {test.number: test.pins for test in info.tests}
    results = dict[tuple[int, str], tuple[float | None, str]]()
    for one in device.measurements:
        mark = "XV" if one.test in alarms(device) else MARKS[one.verdict]
        if one.kind == "M":
            values = [None if value != value else value for value in one.values]
            values += [None] * (len(pins[one.test]) - len(values))
            results |= {(one.test, pin): (v, mark) for pin, v in zip(pins[one.test], values, strict=True)}
        else:
            value = one.value if one.kind == "P" else float(one.verdict is Verdict.PASSED)
            results[one.test, ""] = value, mark
    bad = "P" if device.verdict is Verdict.PASSED else "F"
    return (int(device.name), device.site, device.bin.number, bad, device.test_s, results)


def test_everything_that_was_measured_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(lot())
    for result in landings():
        store.commit(result)
    export(store, 1, tmp_path / "lot.ritdb")
    kept = [of_device(one, lot()) for landing in store.touchdowns(1) for one in landing.devices]
    store.close()
    assert read_back(tmp_path / "lot.ritdb") == kept
    assert len(kept) > 12


def test_nothing_is_overwritten_and_nothing_half_written(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "lot.ritdb"
    export(store, 1, path)
    with pytest.raises(StorageError, match="not overwritten"):
        export(store, 1, path)
    with pytest.raises(StorageError, match=r"lot\.ritdb.*Not a directory|lot\.ritdb.*exists"):
        export(store, 1, path / "folder.ritdb")
    store.close()
