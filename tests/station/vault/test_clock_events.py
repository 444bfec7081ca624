"""A clock that is set leaves a leaf, whichever way and however slowly it is noticed."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from station.custody.ledger import Fact
from station.vault import clock_events
from station.vault.__main__ import _started
from station.vault.clock_events import SILENT_S, ClockEvents
from station.vault.configuration import ClockTable, Configuration
from station.vault.desk.orders import Orders, Place
from station.vault.faults import FaultError
from station.vault.journal import Journal, JournalError
from station.vault.registry import Registry
from station.vault.sntp import NoTimeError, Server
from station.vault.times import Times
from tests.station.vault.dies import NOW
from tests.station.vault.vaults import TELLER


@dataclass
class Machine:
    """Two clocks, a time server, and a ledger."""

    wall: float = 1_800_000_000.0
    runs: float = 50.0
    follows: bool = True
    writes: bool = True
    off: float | None = None
    silent: str = ""
    told: list[tuple[str, object, float]] = field(default_factory=list)

    def passes(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.runs += seconds
        self.wall += seconds + set_by

    async def tell(self, fact: Fact, now: float) -> None:
        if not self.writes:
            raise JournalError("the journal cannot be written")
        self.told.append((fact.event, *fact.data.values(), now))  # type: ignore[arg-type]

    async def offset(self) -> float | None:
        if self.silent:
            raise NoTimeError(self.silent)
        return self.off

    def watched(self) -> ClockEvents:
        return ClockEvents(
            self.tell,
            lambda: self.wall,
            table=ClockTable(server="ntp.example"),
            runs=lambda: self.runs,
            follows=lambda: self.follows,
            offset=self.offset,
        )


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


async def test_each_minute_it_is_told_how_far_the_clock_is_off() -> None:
    machine = Machine(off=0.0123)
    watch = machine.watched()
    for _ in range(181):
        await watch.look()
        machine.passes(1.0)
    assert [told[:3] for told in machine.told] == [("clock.offset", True, 12)] * 4


@pytest.mark.parametrize("off", [0.501, -7.0])
async def test_beyond_the_limit_nothing_is_safe_until_it_is_within(off: float) -> None:
    machine = Machine(off=0.5)
    watch = machine.watched()
    await watch.look()
    assert watch.unsafe() == ""
    machine.off = off
    machine.passes(60.0)
    await watch.look()
    assert watch.unsafe() == f"the clock is off by {off * 1000:+.0f} ms, 500 are allowed"
    machine.silent = "it does not answer"
    machine.passes(60.0)
    await watch.look()
    assert watch.unsafe(), "what was wrong is not right because nobody says so any more"
    machine.off, machine.silent = 0.1, ""
    machine.passes(60.0)
    await watch.look()
    assert watch.unsafe() == ""


async def test_only_that_it_is_too_far_or_no_longer_is_told_to_stations(tmp_path: Path) -> None:
    machine = Machine(off=0.1)
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    registry = Registry(journal, TELLER, Orders(Place()))
    watch = ClockEvents(
        registry.told,
        lambda: machine.wall,
        runs=lambda: machine.runs,
        follows=lambda: True,
        offset=machine.offset,
    )
    for off in (0.1, 2.0, 3.0, 0.1, 0.1):
        machine.off = off
        await watch.look()
        machine.passes(60.0)
    told = await registry.notices(0, 100, lambda _: True)
    journal.close()
    assert [(one.kind, one.event, one.detail) for one in told] == [
        ("alarm", "clock.offset", "the clock is off by +2000 ms, 500 are allowed"),
        ("release", "clock.offset", ""),
    ]


async def test_a_step_is_measured_at_once() -> None:
    machine = Machine(off=0.0)
    watch = machine.watched()
    await watch.look()
    machine.off = 90.0
    machine.passes(1.0, set_by=-90.0)
    await watch.look()
    assert watch.unsafe() == "the clock is off by +90000 ms, 500 are allowed"


async def test_a_server_may_be_silent_for_ten_minutes() -> None:
    machine = Machine(off=0.0)
    watch = machine.watched()
    await watch.look()
    machine.silent = "it does not answer"
    machine.passes(SILENT_S)
    await watch.look()
    assert watch.unsafe() == ""
    machine.passes(61.0)
    await watch.look()
    assert watch.unsafe() == "nobody knows how far the clock is off: ntp.example: it does not answer"


async def test_where_nothing_tells_an_offset_only_that_is_told() -> None:
    machine = Machine(follows=False)
    watch = machine.watched()
    for _ in range(20):
        await watch.look()
        machine.passes(60.0)
    assert [told[:2] for told in machine.told] == [("clock.offset", False)]
    assert watch.unsafe() == ""


async def test_a_vault_that_starts_goes_by_its_time_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Server] = []

    async def told(server: Server, wall: object) -> float:
        del wall
        asked.append(server)
        return 10.0

    monkeypatch.setattr(clock_events, "measured_s", told)
    config = Configuration(mode="production", clock=ClockTable(server="ntp.example:1123"))
    times = Times(development=False)
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        stack.callback(journal.close)
        await _started(Registry(journal, TELLER, Orders(Place())), config, times, stack)
        while not times.unsafe():
            await journal.commit(lambda db: None)
    assert asked == [Server("ntp.example", 1123)]
    with pytest.raises(FaultError, match=r"the clock is off by \+10000 ms, 500 are allowed"):
        times.admitting(NOW, 0.0)
