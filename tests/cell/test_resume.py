"""Killed at each record of its journal, and in each step between, a lot goes on: nothing lost, nothing twice.

`HARDBIN_CRASH_MATRIX=full` also kills the lot that personalises before and within each record.
"""

import os
from pathlib import Path

import pytest
from msgspec import json

from station.chaos.campaign import Campaign
from station.chaos.evidence import Evidence, complaints
from station.chaos.lives import Life, Lives
from station.chaos.points import Kill
from station.chaos.schedule import EXATRON, PLAIN, SERVED, WAFER, Schedule, station_file
from station.cli import code_of
from station.report import LotReport
from tests.cell.policies import policy_file

DEVICES, SITES = 4, 2
FULL = os.environ.get("HARDBIN_CRASH_MATRIX") == "full"
POINTS = ("record", "store", "finish", "file", "close")
MOMENTS = ["after", *(("before", "torn") if FULL else ())]
STEPS = [("record", "torn"), *((point, moment) for point in POINTS for moment in ("before", "after"))]
LAST = 60
"""More records than the lot has."""


def wrong_with(lives: Lives, kills: tuple[Kill, ...]) -> tuple[list[str], bool]:
    """Play a lot; say what is wrong with what it left, and whether the last kill was met."""
    life = lives.play(kills)
    killed = sum(one.code is None for one in lives.lived) == len(kills)
    found = complaints(left_by(lives, life))
    for one in lives.lived:
        found += [f"{one.arguments}: {one.said}"] if "Traceback" in one.said else []
    return found, killed


def left_by(lives: Lives, life: Life, devices: int = DEVICES) -> Evidence:
    report = json.decode((lives.folder / "report.json").read_bytes(), type=LotReport)
    return Evidence(devices, (), lives.folder, life.code or 0, life.said, report)


def played(out: Path, kills: tuple[Kill, ...], *more: str) -> tuple[list[str], bool]:
    size = ("--devices", str(DEVICES), "--sites", str(SITES))
    lives = Lives(code_of, out, "R", (*size, *more), more)
    try:
        return wrong_with(lives, kills)
    finally:
        lives.forget()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_each_record_a_lot_that_personalises_goes_on(tmp_path: Path, moment: str) -> None:
    wrong = []
    for number in range(1, LAST):
        kill = Kill("record", number, moment)
        found, killed = played(tmp_path, (kill,))
        if not killed:
            break
        wrong += [f"{kill}: {text}" for text in found]
    assert wrong == []
    assert number > 2 * (DEVICES + DEVICES // SITES)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("point", "moment"), STEPS)
def test_killed_in_each_step_a_lot_goes_on(tmp_path: Path, point: str, moment: str) -> None:
    station = station_file(PLAIN, tmp_path)
    wrong = []
    for number in range(1, LAST):
        kill = Kill(point, number, moment)
        found, killed = played(tmp_path, (kill,), "--station", str(station))
        if not killed:
            break
        wrong += [f"{kill}: {text}" for text in found]
    assert wrong == []
    assert number > 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("cell", "devices", "sites"), [(EXATRON, 2, 1), (WAFER, 5, 4)])
def test_killed_at_each_record_a_lot_of_another_cell_goes_on(
    tmp_path: Path, cell: str, devices: int, sites: int, moment: str
) -> None:
    """One handler that confirms nothing, and a prober whose dies stay where they are."""
    campaign = Campaign(code_of, tmp_path)
    wrong, number = [], 0
    for number in range(1, LAST):
        kill = Kill("record", number, moment)
        campaign.lives = 0
        found = campaign.wrong_with(Schedule(1, devices, sites, cell, kills=(kill,)))
        wrong += [f"{kill}: {text}" for text in found]
        if campaign.lives == 1:
            break
    assert wrong == []
    assert number > 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_each_record_a_lot_that_is_served_goes_on(tmp_path: Path, moment: str) -> None:
    """The station takes it up by itself, and somebody at its console lets it go on."""
    campaign = Campaign(code_of, tmp_path)
    wrong, number = [], 0
    for number in range(1, LAST):
        kill = Kill("record", number, moment)
        campaign.lives = 0
        wrong += [f"{kill}: {text}" for text in campaign.wrong_with(served(kill))]
        if campaign.lives == 1:
            break
    assert wrong == []
    assert number > 10


def served(kill: Kill) -> Schedule:
    return Schedule(1, SITES, SITES, PLAIN, kills=(kill,), way=SERVED)


def test_killed_again_and_again_a_lot_goes_on(tmp_path: Path) -> None:
    """The second life dies while it takes the lot up, the third while it tests."""
    kills = (Kill("record", 9), Kill("record", 4), Kill("record", 12), Kill("time", 0.3))
    assert played(tmp_path, kills) == ([], True)


@pytest.mark.timeout(600)
def test_killed_while_devices_come_again_a_lot_goes_on(tmp_path: Path) -> None:
    """Dies that had their bins and were to be landed again still are, by another site, and none twice."""
    station = policy_file(tmp_path, "OTHER_SITE_AT_END")
    dirty = ("--devices", "13", "--seed", "3", "--station", str(station), "--fault", "socket.dirt@p=0.3")
    wrong, contacts = [], set[int]()
    for number in range(29, LAST, 3):
        lives = Lives(code_of, tmp_path, "R", dirty, ("--station", str(station)))
        life = lives.play((Kill("record", number),))
        killed = lives.lived[0].code is None
        evidence = left_by(lives, life, 13)
        wrong += [f"{number}: {text}" for text in complaints(evidence)]
        contacts.add(0 if evidence.report is None else evidence.report.retested)
        lives.forget()
        if not killed:
            break
    assert wrong == []
    assert not killed
    assert min(contacts) > 0
