"""Sweeps by the command: three makes of source-measure units climb curves of whole lots."""

from pathlib import Path

import pytest

from tests.cell.lots import lot

CURVE = Path(__file__).parents[2] / "sequences" / "example" / "curve.toml"


def bins(result: dict[str, object]) -> dict[str, int]:
    found = result["bins"]
    assert isinstance(found, list)
    return {one["name"]: one["count"] for one in found if one["count"]}


def test_a_lot_of_curves(tmp_path: Path) -> None:
    code, result = lot(tmp_path, "--station", str(CURVE), "--devices", "6", "--seed", "7")
    assert code == 0, result
    assert bins(result) == {"good": 6}


def test_a_device_that_leaks_fails_its_curve(tmp_path: Path) -> None:
    ran = ("--station", str(CURVE), "--devices", "4", "--seed", "7", "--fault", "dut.leaky_input=2")
    code, result = lot(tmp_path, *ran)
    assert code == 0, result
    assert bins(result) == {"good": 3, "leakage": 1}


@pytest.mark.parametrize(
    ("fault", "bin_name"),
    [
        ("smu-1.no_trigger", "error"),  # no edge: the sweep is given up, and no device is judged
        ("other-1.no_trigger", "error"),
        ("fine-1.no_trigger", "error"),
        ("smu-1.block_length@once", "error"),
        ("other-1.lost_reading", "error"),
        ("fine-1.hot", "error"),
        ("fine-1.trip", "clamp"),  # a reading at the limit tells the limit, which no device passes
    ],
)
def test_what_is_wrong_with_a_sweep_is_found(fault: str, bin_name: str, tmp_path: Path) -> None:
    ran = ("--station", str(CURVE), "--sites", "1", "--devices", "1", "--seed", "7", "--fault", fault)
    _, result = lot(tmp_path, *ran)
    assert bins(result) == {bin_name: 1}, result
