"""What is out of use stays so over lots and restarts, until a named person clears it."""

import asyncio
from pathlib import Path

import pytest

from drivers.roles import Resource
from station import cell_record, events
from station.cell_record import Quarantine
from station.cli import code_of
from station.clock import RealClock
from station.custody.journal import read
from station.errors import StorageError
from station.surroundings import simulated_station_file
from tests.station.engine.doubles import Bench, Box, returning, sequence


def record(folder: Path) -> Path:
    return folder / "cells" / "a.cell"


def begun(path: Path, *resources: Resource) -> Quarantine:
    made = Quarantine(path, RealClock(), resources)
    made.begin()
    return made


def test_nothing_is_written_while_nothing_is_out_of_use(tmp_path: Path) -> None:
    asyncio.run(begun(record(tmp_path), Box("smu-1.a")).keep())
    assert not record(tmp_path).exists() and cell_record.quarantined(record(tmp_path)) == {}


def test_the_next_lot_has_it_out_of_use_until_somebody_clears_it(tmp_path: Path) -> None:
    path, first = record(tmp_path), Box("smu-1.a")
    lot = begun(path, first, Box("smu-1.b"))
    first.turn.poison("no answer")
    asyncio.run(lot.keep())
    asyncio.run(lot.keep())
    assert len(list(read(path))) == 1  # told once
    again, other = Box("smu-1.a"), Box("smu-1.b")
    asyncio.run(begun(path, again, other).keep())
    assert (again.turn.poisoned, other.turn.poisoned) == ("no answer", None)
    assert len(list(read(path))) == 1
    assert cell_record.clear(path, "smu-1", actor="Mia", reason="new cable", at=5.0) == ("smu-1.a",)
    cleared = list(read(path))[-1]
    assert isinstance(cleared, events.Cleared)
    assert (cleared.resource, cleared.actor, cleared.reason) == ("smu-1.a", "Mia", "new cable")
    free = Box("smu-1.a")
    begun(path, free)
    assert free.turn.poisoned is None


def test_who_clears_a_site_of_a_lot_clears_what_it_needs(tmp_path: Path) -> None:
    path, mine, shared = record(tmp_path), Box("smu-1.a"), Box("dmm")
    lot = begun(path, mine, shared)
    for one in (mine, shared):
        one.turn.poison("broken")
    asyncio.run(lot.keep())
    who = events.Cleared(at=1.0, resource="", actor="Mia", reason="seen")
    asyncio.run(lot.clear({2}, {1: (mine, shared), 2: (shared,)}, who))
    assert (mine.turn.poisoned, shared.turn.poisoned) == ("broken", None)
    assert list(cell_record.quarantined(path)) == ["smu-1.a"]


def test_a_record_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = record(tmp_path)
    told = events.Quarantined(at=1.0, resource="smu-1.a", reason="broken")
    asyncio.run(cell_record.append(path, told))
    path.write_bytes(path.read_bytes().replace(b"smu-1.a", b"smu-2.a"))
    with pytest.raises(StorageError, match="does not follow"):
        begun(path, Box("smu-1.a"))


def test_a_lot_with_too_few_sites_does_not_begin(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [frozenset({1})])
    bench.sites[1].box.turn.poison("no answer")
    with asyncio.Runner() as runner:
        assert runner.run(bench.run()) == "HELD"
    assert bench.cell.reason == "only 0 of 1 sites are usable: box-1: no answer"
    assert not bench.happened(events.TouchdownOpened)


def test_the_command_lists_and_clears(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station = tmp_path / "station.toml"
    station.write_text(simulated_station_file().read_text())
    where = ("--station", str(station), "--out", str(tmp_path))
    assert code_of(("resource", "list", *where)) == 0
    assert capsys.readouterr().out == "nothing is out of use\n"
    told = events.Quarantined(at=0.0, resource="smu-2.a", reason="no answer")
    asyncio.run(cell_record.append(tmp_path / "sim-ft-01.cell", told))
    assert code_of(("resource", "list", *where)) == 0
    assert capsys.readouterr().out == "smu-2.a  since 1970-01-01 00:00:00 UTC: no answer\n"
    by = ("--by", "Mia", "--reason", "new cable")
    assert code_of(("resource", "clear", "smu-3", *where, *by)) == 3
    assert "smu-3 is not out of use; out of use is: smu-2.a" in capsys.readouterr().err
    assert code_of(("resource", "clear", "smu-2", *where, "--by", "Mia")) == 2
    assert code_of(("resource", "clear", "smu-2", *where, *by)) == 0
    assert cell_record.quarantined(tmp_path / "sim-ft-01.cell") == {}
