"""What a handler says out of turn, by the command: events of the lot beside the hold that they bring."""

from pathlib import Path
from typing import Any

import pytest

from station import events
from station.custody.journal import read
from station.surroundings import simulated_station_file
from tests.cell.lots import lot_here
from tests.cell.test_handlers import HANDLERS, station_with

EXATRON = simulated_station_file().with_name("exatron.toml")


def ran(folder: Path, station: Path, *faults: str) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """Run a small lot; return its result, and what the handler told, its code and text."""
    thrown = [word for fault in faults for word in ("--fault", fault)]
    where = ("--station", str(station), "--devices", "2", "--seed", "7", "--sites", "1")
    _, result = lot_here(folder / "out", *where, *thrown)
    history = read(Path(result["journal"]))
    told = [event for event in history if isinstance(event, events.MachineTold)]
    return result, [(event.what, event.code, event.text) for event in told]


@pytest.mark.parametrize(
    ("fault", "told"),
    [("jam=4", ("alarm", "", "JAM 4")), ("part_dropped", ("part dropped", "", "PART DROPPED ?"))],
)
def test_an_exatron_tells_why_it_has_stopped(fault: str, told: tuple[str, str, str], tmp_path: Path) -> None:
    result, said = ran(tmp_path, EXATRON, f"handler.{fault}@after=1@once")
    assert result["state"] == "HELD"
    assert said == [told]


def test_a_gem_handler_tells_what_its_alarms_are(tmp_path: Path) -> None:
    (gem,) = (path for path in HANDLERS if path.stem == "gem")
    station = station_with(gem, tmp_path)
    text = station.read_text("utf-8")
    kinds = '[equipment.options.profile]\nwarnings = [19]\nkinds = { 17 = "jam" }\n'
    station.write_text(text.replace("[equipment.options.profile]\n", kinds), "utf-8")
    result, said = ran(tmp_path, station, "handler.output_full@once", "handler.alarm@after=1@once")
    assert (result["state"], result["reason"]) == ("HELD", "error 17: handler: JAM")
    assert said == [("warning", "19", "OUTPUT FULL"), ("jammed", "17", "JAM")]
