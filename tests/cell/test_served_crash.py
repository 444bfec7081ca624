"""A station that serves takes up what it was left with, after a kill and after an abort."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station import commands, events
from station.chaos.evidence import Evidence, complaints
from station.chaos.lives import Lives
from station.chaos.operator import ROLES, Operator
from station.chaos.points import Kill
from station.chaos.schedule import PERSONALISING, PLAIN, station_file
from station.chaos.served import ServedLives
from station.cli import code_of
from station.custody.journal import read
from station.engine.states import State
from station.report import LotReport
from tests.cell.lots import hardbin

pytestmark = pytest.mark.timeout(300)
KILLS = [
    (PERSONALISING, (Kill("record", 9, "torn"), Kill("time", 0.2))),
    (PERSONALISING, (Kill("record", 14),)),
    (PLAIN, (Kill("record", 4), Kill("record", 5))),
    (PLAIN, (Kill("store", 1), Kill("record", 4))),
    (PLAIN, (Kill("finish", 1, "before"),)),
]


def lives_of(out: Path, cell: str, devices: int) -> ServedLives:
    where = ("--station", str(station_file(cell, out)))
    return ServedLives(code_of, out, "R", ("--sites", "2", *where), devices=devices)


def wrong_with(lives: ServedLives, said: str) -> list[str]:
    report = json.decode((lives.folder / "report.json").read_bytes(), type=LotReport)
    assert report.state == "CLOSED", report.reason
    return complaints(Evidence(lives.devices, (), lives.folder, None, said, report))


@pytest.mark.parametrize(("cell", "kills"), KILLS, ids=[str(kills[0]) for _, kills in KILLS])
def test_killed_in_mid_lot_it_goes_on_when_it_is_started_again(
    tmp_path: Path, cell: str, kills: tuple[Kill, ...]
) -> None:
    lives = lives_of(tmp_path, cell, 4)
    last = lives.play(kills)
    assert [one.code for one in lives.lived] == [*(None for _ in kills), 0], last.said
    assert wrong_with(lives, last.said) == []


class Stopping(Operator):
    """Aborts the lot as soon as it runs, once."""

    def _command(self, state: State) -> commands.Any | None:
        if state is State.RUNNING and "stop" not in vars(self):
            vars(self)["stop"] = True
            return commands.Abort(id="stop", actor="chaos", source="console", roles=ROLES, reason="a look")
        return super()._command(state)


def test_an_aborted_lot_is_taken_up_by_the_same_process(tmp_path: Path) -> None:
    lives = lives_of(tmp_path, PLAIN, 60)
    lives.operator = Stopping(lives.operator.path, lives.operator.load, lives.found)
    last = lives.play(())
    assert (len(lives.lived), last.code) == (1, 0), last.said
    assert wrong_with(lives, last.said) == []
    states = [one.new for one in happened(lives) if isinstance(one, events.StateChanged)]
    assert states[-8:] == "ABORTED RECOVERING ABORTED PAUSED RUNNING ENDING CLOSING CLOSED".split()  # noqa: SIM905


def happened(lives: ServedLives) -> list[Any]:
    return list(read(lives.folder / "journal"))


def test_a_lot_of_another_sequence_is_not_taken_up_and_no_other_one_is_run(tmp_path: Path) -> None:
    station = station_file(PLAIN, tmp_path)
    where = ("--sites", "2", "--out", str(tmp_path))
    killed = Lives(code_of, tmp_path, "R", ("--devices", "4", "--sites", "2", "--station", str(station)))
    killed.live(("run", "--lot", "R", "--out", str(tmp_path), *killed.first), Kill("record", 9))
    ran = hardbin("serve", *where, "--console", str(tmp_path / "s"))
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1), ran.stderr
    assert (
        "lot R was begun with another sequence: 'se1-electrical-sort' then, 'se1-final-test' now"
        in ran.stderr
    )
    assert len(list(read(tmp_path / "R/journal"))) == 9
