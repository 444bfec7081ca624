"""The mechanics of simulated probers by their table, their knobs and their times, without a language."""

import itertools

import pytest

from sim.faults import Faults, parse
from sim.prober.stage import LOADER_KNOBS, STAGE_KNOBS, TABLE, Move, Reason, RefusedMove, Spot, Stage, State
from tests.stepclock import StepClock
from tests.wafers import Wafers


def stage(*faults: str, wafers: Wafers | None = None) -> Stage:
    wanted = tuple(parse(f"prober.{text}") for text in faults)
    return Stage(
        StepClock(),
        wafers or Wafers(names=("W1", "W2")),
        faults=Faults("prober", STAGE_KNOBS | LOADER_KNOBS, wanted, "stage"),
    )


def brought_to(state: State) -> Stage:
    made = stage()
    if state is not State.EMPTY:
        made.load(1, 1)
    if state is State.UP:
        made.raise_chuck()
    return made


def refusal(made: Stage, move: Move) -> Reason | None:
    try:
        made.move(move)
    except RefusedMove as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(("state", "move"), list(itertools.product(State, Move)))
def test_every_pair_of_the_table_and_no_other(state: State, move: Move) -> None:
    made = brought_to(state)
    refused = refusal(made, move)
    if (state, move) in TABLE:
        assert (refused, made.state) == (None, TABLE[state, move])
    else:
        assert refused in (Reason.NO_WAFER, Reason.CHUCK_OCCUPIED, Reason.IN_CONTACT)
        assert made.state is state


def test_a_wafer_goes_back_to_where_it_came_from() -> None:
    made = stage()
    made.load(1, 2)
    assert made.name() == "W2"
    with pytest.raises(RefusedMove, match="SLOT_OCCUPIED"):
        made.unload((1, 1))
    made.unload()
    assert made.slots == {(1, 1): 1, (1, 2): 2}


@pytest.mark.parametrize(
    ("place", "reason"),
    [((1, 3), "SLOT_EMPTY"), ((1, 26), "BAD_SLOT"), ((2, 1), "NO_CASSETTE"), ((3, 1), "NO_CASSETTE")],
)
def test_places_without_a_wafer(place: tuple[int, int], reason: str) -> None:
    with pytest.raises(RefusedMove, match=reason):
        stage().load(*place)


def test_landing_is_where_it_stands_and_not_where_it_believes() -> None:
    wafers = Wafers(places=((0, 0), (1, 0), (2, 0)))
    made = stage("shift_die=1,0", wafers=wafers)
    made.load(1, 1)
    assert made.step(1, 0) == Spot(1, 0)
    made.raise_chuck()
    assert wafers.landings == [(1, 2, 0)]
    made.raise_chuck()
    assert len(wafers.landings) == 1, "up already"
    made.lower_chuck()
    assert not wafers.down


def test_the_route_ends() -> None:
    made = stage()
    made.load(1, 1)
    assert not made.at_last
    assert made.step_to_number(1) == Spot(1, 0)
    assert made.at_last
    with pytest.raises(RefusedMove, match="END_OF_ROUTE"):
        made.step_to_number(2)
    made.step(40, 40)
    assert made.index == 1, "beside the wafer the route stands still"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("vacuum_fail", "VACUUM"), ("door_open@every=2", "DOOR_OPEN"), ("edge_quirk", "OUTSIDE")],
)
def test_what_keeps_it_from_stepping(fault: str, reason: str) -> None:
    made = stage(fault)
    made.load(1, 1)
    with pytest.raises(RefusedMove, match=reason):
        made.step(0, 0)


def test_what_keeps_it_from_contact() -> None:
    made = stage("contact_fail@once")
    made.load(1, 1)
    made.raise_chuck()
    assert (made.state, made.touches) == (State.UP, False)
    made.lower_chuck()
    made.raise_chuck()
    assert made.touches
    made.lower_chuck()
    made.contact_height = False
    with pytest.raises(RefusedMove, match="NO_CONTACT_HEIGHT"):
        made.raise_chuck()


def test_a_stuck_wafer_stays() -> None:
    made = stage("wafer_stuck@once")
    made.load(1, 1)
    with pytest.raises(RefusedMove, match="VACUUM"):
        made.unload()
    made.unload()
    assert made.state is State.EMPTY


def test_by_hand_and_away_again() -> None:
    made = stage()
    made.put(1)
    assert made.slots == {(1, 2): 2}
    made.mark(0, 0, 7)
    assert made.bins == {(0, 0): 7}
    made.unload()
    assert made.slots == {(1, 2): 2}
    with pytest.raises(RefusedMove, match="NO_WAFER"):
        made.mark(0, 0, 7)


def test_the_chuck_heats_up_and_soaks() -> None:
    made = stage()
    assert made.heater.soaked()
    made.heater.aim(85.0)
    assert not made.heater.soaked()
    made.clock.sleep(240.0)
    assert 60.0 < made.heater.celsius() < 65.0
    made.clock.sleep(1000.0)
    assert abs(made.heater.celsius() - 85.0) < 0.5
    made.clock.sleep(200.0)
    assert made.heater.soaked()


def test_a_chuck_that_never_gets_there() -> None:
    made = stage("slow_soak")
    made.heater.aim(85.0)
    made.clock.sleep(1e5)
    assert made.heater.celsius() < 60.0
    assert not made.heater.soaked()
