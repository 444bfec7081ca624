"""What the file of a lot says beside its results, by station file and sequence."""

from pathlib import Path

from sequences.se1.final_test import FINAL_TEST
from station.config import StationConfig, load
from station.lot_file import datalog, pins
from station.set_up import Datalog, PinGroup, Section
from station.surroundings import simulated_station_file

ASSETS = """
[[asset]]
name = "LB-2"
kind = "board"
limit = 1000
warning = 900

[[asset]]
name = "LB-3"
kind = "board"
limit = 1000
warning = 900
"""


def station(folder: Path, more: str) -> StationConfig:
    path = folder / "station.toml"
    path.write_text(simulated_station_file().read_text("utf-8") + more, "utf-8")
    return load(path)


def test_sections_groups_profile_and_assets(tmp_path: Path) -> None:
    groups = (PinGroup("io", ("IO", "CLK", "RST")),)
    assert datalog(station(tmp_path, ""), FINAL_TEST) == Datalog(groups=groups)
    found = datalog(
        station(tmp_path, '[datalog]\nprofile = "compat"\nsections = true\n' + ASSETS), FINAL_TEST
    )
    assert (found.profile, found.board, found.card) == ("compat", "LB-2", "")
    assert found.sections[0].name == "powered"
    inner = found.sections[1]
    assert Section("activated", inner.first, inner.last) == inner
    assert found.sections[0].first <= inner.first <= inner.last <= found.sections[0].last
    assert set(groups[0].pins) <= set(pins(FINAL_TEST))
