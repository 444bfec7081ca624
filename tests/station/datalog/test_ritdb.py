"""RITdb: every value of the store, under entities that point to each other."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from station.datalog.ritdb import export
from station.datalog.store import Store
from station.errors import StorageError
from tests.station.datalog.lots import lot, touchdowns


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
        assert (kinds["SITE_INFO"], kinds["RESULT_INFO"], kinds["RESULT_LIMIT_SET"]) == (2, 4, 3)
        found = db.execute(
            "SELECT r.value, r.value2 FROM ritdb1 r JOIN ritdb1 t ON t.entityID = r.indexID "
            "WHERE r.name = 'R' AND t.name = 'RESULT_NUMBER' AND t.value = 300 ORDER BY r.sequence"
        ).fetchall()
        column = [value for value in store.column(1, 300) if value == value]
        assert [value for value, _ in found] == column
        assert [told for _, told in found] == ["PV", "FV", "PV", "FV", "PV"]
        final = db.execute(
            "SELECT p.value, b.value FROM ritdb1 o JOIN ritdb1 p USING (entityID) "
            "JOIN ritdb1 d USING (entityID) JOIN ritdb1 b ON b.entityID = d.value "
            "WHERE o.value = 'PART_INSTANCE_OUT' AND p.name = 'PART_ID' "
            "AND d.name = 'DISPOSITION_BIN_EID' AND b.name = 'BIN_NUMBER' ORDER BY p.value"
        ).fetchall()
        assert final == [(1, 1), (2, 1), (3, 300), (4, 1)]
    store.close()


def test_nothing_is_overwritten_and_nothing_half_written(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "lot.ritdb"
    export(store, 1, path)
    with pytest.raises(StorageError, match="not overwritten"):
        export(store, 1, path)
    with pytest.raises(StorageError, match=r"no.*\.ritdb"):
        export(store, 1, tmp_path / "no" / "folder.ritdb")
    store.close()
