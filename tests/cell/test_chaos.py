"""A small part of the campaign of `hardbin chaos`, and that a failing schedule can be played again."""

import os
from pathlib import Path

import pytest

from station.chaos.campaign import Campaign
from station.chaos.points import Kill
from station.chaos.schedule import Schedule, read, schedule, smaller
from station.cli import code_of

FIRST = 1
LOTS = int(os.environ.get("HARDBIN_CHAOS", "6"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + LOTS))
def test_a_lot_with_faults_and_kills(tmp_path: Path, seed: int) -> None:
    assert Campaign(code_of, tmp_path).wrong_with(schedule(seed)) == []


def test_a_seed_gives_the_same_schedule_and_its_line_gives_it_back() -> None:
    for seed in range(200):
        drawn = schedule(seed)
        assert read(str(drawn)) == drawn == schedule(seed)


@pytest.mark.parametrize("text", ["devices=4", "seed=1 devices=4 sites=2 kill=moon:1", "x", "seed=a"])
def test_a_schedule_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write|are numbers"):
        read(text)


def test_a_failing_schedule_is_made_as_small_as_it_still_fails() -> None:
    kills = tuple(Kill("record", number) for number in (3, 9, 14))
    drawn = Schedule(1, 12, 3, "plain", ("a.b", "c.d"), kills)
    least = smaller(drawn, lambda one: "c.d" in one.faults and kills[1] in one.kills)
    assert least == Schedule(1, 3, 3, "plain", ("c.d",), (kills[1],))
