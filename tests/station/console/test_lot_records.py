"""What the page looks up of a lot equals what its store and journal have."""

from pathlib import Path

import pytest

from station.console.lot_records import LotRecords
from station.console.summary_sheet import sheet
from station.datalog.store import Store
from station.datalog.summary import summarise
from station.errors import StorageError
from tests.cell.lots import LOT, here, lot


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed lot with retests, rejects and keys."""
    out = tmp_path_factory.mktemp("lots")
    faults = ("--fault", "socket.dirt@p=0.2", "--fault", "dut.leaky_input@every=7")
    _, report = lot(out, "--devices", "24", "--sites", "4", "--seed", "3", *faults)
    assert report["state"] == "CLOSED"
    return out / LOT


def test_the_summary_is_that_of_the_store(folder: Path) -> None:
    found = LotRecords(folder).summary()
    store = Store(folder / "results.db")
    assert found.counts == summarise(store, store.runs()[-1].run)
    assert sum(found.hard.values()) == found.counts.parts == 24
    assert found.outcome in ("PASSED", "FAILED")
    assert (folder / found.datalog).exists()
    assert found.ended is not None
    assert {one.number for one in found.tests}
    text = sheet(found)
    assert f"LOT {LOT}   {found.outcome}" in text
    assert found.sha256 in text
    assert f"good {found.counts.good}" in text
    assert text == sheet(LotRecords(folder).summary())


def test_a_device_has_its_life_its_values_and_its_certificates(folder: Path) -> None:
    records = LotRecords(folder)
    devices = [records.device(str(part)) for part in range(1, 25)]
    sealed = [one for one in devices if one is not None and one.serial]
    assert sealed
    for one in sealed:
        what = [step.what for step in one.steps]
        assert what[0] == "contact"
        assert what[-1] == "sorted"
        assert what.index("intended") < what.index("personalised") < what.index("sorted")
        assert one.contacts[-1].verdict == "passed"
        assert len(one.contacts[-1].measurements) > 3
        assert one.certificates
        assert all(each.subject and each.algorithm for each in one.certificates)
        assert records.device(one.serial) == one
        assert records.device(one.uid) == one
    failed = [one for one in devices if one is not None and not one.serial]
    assert failed
    assert all(not one.certificates for one in failed)
    assert any(len(one.contacts) > 1 for one in devices if one is not None)


@pytest.mark.parametrize("wanted", ["0", "25", "", "SE1XXX", "../x", "-1,3", "9" * 60])
def test_what_is_no_device_of_the_lot_is_none(folder: Path, wanted: str) -> None:
    assert LotRecords(folder).device(wanted) is None


def test_the_report_is_that_of_the_command_line(folder: Path, tmp_path: Path) -> None:
    made = here("report", "lot", str(folder / "results.db"), "--html", str(tmp_path / "r.html"))
    assert made.returncode == 0, made.stderr
    assert LotRecords(folder).report() == (tmp_path / "r.html").read_bytes()


def test_a_trace_has_the_values_of_one_test(folder: Path) -> None:
    records = LotRecords(folder)
    test = next(one for one in records.summary().info.tests if one.kind == "P")
    trace = records.trace(test.number)
    assert trace is not None
    assert test.limit is not None
    assert (trace.name, trace.unit, trace.high) == (test.name, test.limit.unit, test.limit.high)
    device = records.device("1")
    assert device is not None
    measured = {one.test: one.value for one in device.contacts[0].measurements}
    assert measured[test.number] in {value for _, _, value in trace.points}
    assert records.trace(1_000_000) is None


def test_a_lot_without_results_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no results yet"):
        LotRecords(tmp_path).summary()
