"""A 25-wafer lot and a final test with retest: three readers and the store count the same in the file."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from station.analysis.wafers import stacked
from station.datalog.intake import taken_in
from station.datalog.maps.stdf import read as maps
from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.stdf import flags
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read as stdf
from station.datalog.stdf.trailer import TOTAL_HEAD
from station.datalog.store import Store, statistics
from station.model import DeviceResult, LotInfo
from tests.cell.lots import LOT, hardbin, lot

STATION = Path(__file__).parents[2] / "sim" / "wafer_sort.toml"
WAFERS, RADIUS, DIES = 25, 2, 13
DIRTY = ("--fault", "socket.dirt@p=0.1")
COUNTED = {
    "PRR": ("HEAD_NUM", "SITE_NUM", "PART_ID", "HARD_BIN", "SOFT_BIN", "X_COORD", "Y_COORD", "NUM_TEST"),
    "HBR": ("HEAD_NUM", "SITE_NUM", "HBIN_NUM", "HBIN_CNT", "HBIN_PF"),
    "SBR": ("HEAD_NUM", "SITE_NUM", "SBIN_NUM", "SBIN_CNT", "SBIN_PF"),
    "PCR": ("HEAD_NUM", "SITE_NUM", "PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT"),
    "TSR": ("HEAD_NUM", "SITE_NUM", "TEST_NUM", "EXEC_CNT", "FAIL_CNT"),
    "WRR": ("WAFER_ID", "PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT"),
}
"""What is compared of each record; the last fields are the counts."""
PYSTDF = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pystdf.IO import Parser

counted = json.loads(sys.argv[2])

class Sink:
    def after_send(self, source, data):
        kind, values = data
        name = type(kind).__name__.upper()
        if name in counted:
            named = dict(zip([field for field, _ in kind.fieldMap], values))
            print(json.dumps([name, [named[field] for field in counted[name]]]))

parser = Parser(inp=open(sys.argv[1], "rb"))
parser.addSink(Sink())
parser.parse()
"""
SEMI_ATE = """
import json, sys
from Semi_ATE.STDF.utils import records_from_file

counted = json.loads(sys.argv[2])
for record in records_from_file(sys.argv[1]):
    if record.id in counted:
        named = record.to_dict()
        print(json.dumps([record.id, [named[field] for field in counted[record.id]]]))
"""

Found = list[tuple[str, tuple[Any, ...]]]


def judged(path: Path, script: str) -> Found:
    """What another reader finds, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", script, str(path), json.dumps(COUNTED)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(name, tuple(fields)) for name, fields in map(json.loads, done.stdout.splitlines())]


def ours(path: Path) -> Found:
    return [
        (record.name, tuple(record.values[field] for field in COUNTED[record.name]))
        for record in stdf(path)
        if record.name in COUNTED
    ]


def of_store(path: Path) -> Found:
    """The same records once more, counted from the rows of the store without the datalog's own counters."""
    store = Store(path)
    info, rows = store.info(1), list(store.devices(1))
    unpacked = [DeviceRows(info).unpack(row) for row in rows]
    last = {device.part: device for device in unpacked}
    found: Found = [("PRR", _part(row, device)) for row, device in zip(rows, unpacked, strict=True)]
    for head, sites in [*((1, (site,)) for site in info.sites), (TOTAL_HEAD, info.sites)]:
        here = [device for device in last.values() if device.site in sites]
        site = 0 if head == TOTAL_HEAD else sites[0]
        again = sum(device.contact > 1 for device in unpacked if device.site in sites)
        found += _bins(info, here, head, site)
        found.append(("PCR", (head, site, len(here), again, *_aborted_and_good(here))))
    found += list(_tests(rows, info))
    found += list(_wafers(unpacked))
    store.close()
    return found


def _part(row: DeviceRow, device: DeviceResult) -> tuple[Any, ...]:
    x, y = (-32768, -32768) if device.place is None else (device.place.x, device.place.y)
    return 1, row.site, str(row.part_id), row.hbin, row.sbin, x, y, row.n_exec


def _bins(info: LotInfo, here: list[DeviceResult], head: int, site: int) -> Found:
    found: Found = []
    hard, soft = Counter(d.bin.hard for d in here), Counter(d.bin.number for d in here)
    for number, kind in {bin_.hard: bin_.kind for bin_ in info.bins}.items():
        found.append(("HBR", (head, site, number, hard[number], flags.PASS_FAIL[kind])))
    for bin_ in info.bins:
        found.append(("SBR", (head, site, bin_.number, soft[bin_.number], flags.PASS_FAIL[bin_.kind])))
    return found


def _aborted_and_good(here: list[DeviceResult]) -> tuple[int, int]:
    verdicts = Counter(device.verdict.value for device in here)
    return verdicts["not judged"], verdicts["passed"]


def _tests(rows: list[DeviceRow], info: LotInfo) -> Iterator[tuple[str, tuple[Any, ...]]]:
    devices = [DeviceRows(info).unpack(row) for row in rows]
    ran = Counter((d.site, m.test) for d in devices for m in d.measurements)
    failing = {key: found.failed for key, found in statistics(iter(rows), info).items()}
    for test in info.tests:
        for site in info.sites:
            key = site, test.number
            yield "TSR", (1, site, test.number, ran[key], failing[key])
        both = [sum(of[site, test.number] for site in info.sites) for of in (ran, failing)]
        yield "TSR", (TOTAL_HEAD, 0, test.number, *both)


def _wafers(devices: list[DeviceResult]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    wafers = dict.fromkeys(device.place.wafer for device in devices if device.place)
    for wafer in wafers:
        contacts = [device for device in devices if device.place and device.place.wafer == wafer]
        here = list({device.part: device for device in contacts}.values())
        again = sum(device.contact > 1 for device in contacts)
        yield "WRR", (wafer, len(here), again, *_aborted_and_good(here))


def assert_all_agree(folder: Path, result: dict[str, Any]) -> Counter[str]:
    path = Path(result["stdf"])
    assert check(path).findings == ()
    here = ours(path)
    assert judged(path, PYSTDF) == here
    assert judged(path, SEMI_ATE) == here
    assert sorted(of_store(folder / "results.db"), key=repr) == sorted(here, key=repr)
    return Counter(name for name, _ in here)


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
