"""A station's people at a time that the test sets."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from station.people.people import People, people
from station.people.pins import Cost

ENGINEER, OFFICER = ("B-ENGINEER", "280164"), ("B-OFFICER", "730291")


@dataclass
class Hand:
    """A clock whose hand the test moves."""

    at: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def station(tmp_path: Path, clock: Hand) -> Iterator[People]:
    with people(tmp_path / "people", "ws-07", clock, Cost.LOW) as inside:
        yield inside


@pytest.fixture
def founded(station: People) -> People:
    codes = station.found()
    station.enrol(codes["first engineer"], *ENGINEER)
    station.enrol(codes["first security officer"], *OFFICER)
    return station
