"""Chips that only a whole cell can tell: what takes for ever, and what says too much."""

from pathlib import Path

import pytest

from station.cli.codes import Exit
from tests.cell.lots import lot


@pytest.mark.parametrize("fault", ["chip.endless", "chip.long_replies"])
def test_a_bad_chip_is_rejected_and_its_neighbour_is_not(tmp_path: Path, fault: str) -> None:
    size = ("--devices", "2", "--sites", "2", "--fault", "dut.population=ideal")
    code, report = lot(tmp_path, *size, "--fault", f"{fault}@once")
    assert (code, report["state"]) == (0, "CLOSED"), report
    assert (report["tested"], report["good"], report["secured"]) == (2, 1, 1)
    truth = report["truth"]
    assert [truth[name] for name in ("escapes", "unexplained", "custody")] == [[], [], []]


def test_cloned_keys_stop_the_line(tmp_path: Path) -> None:
    size = ("--devices", "4", "--sites", "2", "--fault", "dut.population=ideal")
    code, report = lot(tmp_path, *size, "--fault", "chip.cloned_keys")
    assert (code, report["state"]) == (Exit.HELD, "HELD"), report
    assert report["secured"] == 1
    assert "two dies with one key" in report["reason"]
