"""A lot goes on after a kill whatever handler or prober has it: nothing lost, nothing twice."""

from pathlib import Path

import pytest
from msgspec import json

from station.chaos.evidence import Evidence, complaints
from station.chaos.lives import Lives
from station.chaos.points import Kill
from station.chaos.schedule import EXATRON, PLAIN, WAFER, station_file
from station.cli import code_of
from station.report import LotReport
from tests.cell import test_handlers, test_probers

HANDLERS = test_handlers.HANDLERS
PROBERS = [path for path in test_probers.PROBERS if path.stem != "cascade_nucleus"]
"""All that mark their dies: the truth of the others is not known."""
KILLS = (Kill("record", 9, "torn"), Kill("record", 8), Kill("record", 7, "before"))


def wrong_with(out: Path, station: Path, devices: int, *size: str) -> list[str]:
    """Kill a lot three times; say what is wrong with what it left."""
    where = ("--station", str(station))
    lives = Lives(code_of, out, "R", ("--devices", str(devices), *size, *where), where)
    last = lives.play(KILLS)
    report = json.decode((lives.folder / "report.json").read_bytes(), type=LotReport)
    assert [one.code for one in lives.lived] == [None, None, None, 0], [one.said for one in lives.lived]
    return complaints(Evidence(devices, (), lives.folder, last.code or 0, last.said, report))


def without_chips(station: Path) -> Path:
    """Make a station file one of a cell that has no vault."""
    text = station.read_text("utf-8").replace("se1-final-test", "se1-electrical-sort")
    station.write_text("".join(line for line in text.splitlines(True) if not line.startswith("chip = ")))
    return station


@pytest.mark.timeout(300)
@pytest.mark.parametrize("handler", HANDLERS, ids=lambda path: path.stem)
def test_with_each_handler(handler: Path, tmp_path: Path) -> None:
    station = without_chips(test_handlers.station_with(handler, tmp_path))
    assert wrong_with(tmp_path, station, 8, "--sites", "2") == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("prober", PROBERS, ids=lambda path: path.stem)
def test_with_each_prober(prober: Path, tmp_path: Path) -> None:
    assert wrong_with(tmp_path, test_probers.station_with(prober, tmp_path), 16) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("cell", "devices"), [(PLAIN, 9), (EXATRON, 5), (WAFER, 18)])
def test_with_each_cell_of_a_campaign(cell: str, devices: int, tmp_path: Path) -> None:
    assert wrong_with(tmp_path, station_file(cell, tmp_path), devices, *SITES[cell]) == []


SITES = {PLAIN: ("--sites", "3"), EXATRON: (), WAFER: ()}
