"""A clock that is set leaves a leaf, whichever way and however slowly it is noticed."""

from dataclasses import dataclass, field

import pytest

from station.custody.ledger import Fact
from station.vault.clock_events import ClockEvents
from station.vault.journal import JournalError


@dataclass
class Machine:
    """Two clocks, a time server, and a ledger."""

    wall: float = 1_800_000_000.0
    runs: float = 50.0
    follows: bool = True
    writes: bool = True
    told: list[tuple[str, object, float]] = field(default_factory=list)

    def passes(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.runs += seconds
        self.wall += seconds + set_by

    async def tell(self, fact: Fact, now: float) -> None:
        if not self.writes:
            raise JournalError("the journal cannot be written")
        self.told.append((fact.event, *fact.data.values(), now))  # type: ignore[arg-type]

    def watched(self) -> ClockEvents:
        return ClockEvents(self.tell, lambda: self.wall, runs=lambda: self.runs, follows=lambda: self.follows)


@pytest.mark.parametrize("step", [1.5, -1.5, -86_400.0])
async def test_a_step_is_told_once(step: float) -> None:
    machine = Machine()
    watch = machine.watched()
    await watch.look()
    assert machine.told == [("clock.offset", True, machine.wall)]
    machine.passes(1.0, set_by=step)
    for _ in range(3):
        await watch.look()
        machine.passes(1.0)
    assert [told[:2] for told in machine.told[1:]] == [("clock.step", round(step * 1000))]


async def test_what_a_time_server_corrects_in_passing_is_no_step() -> None:
    machine = Machine()
    watch = machine.watched()
    await watch.look()
    for _ in range(5):
        machine.passes(3600.0, set_by=0.1)
        await watch.look()
    assert len(machine.told) == 1


async def test_small_steps_add_up_to_one_that_is_told() -> None:
    machine = Machine()
    watch = machine.watched()
    for _ in range(8):
        machine.passes(1.0, set_by=-0.3)
        await watch.look()
    assert [told[:2] for told in machine.told[1:]] == [("clock.step", -1200), ("clock.step", -1200)]


async def test_the_end_of_the_time_server_is_told() -> None:
    machine = Machine()
    watch = machine.watched()
    await watch.look()
    machine.follows = False
    await watch.look()
    await watch.look()
    assert [told[:2] for told in machine.told] == [("clock.offset", True), ("clock.offset", False)]


async def test_a_step_that_cannot_be_written_is_told_later() -> None:
    machine = Machine()
    watch = machine.watched()
    await watch.look()
    machine.writes = False
    machine.passes(1.0, set_by=60.0)
    with pytest.raises(JournalError):
        await watch.look()
    machine.writes = True
    machine.passes(1.0)
    await watch.look()
    assert [told[:2] for told in machine.told[1:]] == [("clock.step", 60_000)]
