"""A 25-wafer lot and a final test with retest: three readers and the store count the same in the file."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from station.analysis.wafers import stacked
from station.datalog.intake import taken_in
from station.datalog.maps.stdf import read as maps
from station.datalog.rows import DeviceRow
from station.datalog.stdf.reader import read as stdf
from station.datalog.store import Store
from tests.cell.counted import assert_all_agree
from tests.cell.lots import LOT, hardbin, lot

STATION = Path(__file__).parents[2] / "sim" / "wafer_sort.toml"
WAFERS, RADIUS, DIES = 25, 2, 13
DIRTY = ("--fault", "socket.dirt@p=0.1")


@pytest.fixture(scope="module")
def sorted_lot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("sort")
    file = out / "station.toml"
    file.write_text(STATION.read_text("utf-8") + f"\n[simulation]\nwafer_radius = {RADIUS}\n", "utf-8")
    size = ("--devices", str(WAFERS * DIES))
    code, result = lot(out, "--station", str(file), *size, "--seed", "11", *DIRTY)
    assert code == 0, result
    return out / LOT, result


def test_a_lot_of_25_wafers_is_counted_alike_by_all(sorted_lot: tuple[Path, dict[str, Any]]) -> None:
    folder, result = sorted_lot
    assert (result["state"], result["tested"]) == ("CLOSED", WAFERS * DIES)
    assert result["retested"] > 5
    counted = assert_all_agree(folder, result)
    assert counted["WRR"] == WAFERS
    assert counted["PRR"] == WAFERS * DIES + result["retested"]


def test_each_wafer_has_its_dies_and_stands_between_its_records(
    sorted_lot: tuple[Path, dict[str, Any]],
) -> None:
    _, result = sorted_lot
    wafer, dies = "", Counter[str]()
    for record in stdf(Path(result["stdf"])):
        if record.name == "WIR":
            assert wafer == ""
            wafer = record.text("WAFER_ID")
        elif record.name == "PRR":
            assert wafer
            dies[wafer] += not record.integer("PART_FLG") & 0x02
            assert not record.integer("PART_FLG") & 0x01
        elif record.name == "WRR":
            assert record.text("WAFER_ID") == wafer
            wafer = ""
    assert dies == {f"{LOT}-{number:02d}": DIES for number in range(1, WAFERS + 1)}


def test_the_truth_of_a_die_is_found_by_its_place(sorted_lot: tuple[Path, dict[str, Any]]) -> None:
    _, result = sorted_lot
    truth = result["truth"]
    assert (truth["escapes"], truth["misplaced"], truth["custody"]) == ([], [], [])
    assert truth["good"] + len(truth["bad"]) == WAFERS * DIES
    assert truth["good"] - len(truth["overkill"]) == result["good"]


def test_the_file_is_rebuilt_to_the_same_bytes(
    sorted_lot: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, result = sorted_lot
    ran = hardbin("stdf", "rebuild", str(folder / "results.db"), "--out", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    again = tmp_path / Path(result["stdf"]).name
    assert again.read_bytes() == Path(result["stdf"]).read_bytes()


def test_out_of_the_file_comes_the_same_store(
    sorted_lot: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, result = sorted_lot
    found = list[list[DeviceRow]]()
    for place in (folder / "results.db", tmp_path / "again.db"):
        store = Store(place)
        store.open()
        if place.parent == tmp_path:
            taken_in(Path(result["stdf"]), store)
        found.append(list(store.devices(1)))
        store.close()
    for before, after in zip(*found, strict=True):
        assert before._replace(t0=0, vals=b"", extra=b"") == after._replace(t0=0, vals=b"", extra=b"")
        numbers = np.frombuffer(before.vals, "<f8").astype(np.float32)
        assert np.array_equal(numbers, np.frombuffer(after.vals, "<f8").astype(np.float32), equal_nan=True)


def test_a_final_test_with_retest_is_counted_alike_by_all(tmp_path: Path) -> None:
    code, result = lot(tmp_path, "--devices", "120", "--sites", "8", "--seed", "5", *DIRTY)
    assert code == 0, result
    assert result["retested"] > 5
    counted = assert_all_agree(tmp_path / LOT, result)
    assert (counted["PRR"], counted["WRR"]) == (120 + result["retested"], 0)


def test_wafers_of_a_file_lie_in_one_grid(sorted_lot: tuple[Path, dict[str, Any]]) -> None:
    _, result = sorted_lot
    found = stacked(maps(Path(result["stdf"])))
    assert (len(found.wafers), found.columns, found.rows) == (WAFERS, 2 * RADIUS + 1, 2 * RADIUS + 1)
    assert set(found.tested.values()) == {WAFERS}
    assert sum(found.good.values()) == result["good"]
