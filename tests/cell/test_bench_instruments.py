"""A bench by the command: what measures, switches, drives or heats is used for what it is for."""

from pathlib import Path

import pytest

from tests.cell.lots import hardbin, lot, lot_here

BENCH = Path(__file__).parents[2] / "sequences" / "example" / "bench.toml"


def bins(result: dict[str, object]) -> dict[str, int]:
    found = result["bins"]
    assert isinstance(found, list)
    return {one["name"]: one["count"] for one in found if one["count"]}


def test_a_lot_on_the_bench(tmp_path: Path) -> None:
    code, result = lot(tmp_path, "--station", str(BENCH), "--devices", "3", "--seed", "7")
    assert code == 0, result
    assert bins(result) == {"good": 3}
    assert result["simulated_s"] > 60, "the devices were heated and soaked"


def test_a_bench_with_an_ers_chuck(tmp_path: Path) -> None:
    text = BENCH.read_text("utf-8").replace("intest_thermostream", "ers_ac3")
    station = tmp_path / "station.toml"
    station.write_text(text.replace("visa:GPIB0::22::INSTR", "visa:ASRL7::INSTR"), "utf-8")
    code, result = lot(tmp_path / "out", "--station", str(station), "--devices", "1", "--seed", "7")
    assert code == 0, result
    assert bins(result) == {"good": 1}


@pytest.mark.parametrize(
    ("fault", "bin_name"),
    [
        ("matrix.stuck=1A01", "error"),  # the path is read back
        ("counter.overrange", "clock"),
        ("scope.no_trigger", "error"),
        ("clock.stuck_on", "error"),  # an output that stays on is never passed over
        ("air.no_flow", "error"),
        ("daq.overrange", "supply"),
        ("codes.no_read", "mark"),
    ],
)
def test_what_is_wrong_with_the_bench_is_found(fault: str, bin_name: str, tmp_path: Path) -> None:
    ran = ("--station", str(BENCH), "--devices", "1", "--seed", "7", "--fault", fault)
    _, result = lot(tmp_path, *ran)
    assert bins(result) == {bin_name: 1}, result


@pytest.mark.parametrize("machine", ["matrix", "dmm", "daq", "clock", "scope", "counter", "air", "supply-1"])
def test_power_that_goes_in_a_lot_is_told_or_makes_no_difference(machine: str, tmp_path: Path) -> None:
    """What came back with its defaults is never read as if it were set: no device fails by it."""
    for after in (3, 8, 13):
        faults = ("--fault", "dut.population=ideal", "--fault", f"{machine}.power_cycle@after={after}@once")
        where = ("--station", str(BENCH), "--devices", "2", "--seed", "7")
        code, result = lot_here(tmp_path / str(after), *where, *faults)
        assert code in (0, 12), result
        assert bins(result).keys() <= {"good", "error"}, (after, result)


def test_what_is_no_role_of_the_bench(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    station.write_text(BENCH.read_text("utf-8").replace('scope = "scope"', 'scpoe = "scope"'), "utf-8")
    ran = hardbin("run", "--lot", "T1", "--out", str(tmp_path / "out"), "--station", str(station))
    assert ran.returncode == 3, ran.stderr
    assert "the sequence bench needs 'scope'; it has no use for scpoe" in ran.stderr
