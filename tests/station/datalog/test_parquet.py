"""Parquet of a lot says what the store says."""

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from station.datalog import parquet
from station.datalog.store import Store
from station.datalog.text_tables import write_csv, write_json
from station.errors import StorageError
from tests.station.datalog.lots import lot, touchdowns


def stored(folder: Path) -> Store:
    store = Store(folder / "station.db")
    store.open()
    store.begin(lot())
    for result in touchdowns():
        store.commit(result)
    return store


def test_one_row_a_value_and_a_row_for_what_failed_without_one(tmp_path: Path) -> None:
    store = stored(tmp_path)
    count = parquet.export(store, 1, tmp_path / "lot.parquet")
    store.close()
    rows = pq.read_table(tmp_path / "lot.parquet").to_pylist()
    assert len(rows) == count
    found = [(row["part"], row["contact"], row["test"], row["value"], row["test_flg"]) for row in rows]
    assert (1, 1, 300, 5e-3, 0) in found
    assert (1, 1, 500, 1.0, 0) in found
    assert (2, 1, 300, 12.1e-3, 0x80) in found
    assert (3, 1, 300, None, 0x42) in found
    assert (2, 1, 310, 2e-9, 0) not in found, "it was not reached"
    good = [row for row in rows if (row["part"], row["contact"]) == (2, 2)]
    assert {(row["site"], row["part_flg"], row["hard_bin"], row["soft_bin"]) for row in good} == {
        (2, 1, 1, 1)
    }


def test_the_file_says_what_lot_it_is(tmp_path: Path) -> None:
    store = stored(tmp_path)
    parquet.export(store, 1, tmp_path / "lot.parquet")
    store.close()
    metadata = pq.read_schema(tmp_path / "lot.parquet").metadata
    assert metadata[b"hardbin.lot"] == b"L1017"
    assert b'"idd_idle"' in metadata[b"hardbin.tests"]


def test_an_empty_lot_is_an_empty_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "station.db")
    store.open()
    run = store.begin(lot())
    assert parquet.export(store, run, tmp_path / "empty.parquet") == 0
    store.close()


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    store = stored(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        parquet.export(store, 1, tmp_path / "file" / "lot.parquet")
    store.close()


def test_one_test_of_all_contacts(tmp_path: Path) -> None:
    store = stored(tmp_path)
    assert store.column(1, 300).tolist()[:2] == [5e-3, 12.1e-3]
    assert [value == value for value in store.column(1, 310)] == [True, False, False, True, False, True]
    with pytest.raises(StorageError, match="no test 7"):
        store.column(1, 7)
    store.close()


def test_a_lot_written_three_ways_has_equal_values(tmp_path: Path) -> None:
    store = stored(tmp_path)
    table = parquet.table(store, 1)
    store.close()
    count = parquet.kept(table, tmp_path / "lot.parquet", parquet.write)
    assert parquet.kept(table, tmp_path / "lot.csv", write_csv) == count
    assert parquet.kept(table, tmp_path / "lot.json", write_json) == count

    rows = pq.read_table(tmp_path / "lot.parquet").to_pylist()
    lines = (tmp_path / "lot.json").read_bytes().splitlines()
    assert [msgspec.json.decode(line) for line in lines] == rows
    assert csv.read_csv(tmp_path / "lot.csv").to_pylist() == rows
    assert any(row["value"] is None for row in rows)
