"""A machine that went out of use in one lot is so in the next, until a named person has cleared it."""

from pathlib import Path

import pytest

from station import events
from station.cli import code_of
from station.custody.journal import read
from station.surroundings import simulated_station_file
from tests.cell.lots import LOT, lot_here


def test_over_lots_until_somebody_clears_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station = tmp_path / "station.toml"
    text = simulated_station_file("wafer-sort").read_text()
    station.write_text(text.replace("number = 3", 'number = 3\nrecord = "a.cell"', 1))
    twelve = ("--station", str(station), "--devices", "12", "--seed", "3")

    code, _ = lot_here(tmp_path / "first", *twelve, "--fault", "smu-2.drop_reply@after=12@once")
    assert code == 12
    capsys.readouterr()
    assert code_of(("resource", "list", "--station", str(station))) == 0
    assert capsys.readouterr().out.startswith("smu-2.a  since ")

    code, report = lot_here(tmp_path / "second", *twelve)
    assert code == 0 and report["tested"] == 12
    landed = [e for e in read(tmp_path / "second" / LOT / "journal") if isinstance(e, events.TouchdownOpened)]
    assert any(2 in e.parts for e in landed)
    assert all(2 in e.untested for e in landed if 2 in e.parts)

    by = ("--by", "Mia", "--reason", "new cable")
    assert code_of(("resource", "clear", "smu-2", "--station", str(station), *by)) == 0
    code, _ = lot_here(tmp_path / "third", *twelve)
    assert code == 0
    journal = list(read(tmp_path / "third" / LOT / "journal"))
    assert not any(e.untested for e in journal if isinstance(e, events.TouchdownOpened))
