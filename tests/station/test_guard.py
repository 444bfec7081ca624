"""Interlocks and towers beside a cell that only writes down what it is asked."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from drivers.errors import EquipmentError
from drivers.roles import Interlock, Tower
from drivers.roles.tower import Colour, Lamp
from sim.time import new_loop
from station import commands, events
from station.engine.bus import Bus
from station.engine.states import State
from station.guard import LAMPS, guarded


class Cell:
    """A door that refuses so many times, then lets in: the cell is aborted, until somebody recovers it."""

    def __init__(self, refusals: int = 0) -> None:
        self.asked: list[commands.Any] = []
        self.heard: list[tuple[str, str, str]] = []
        self.state = State.RUNNING
        self._refusals = refusals

    async def request(self, command: commands.Any) -> commands.Receipt:
        self.asked.append(command)
        ok = len(self.asked) > self._refusals
        self.state = State.ABORTED if ok else self.state
        return commands.Receipt(ok=ok, code="ok" if ok else "wrong_state")

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def hear(self, machine: str, what: str, text: str) -> None:
        self.heard.append((machine, what, text))


class Contacts(Interlock):
    """What is open at each reading; the last stays. An error is what cannot be read."""

    def __init__(self, readings: Sequence[tuple[str, ...] | Exception]) -> None:
        super().__init__("safety")
        self._readings = list(readings)

    async def open_contacts(self) -> tuple[str, ...]:
        now = self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]
        if isinstance(now, Exception):
            raise now
        return now

    async def make_safe(self) -> None:
        pass


class Lamps(Tower):
    """Writes down what it shows; the first times it may fail, or hang where there is no fault."""

    def __init__(self, *, fails: int = 0, fault: Exception | None = None) -> None:
        super().__init__("tower")
        self.colours = frozenset({"red", "green"})
        self.history: list[tuple[dict[Colour, Lamp], bool]] = []
        self._fails, self._fault = fails, fault

    async def show(self, lamps: Mapping[Colour, Lamp], *, buzzer: bool = False) -> None:
        if self._fails:
            self._fails -= 1
            if self._fault is None:
                await asyncio.Event().wait()
            else:
                raise self._fault
        self.history.append((dict(lamps), buzzer))

    async def shown(self) -> Mapping[Colour, Lamp]:
        return self.history[-1][0]


def guarded_for(
    seconds: float, cell: Cell, *resources: Interlock | Tower, told: Sequence[State] = ()
) -> None:
    async def life() -> None:
        bus = Bus()
        async with guarded(cell, resources, bus):
            for state in told:
                bus.publish(events.StateChanged(at=0.0, old="", new=state.value))
            await asyncio.sleep(seconds)

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(life())


def test_an_interlock_that_opens_aborts_the_lot_once() -> None:
    cell = Cell()
    guarded_for(5.0, cell, Contacts([(), (), ("door", "hood"), ()]))
    (abort,) = cell.asked
    assert isinstance(abort, commands.CutOff)
    assert (abort.actor, abort.reason) == ("interlock", "safety is open: door, hood")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (EquipmentError("no answer"), "no answer"),
        (ValueError("invalid literal"), "invalid literal"),
        (IndexError(), "IndexError"),
    ],
)
def test_an_interlock_that_cannot_be_read_is_open(error: Exception, why: str) -> None:
    cell = Cell()
    guarded_for(1.0, cell, Contacts([(), error]))
    assert cell.asked[0].reason == f"safety cannot be read, so it counts as open: {why}"


def test_an_abort_that_is_refused_is_asked_for_again() -> None:
    cell = Cell(refusals=2)
    guarded_for(5.0, cell, Contacts([("door",)]))
    at = ("0.000", "0.500", "1.000")
    assert [command.id for command in cell.asked] == [f"safety-open-{second}" for second in at]


def test_a_cell_that_goes_on_is_watched_again() -> None:
    cell = Cell()

    async def recovered() -> None:
        async with guarded(cell, (Contacts([("door",)]),), Bus()):
            await asyncio.sleep(2.0)
            assert len(cell.asked) == 1
            cell.state = State.PAUSED
            await asyncio.sleep(2.0)

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(recovered())
    assert [command.id for command in cell.asked] == ["safety-open-0.000", "safety-open-2.000"]


def test_a_closed_interlock_asks_for_nothing() -> None:
    cell = Cell()
    guarded_for(60.0, cell, Contacts([()]))
    assert cell.asked == []


def test_a_tower_shows_the_states_in_the_colours_that_it_has() -> None:
    tower = Lamps()
    guarded_for(1.0, Cell(), tower, told=(State.RUNNING, State.PAUSED, State.HELD, State.CLOSED))
    assert tower.history == [({"green": "on"}, False), ({}, False), ({"red": "blink"}, True), ({}, False)]


@pytest.mark.parametrize("fault", [EquipmentError("no power"), RuntimeError("no power"), None])
def test_a_tower_that_fails_is_told_once_and_stops_nothing(fault: Exception | None) -> None:
    cell, tower = Cell(), Lamps(fails=2, fault=fault)
    guarded_for(60.0, cell, tower, told=(State.RUNNING, State.PAUSED, State.ABORTED, State.RECOVERING))
    assert tower.history == [({"red": "on"}, False)] * 2
    why = "shows nothing within 10 s" if fault is None else "no power"
    assert cell.heard == [("tower", "broken", why), ("tower", "works again", "")]


@pytest.mark.parametrize("state", State)
def test_each_state_has_its_lamps(state: State) -> None:
    assert state in LAMPS
