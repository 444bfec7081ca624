"""What two persons have consented to is done to the lot and the hold that both saw, and to no other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from station import commands, events
from station.console.identity import Badges
from station.people.people import people
from station.people.pins import Cost
from tests.station.console.lots import BEGIN, NOW, loaded, shift
from tests.station.console.test_ways import Floor
from tests.station.people.conftest import ENGINEER, OFFICER

BOTH = (("engineer",), ("security-officer",))


def held(cause: str = "custody", takes: tuple[tuple[str, ...], ...] = BOTH) -> events.StateChanged:
    return events.StateChanged(at=NOW, old="RUNNING", new="HELD", reason="door", cause=cause, takes=takes)


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    """A lot that is held in line 20, and both persons."""
    with people(tmp_path / "people", "ws-07", lambda: NOW, Cost.LOW) as inside:
        codes = inside.found()
        inside.enrol(codes["first engineer"], *ENGINEER)
        inside.enrol(codes["first security officer"], *OFFICER)
        badges = Badges(inside, "console")
        made = Floor(identity=badges)
        made.picture.happened(20, held())
        yield made
        badges.close()


async def begun(floor: Floor, lot: str = "L1", do: str = "hold.release") -> Any:
    badge, pin = ENGINEER
    said = {"do": do, "name": lot, "said": {"reason": "looked"}, "badge": badge, "pin": pin}
    return (await floor.post("acts", said))[1]


async def approved(floor: Floor, act: Any) -> Any:
    badge, pin = OFFICER
    return (await floor.post(f"acts/{act['digest']}/approve", {"badge": badge, "pin": pin}))[1]


async def test_two_persons_let_the_lot_go_on_that_both_saw(floor: Floor) -> None:
    assert (await approved(floor, await begun(floor)))["ok"]
    (asked,) = floor.asked
    assert isinstance(asked, commands.Release)
    assert len(asked.persons) == 2
    assert (asked.reason, asked.lot, asked.line) == ("looked", "L1", 20)


@pytest.mark.parametrize(
    "since",
    [
        [shift("HELD", "PAUSED"), shift("PAUSED", "RUNNING"), held()],
        [loaded(name="L2"), *BEGIN[1:], held()],
        [held(takes=(*BOTH, ("engineer",)))],
    ],
    ids=["another hold", "another lot", "more persons"],
)
async def test_consent_is_for_nothing_that_came_later(floor: Floor, since: list[events.Any]) -> None:
    act = await begun(floor)
    for line, event in enumerate(since, start=21):
        floor.picture.happened(line, event)
    receipt = await approved(floor, act)
    assert (receipt["ok"], receipt["code"]) == (False, "wrong_state")
    assert not floor.asked


async def test_an_act_names_the_lot_in_the_cell(floor: Floor) -> None:
    assert (await begun(floor, "L2"))["code"] == "wrong_state"
    assert (await begun(floor, do="lot.close"))["code"] == "wrong_state"
