"""The simulated Exatron by its tables, its knobs and its times, without a driver."""

import itertools

import pytest

from drivers.protocols.exatron import Mode
from sim.faults import Faults, parse
from sim.handler.exatron import SUPER_TABLE, TABLE, ExatronHandler, Input, State
from tests.simulated.lines import LinePlayer
from tests.stepclock import StepClock
from tests.trays import Trays, full


class Rig:
    """A handler, its tray and the station's end of its line."""

    def __init__(
        self, *faults: str, mode: Mode = "exatron", parts: int = 2, retest_sort: int | None = None
    ) -> None:
        self.clock = StepClock()
        self.trays: Trays = full(1, parts)
        wanted = tuple(parse(f"handler.{text}") for text in faults)
        self.handler = ExatronHandler(
            self.clock,
            self.trays,
            mode=mode,
            retest_sort=retest_sort,
            faults=Faults("handler", ExatronHandler.knobs, wanted, "rig"),
        )
        self.line = LinePlayer(self.handler, self.clock)
        self.handler.start()

    def hears(self, text: bytes) -> bool:
        return self.line.hear(len(text), 0) == text

    def quiet(self) -> bool:
        return self.line.hear(1, 0) == b""

    def say(self, data: bytes) -> None:
        self.line.say(data)
        self.clock.sleep(0.01)


def at(state: State) -> Rig:
    """A handler with one part in the given state; SORTING is passed through at once."""
    rig = Rig()
    if state is State.IDLE:
        return rig
    assert rig.hears(b"H\r")
    if state is not State.WAIT_R:
        rig.say(b"R")
    if state is State.TESTING:
        assert rig.hears(b"S\r")
    assert rig.handler.state is state
    return rig


SAID = {Input.READY: b"R", Input.DIGIT: b"3", Input.ZERO: b"0", Input.STAR: b"*"}
STATES = [State.IDLE, State.WAIT_R, State.CLOSING, State.TESTING]


@pytest.mark.parametrize(("state", "word"), list(itertools.product(STATES, SAID)))
def test_each_character_in_each_state(state: State, word: Input) -> None:
    rig = at(state)
    rig.say(SAID[word])
    after = TABLE[state, word][0] if (state, word) in TABLE else state
    sorts = after is State.SORTING
    assert rig.handler.state is (State.IDLE if sorts else after)
    expected = {1: 5 if word is Input.STAR else 3} if sorts else {}
    assert rig.trays.bins == expected
    assert rig.handler.sorted == len(expected)


@pytest.mark.parametrize("table", [TABLE, SUPER_TABLE])
def test_a_part_that_is_at_the_site_can_always_leave_it(
    table: dict[tuple[State, Input], tuple[State, object]],
) -> None:
    reached, new = set[State](), {State.IDLE}
    while new:
        reached |= new
        new = {after for (state, _), (after, _) in table.items() if state in reached} - reached
    states = {state for state, _ in table} | {after for after, _ in table.values()}
    assert reached | {State.MARKING} >= states, "marking is entered by the laser option"
    assert all(any(state is before for before, _ in table) for state in states)


def test_line_ends_after_a_character_are_ignored() -> None:
    rig = at(State.WAIT_R)
    rig.say(b"R\r\n")
    assert rig.hears(b"S\r")
    rig.say(b"7\r\n")
    assert rig.trays.bins == {1: 7}


def test_an_illegal_character_changes_nothing() -> None:
    rig = at(State.TESTING)
    rig.say(b"9xr")
    assert rig.handler.state is State.TESTING
    assert rig.quiet()


def test_any_number_of_replunges() -> None:
    rig = at(State.TESTING)
    for _ in range(5):
        rig.say(b"0")
        assert rig.hears(b"S\r")
    rig.say(b"1")
    assert rig.trays.landings == [(1,)] * 6


def test_an_operator_makes_it_ask_again_each_minute() -> None:
    rig = Rig()
    assert rig.hears(b"H\r")
    rig.clock.sleep(125.0)
    assert rig.hears(b"H\rH\r")


def test_the_part_that_was_answered_is_not_asked_for_again() -> None:
    rig = at(State.TESTING)
    first = rig.clock.time() - 0.5
    rig.say(b"1")
    assert rig.hears(b"H\r")
    second = rig.clock.time()
    rig.clock.sleep(first + 60.5 - second)
    assert rig.line.hear(0, 0) == b""
    assert not rig.handler.line.received, "that [Enter] was for the part before"
    rig.clock.sleep(second - first)
    assert rig.hears(b"H\r")


def test_super_mode_wants_the_sort_when_it_asks() -> None:
    rig = Rig(mode="super")
    assert rig.hears(b"TEST\r")
    rig.say(b"1")
    assert rig.hears(b"ERROR\r")
    assert rig.hears(b"END TEST\r")
    rig.say(b"1\r")
    assert rig.trays.bins == {1: 1}
    assert rig.hears(b"TEST\r")


def test_super_mode_retests_once() -> None:
    rig = Rig(mode="super", retest_sort=2)
    assert rig.hears(b"TEST\rEND TEST\r")
    rig.say(b"2")
    assert rig.hears(b"RETEST\rEND RETEST\r")
    assert rig.trays.bins == {}
    rig.say(b"2")
    assert rig.trays.bins == {1: 2}
    assert rig.hears(b"TEST\r")


def test_a_laser_that_nobody_finishes_keeps_the_part() -> None:
    rig = Rig(mode="super")
    rig.handler.laser = True
    assert rig.hears(b"MARK\rTEST\rEND TEST\r")
    rig.say(b"2")
    assert rig.hears(b"END LASER\r")
    assert rig.trays.bins == {}
    rig.say(b"Z\r")
    assert rig.trays.bins == {1: 2}


@pytest.mark.parametrize(
    ("commands", "answer"),
    [
        (("A90",), b"90 ROM 01 RAM 01\r"),
        (("C90 7F", "A90"), b"90 ROM 01 RAM 7F\r"),
        (("C90 7F", "D", "A90"), b"90 ROM 01 RAM 01\r"),
        (("A8F",), b"ERROR\r"),
        (("AXY",), b"ERROR\r"),
        (("C90 100",), b"ERROR\r"),
        (("Q",), b"ERROR\r"),
        (("B",), b""),
        (("G",), b""),
    ],
)
def test_super_commands(commands: tuple[str, ...], answer: bytes) -> None:
    rig = Rig(mode="super", parts=0)
    for command in commands:
        rig.say(b"+")
        assert rig.hears(b"+")
        rig.say(command.encode() + b"\r")
    assert rig.line.hear(100, 0) == answer


def test_hp_mode_tells_what_happens() -> None:
    rig = Rig("jam=12@once", mode="hp", parts=0)
    assert rig.hears(b"$G\r$R JAM 12\r")
    rig.clock.sleep(200.0)
    assert rig.hears(b"$E EMPTY/LOAD PART\r")
    rig.trays.batches.append(frozenset({1}))
    rig.handler.start()
    assert rig.hears(b"$G\rH\r")


def test_other_modes_keep_it_to_the_display() -> None:
    assert Rig("jam", parts=0).quiet()


def test_power_lost_in_the_test_opens_the_contacts_and_offers_the_part_anew() -> None:
    rig = Rig("power_cycle@once")
    assert rig.hears(b"H\r")
    rig.say(b"R")
    assert rig.hears(b"S\r")
    assert not rig.trays.down
    rig.say(b"1")
    assert rig.trays.bins == {}, "nobody is at home"
    assert rig.hears(b"H\r")
    rig.say(b"R")
    assert rig.hears(b"S\r")
    assert rig.trays.landings == [(1,), (1,)]


@pytest.mark.parametrize(
    ("fault", "heard"), [("manual_start@once", b"S\r"), ("drop_tx", b""), ("part_dropped", b"H\r")]
)
def test_what_an_exatron_says_first(fault: str, heard: bytes) -> None:
    assert Rig(fault).line.hear(2, 0) == heard


def test_index_and_closing_take_their_time() -> None:
    rig = Rig()
    rig.hears(b"H\r")
    placed = rig.clock.time()
    assert 1.0 <= placed <= 3.0
    rig.line.say(b"R")
    rig.hears(b"S\r")
    assert 0.24 <= rig.clock.time() - placed <= 0.36
