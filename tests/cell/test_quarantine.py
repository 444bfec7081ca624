"""A machine that went out of use in one lot is so in the next, until a named person has cleared it."""

from pathlib import Path

from station import events
from station.custody.journal import read
from station.surroundings import simulated_station_file
from tests.cell.lots import hardbin


def test_over_lots_until_somebody_clears_it(tmp_path: Path) -> None:
    station = tmp_path / "station.toml"
    text = simulated_station_file("wafer-sort").read_text()
    station.write_text(text.replace("number = 3", 'number = 3\nrecord = "a.cell"', 1))
    where = ("--station", str(station), "--out", str(tmp_path))
    lot = ("run", "--devices", "12", "--seed", "3", *where)

    first = hardbin(*lot, "--lot", "A", "--fault", "smu-2.drop_reply@after=12@once")
    assert first.returncode == 12, first.stdout + first.stderr
    out = hardbin("resource", "list", *where).stdout
    assert out.startswith("smu-2.a  since ")

    second = hardbin(*lot, "--lot", "B")
    assert "site 2 is out of use" in second.stdout, second.stdout + second.stderr
    tested = [e for e in read(tmp_path / "B" / "journal") if isinstance(e, events.TouchdownOpened)]
    assert any(2 in e.parts for e in tested)
    assert all(2 in e.untested for e in tested if 2 in e.parts)

    cleared = hardbin("resource", "clear", "smu-2", *where, "--by", "Mia", "--reason", "new cable")
    assert cleared.returncode == 0, cleared.stderr
    third = hardbin(*lot, "--lot", "C")
    assert third.returncode == 0 and "out of use" not in third.stdout
