"""Holds and what ends them; what cannot be opened or closed; more devices than the lot has."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import EquipmentError
from drivers.uninterrupted import NotUndoneError
from station import commands, events
from station.custody.balance import Binned
from station.custody.journal import Journal, read
from station.engine.lot_journal import LotJournal
from station.engine.safe_state import make_safe
from station.engine.states import State
from station.engine.taking import UNDER_WAY_S
from station.errors import CustodyError, StorageError
from station.model import Limit, Verdict
from station.sequence import Parametric, Retest, While
from station.vault.client import Unit
from station.vault_answers import LotClosing
from tests.station.engine.doubles import (
    ANY,
    BAD,
    CONTACT,
    ERROR,
    OP,
    TE,
    Bench,
    BenchSite,
    Box,
    returning,
    sequence,
    virtual,
)

ONE = [frozenset({1})]
THREE = [frozenset({1, 2, 3})]


async def until(bench: Bench, *states: State) -> None:
    """Wait for a state of the cell."""
    watched = bench.bus.subscribe()
    while bench.cell.state not in states:
        await anext(watched)


def release(number: int = 1) -> commands.Release:
    """By a technician, and what takes two officers by those."""
    so = frozenset({"security-officer"})
    both: dict[str, Any] = {"actor": "so-1", "roles": so | TE, "second": "so-2", "second_roles": so}
    return commands.Release(id=f"release-{number}", reason="looked at it", **both)


@virtual
async def test_a_held_lot_goes_on_after_release_and_resume(tmp_path: Path) -> None:
    values = iter((RuntimeError("bug"), 1.0, 1.0))

    async def row(site: BenchSite) -> float:
        value = next(values)
        if not isinstance(value, float):
            raise value
        return value

    bench = Bench(tmp_path, sequence(Parametric(1, row, ANY, bin=BAD)), ONE * 3)

    async def technician() -> None:
        await until(bench, State.HELD)
        assert (await bench.cell.request(release())).ok
        await until(bench, State.PAUSED)
        assert len(bench.handler.sorted) == 1
        assert (await bench.cell.request(commands.Resume(id="r", actor="op", roles=OP))).ok

    assert await bench.run(technician(), unattended=False) == "CLOSED"
    assert bench.handler.sorted == [{1: ERROR.hard}, {1: 1}, {1: 1}]
    assert [e.new for e in bench.happened(events.StateChanged)].count("RUNNING") == 2
    assert bench.happened(events.LotClosed)[0].outcome == "FAILED"


@virtual
async def test_what_the_store_has_refused_is_in_store_and_datalog_before_the_lot_goes_on(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE * 3)
    bench.store.refuses = "database is locked"

    async def technician() -> None:
        await until(bench, State.HELD)
        bench.store.refuses = "still locked"
        for number, repaired in enumerate((False, True)):
            assert (await bench.cell.request(release(number))).ok
            await until(bench, State.PAUSED)
            bench.store.refuses = "" if repaired else bench.store.refuses
            assert (await bench.cell.request(commands.Resume(id=f"r{number}", actor="op", roles=OP))).ok
            await until(bench, State.HELD if not repaired else State.CLOSED)

    assert await bench.run(technician(), unattended=False) == "CLOSED"
    assert bench.handler.sorted == [{1: ERROR.hard}, {1: 1}, {1: 1}], (
        "no device was landed while it was locked"
    )
    assert [landing.seq for landing in bench.store.landings] == [1, 2, 3]
    assert bench.file.landings == bench.store.landings


@virtual
async def test_what_rules_and_persons_said_is_in_store_and_datalog_though_the_store_was_locked(
    tmp_path: Path,
) -> None:
    calls = itertools.count()

    async def row(site: BenchSite) -> float:
        del site
        if next(calls) < 3:
            raise EquipmentError("gone")
        return 1.0

    bench = Bench(tmp_path, sequence(Parametric(1, row, ANY, bin=BAD)), [*THREE, frozenset({2})])
    bench.store.fails_in = "event"

    async def technician() -> None:
        await until(bench, State.HELD)
        assert (await bench.cell.request(off())).ok
        for number, repaired in enumerate((False, True)):
            assert (await bench.cell.request(release(number))).ok
            await until(bench, State.PAUSED)
            bench.store.fails_in = "" if repaired else "event"
            assert (await bench.cell.request(commands.Resume(id=f"r{number}", actor="op", roles=OP))).ok
            await until(bench, State.HELD if not repaired else State.CLOSED)

    assert await bench.run(technician(), unattended=False) == "CLOSED"
    said = ["rule R10, lot: 3 contacts could not be judged: hold", "site 1 off: bent pin"]
    assert bench.store.texts == said
    assert bench.file.texts == bench.store.texts


@virtual
async def test_a_lot_with_unsorted_devices_is_neither_released_nor_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), THREE)
    bench.handler.sort_fails = "echo wrong three times"

    async def technician() -> None:
        await until(bench, State.HELD)
        refused = await bench.cell.request(release())
        assert (refused.ok, refused.code) == (False, "unsettled")
        assert "1, 2, 3" in refused.reason
        assert (await bench.cell.request(commands.End(id="e", actor="op", roles=OP))).code == "unsettled"
        assert bench.cell.state is State.HELD
        assert (await bench.cell.request(commands.Abort(id="a", actor="op"))).ok

    assert await bench.run(technician(), unattended=False) == "ABORTED"
    assert bench.file.landings == bench.store.landings, "the results are in the datalog all the same"


@virtual
async def test_an_abort_that_came_before_the_hold_is_not_lost_behind_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    sorting, jams = asyncio.Event(), asyncio.Event()

    async def sort(bins: Mapping[int, int]) -> None:
        del bins
        sorting.set()
        await jams.wait()
        raise EquipmentError("gripper jammed")

    bench.handler.sort = sort  # type: ignore[method-assign]

    async def operator() -> None:
        await sorting.wait()
        assert (await bench.cell.request(commands.Abort(id="a", actor="op", reason="smoke"))).ok
        jams.set()

    assert await bench.run(operator(), unattended=False) == "ABORTED"
    assert "smoke, after: " in bench.cell.reason
    assert "gripper jammed" in bench.cell.reason, "whoever recovers the cell must know of it"


@virtual
async def test_a_released_lot_stays_held_until_the_cell_is_verified_as_safe(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(CustodyError("vault gone"))), ONE)

    async def technician() -> None:
        await until(bench, State.HELD)
        bench.sites[1].box.stays_live = "3.3 V at the output"
        watched = bench.bus.subscribe()
        assert (await bench.cell.request(release(1))).ok
        while not isinstance(event := await anext(watched), events.MadeSafe):
            pass
        assert event.unverified == ("box-1",)
        assert bench.cell.state is State.HELD
        bench.sites[1].box.stays_live = ""
        assert (await bench.cell.request(release(2))).ok

    assert await bench.run(technician(), unattended=False) == "CLOSED"


async def test_a_hold_that_ended_the_run_is_not_released(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(CustodyError("vault gone"))), ONE)
    await bench.start()
    assert await bench.cell.run_lot(unattended=True) is State.HELD
    assert (await bench.cell.request(release())).code == "wrong_state"
    await bench.cell.aclose()


async def test_a_lot_whose_cell_cannot_be_made_safe_is_not_closed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)

    def weld() -> None:
        bench.sites[1].box.stays_live = "3.3 V at the output"

    bench.handler.before_sort = weld
    assert await bench.run() == "HELD"
    assert "box-1: 3.3 V at the output" in bench.cell.reason
    assert not bench.file.closed


async def test_an_output_that_a_row_cannot_switch_off_stops_all_movement(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(NotUndoneError("smu-1 is still on"))), [*ONE, *ONE])
    assert await bench.run() == "HELD"
    assert bench.handler.sorted == []
    assert "smu-1 is still on" in bench.cell.reason
    assert bench.store.landings[0].devices[0].verdict is Verdict.NOT_JUDGED


async def test_more_devices_than_the_lot_has_are_not_tested(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [*THREE, *THREE])
    bench.quantity = 5
    assert await bench.run() == "HELD"
    assert "3 devices" in bench.cell.reason
    assert len(bench.happened(events.TouchdownOpened)) == 1


@pytest.mark.parametrize(("sites", "quantity"), [(1, 3), (64, 128), (64, 100)])
async def test_any_number_of_sites(tmp_path: Path, sites: int, quantity: int) -> None:
    full, rest = divmod(quantity, sites)
    touchdowns = [frozenset(range(1, sites + 1))] * full + ([frozenset(range(1, rest + 1))] if rest else [])
    bench = Bench(tmp_path, sequence(returning(1.0)), touchdowns)
    assert await bench.run() == "CLOSED"
    assert sum(map(len, bench.handler.sorted)) == quantity


async def test_a_device_is_not_landed_again_at_a_site_that_is_out_of_use(tmp_path: Path) -> None:
    async def fails_and_breaks(site: BenchSite) -> float:
        if site.number == 2:
            site.box.turn.poison("gone")
        return 9.0

    row = Parametric(1, fails_and_breaks, Limit(0, 1, "V"), bin=CONTACT)
    bench = Bench(tmp_path, sequence(row, retest=Retest(frozenset({CONTACT}), times=1)), THREE)
    await bench.run()
    assert bench.happened(events.TouchdownOpened)[1].parts == {1: 1, 3: 3}
    assert bench.handler.sorted == [dict.fromkeys((1, 2, 3), CONTACT.hard)]


@pytest.mark.parametrize(
    ("pins", "text"),
    [
        ({"A": None, "B": 1.0}, "pin A has no value"),
        ({"A": True, "B": 1.0}, "pin A"),
        ({"A": 1.0}, "exactly"),
    ],
)
async def test_a_pin_without_a_value_is_not_judged_and_its_condition_is_undone(
    tmp_path: Path, pins: dict[str, float], text: str
) -> None:
    @asynccontextmanager
    async def powered(site: BenchSite) -> AsyncGenerator[None, None]:
        yield
        site.seen.append("off")

    async def row(site: BenchSite) -> dict[str, float]:
        return pins

    measured = Parametric(1, row, ANY, bin=BAD, pins=("A", "B"))
    bench = Bench(tmp_path, sequence(While(powered, (measured,), bin=BAD)), ONE)
    assert await bench.run() == "CLOSED"
    assert bench.sites[1].seen == ["off"]
    (device,) = bench.store.landings[0].devices
    assert text in device.measurements[0].text
    assert device.bin == ERROR


async def test_a_condition_that_is_no_condition_is_a_program_fault(tmp_path: Path) -> None:
    def broken(site: BenchSite) -> "asynccontextmanager[None]":  # type: ignore[valid-type]
        raise TypeError("not written yet")

    bench = Bench(tmp_path, sequence(While(broken, (returning(1.0),), bin=BAD)), [*THREE, *ONE])
    assert await bench.run() == "HELD"
    assert "not written yet" in bench.cell.reason
    assert bench.handler.sorted == [dict.fromkeys((1, 2, 3), ERROR.hard)]


# -- what cannot be opened or closed
@pytest.mark.parametrize("operation", ["open", "begin", "finish"])
async def test_a_store_that_fails(tmp_path: Path, operation: str) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    bench.store.fails_in = operation
    assert await bench.run() == "HELD"
    assert f"store: {operation}" in bench.cell.reason
    assert len(bench.handler.sorted) == (1 if operation == "finish" else 0)
    assert bench.happened(events.LotClosed) == []


@pytest.mark.parametrize("operation", ["open", "close"])
async def test_a_datalog_file_that_fails(tmp_path: Path, operation: str) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    bench.file.fails_in = operation
    assert await bench.run() == "HELD"
    assert f"file: {operation}" in bench.cell.reason
    assert bench.happened(events.LotClosed) == []


async def test_a_store_that_cannot_be_closed_keeps_nothing_else_open(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    bench.store.fails_in = "close"
    watched = bench.bus.subscribe()
    await bench.start()
    await bench.cell.run_lot(unattended=True)
    with pytest.raises(StorageError, match="store: close"):
        await bench.cell.aclose()
    async with asyncio.timeout(5):
        assert [event async for event in watched]
    assert bench.journal.closed


class Vault:
    """Fails where it is told to."""

    def __init__(self, fails_in: str) -> None:
        self.fails_in = fails_in

    async def open_lot(self, lot: str, *, product: str, quantity: int, sorts: bool) -> None:
        if self.fails_in == "open":
            raise CustodyError("vault: open")

    async def ask_unit(self, unit: str) -> Unit:
        return Unit("", "", "", sealed=False)

    async def claim(self, lot: str, binned: Sequence[Binned]) -> None:
        if self.fails_in == "claim":
            raise CustodyError("vault: claim")

    async def close_lot(self, lot: str) -> LotClosing:
        if self.fails_in == "close":
            raise CustodyError("vault: close")
        return LotClosing({})


@pytest.mark.parametrize("operation", ["open", "claim", "close"])
async def test_a_vault_that_fails(tmp_path: Path, operation: str) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE, Vault(operation))
    assert await bench.run() == "HELD"
    assert f"vault: {operation}" in bench.cell.reason
    assert len(bench.handler.sorted) == (0 if operation == "open" else 1)
    assert bench.happened(events.LotClosed) == []


async def test_a_lot_is_closed_with_its_last_word_on_disk_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal._append  # noqa: SLF001 - where a disk would refuse it

    def refused(journal: Journal, entries: list[events.Any]) -> None:
        if any(isinstance(one, events.StateChanged) and one.new == "CLOSED" for one in entries):
            raise StorageError("no room")
        append(journal, entries)

    monkeypatch.setattr(Journal, "_append", refused)
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    assert await bench.run() == "HELD"
    assert bench.happened(events.LotClosed) == []


async def test_a_lot_whose_loading_cannot_be_journalled_is_not_loaded(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "gone", sequence(returning(1.0)), ONE)
    with pytest.raises(StorageError):
        await bench.start()
    assert bench.cell.state is State.EMPTY
    await bench.cell.aclose()


# -- the safe state
class Foreign(Box):
    """Raises what no driver may raise."""

    async def make_safe(self) -> None:
        raise AttributeError("bug in a driver")


class Hanging(Box):
    """Does not even let itself be cancelled."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.go = asyncio.Event()

    async def make_safe(self) -> None:
        while not self.go.is_set():
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                continue


class Slow(Box):
    """Takes longer than the bound of its role."""

    async def make_safe(self) -> None:
        await asyncio.sleep(1.5)
        await super().make_safe()


@virtual
async def test_a_slow_resource_gets_the_time_that_it_needs(tmp_path: Path) -> None:
    del tmp_path
    hasty, patient = Slow("hasty"), Slow("patient")
    patient.slow_s = 1.0
    _, failed = await make_safe([hasty, patient])
    assert failed == {"hasty": "not verified within 1 s"}
    assert patient.made_safe == 1


@virtual
async def test_one_bad_resource_does_not_keep_the_others_from_being_made_safe(tmp_path: Path) -> None:
    del tmp_path
    hanging, slow = Hanging("hanging"), Box("good")
    loop = asyncio.get_running_loop()
    began = loop.time()
    took, failed = await make_safe([Foreign("foreign"), hanging, slow])
    assert failed == {"foreign": "bug in a driver", "hanging": "hangs"}
    assert slow.made_safe == 1
    assert took == loop.time() - began < 2.0
    hanging.go.set()
    await asyncio.sleep(0.001)


async def test_equipment_error_of_start_lot_holds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)

    async def start_lot(lot: str) -> None:
        raise EquipmentError("door open")

    bench.handler.start_lot = start_lot  # type: ignore[method-assign]
    assert await bench.run() == "HELD"
    assert "door open" in bench.cell.reason


async def test_a_paused_lot_is_left_open(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE * 4)

    async def operator() -> None:
        assert not bench.cell.leave(), "it is not paused"
        await until(bench, State.RUNNING)
        assert (await bench.cell.request(commands.Pause(id="p", actor="op"))).ok
        await until(bench, State.PAUSED)
        bench.sites[1].box.stays_live = ""
        assert bench.cell.leave()

    assert await bench.run(operator(), unattended=False) == "PAUSED"
    assert isinstance(bench.history[-1], events.MadeSafe), "the outputs are off and read back"
    assert bench.happened(events.LotClosed) == []


async def test_a_paused_lot_whose_outputs_stay_on_is_aborted_when_it_is_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE * 4)

    async def operator() -> None:
        await until(bench, State.RUNNING)
        assert (await bench.cell.request(commands.Pause(id="p", actor="op"))).ok
        await until(bench, State.PAUSED)
        bench.sites[1].box.stays_live = "3.3 V at the output"
        assert bench.cell.leave()

    assert await bench.run(operator(), unattended=False) == "ABORTED"


async def test_a_paused_lot_that_would_be_held_again_is_left_open_all_the_same(tmp_path: Path) -> None:
    """Whoever stops the station is not there to let it go on."""
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    goes_on, calls = asyncio.Event(), itertools.count(1)

    async def start_lot(lot: str) -> None:
        if next(calls) > 1:
            await goes_on.wait()
        raise EquipmentError("door open")

    bench.handler.start_lot = start_lot  # type: ignore[method-assign]

    async def operator() -> None:
        await until(bench, State.HELD)
        assert (await bench.cell.request(release())).ok
        await until(bench, State.PAUSED)
        assert bench.cell.leave()
        goes_on.set()

    assert await bench.run(operator(), unattended=False) == "PAUSED"


async def test_a_lot_that_is_left_while_it_becomes_safe_for_a_hold_is_left_open_too(tmp_path: Path) -> None:
    """Nobody would let it go on, and the station would never end."""
    bench, left = Bench(tmp_path, sequence(returning(1.0)), ONE), list[bool]()
    box = bench.sites[1].box

    async def start_lot(lot: str) -> None:
        raise EquipmentError("door open")

    async def make_safe() -> None:
        if bench.cell.state is State.PAUSED:
            left.append(bench.cell.leave())

    bench.handler.start_lot = start_lot  # type: ignore[method-assign]
    box.make_safe = make_safe  # type: ignore[method-assign]

    async def operator() -> None:
        await until(bench, State.HELD)
        assert (await bench.cell.request(release())).ok

    assert await bench.run(operator(), unattended=False) == "PAUSED"
    assert left[0], "it was told that it is left"
    assert [event.new for event in bench.happened(events.StateChanged)].count("HELD") == 1


async def test_a_cell_whose_files_are_closed_takes_no_command_and_tells_of_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(CustodyError("vault gone"))), ONE)
    assert await bench.run() == "HELD"
    await bench.cell.aclose()
    before = len(bench.history)
    receipt = await bench.cell.request(commands.Abort(id="late", actor="op", roles=OP))
    assert (receipt.ok, receipt.code) == (False, "wrong_state")
    assert "being closed" in receipt.reason
    assert len(bench.history) == before


class Gate:
    """Keeps the receipt of one command from the disk until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._command, self._commit = command, LotJournal.commit
        monkeypatch.setattr(LotJournal, "commit", lambda journal, *happened: self._gated(journal, *happened))

    async def _gated(self, journal: LotJournal, *happened: events.Any) -> None:
        if isinstance(happened[0], events.CommandAccepted) and happened[0].id == self._command:
            self.reached.set()
            await self.opened.wait()
        await self._commit(journal, *happened)


def off() -> commands.SetSite:
    """A command that is written down when it has its effect."""
    return commands.SetSite(id="off", actor="te", roles=TE, site=1, on=False, reason="bent pin")


def test_a_command_under_way_has_its_effect_before_the_files_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, "off")

    @virtual
    async def closed(tmp_path: Path) -> None:
        bench = Bench(tmp_path, sequence(returning(1.0)), THREE)
        await bench.start()
        asked = asyncio.create_task(bench.cell.request(off()))
        await gate.reached.wait()
        closing = asyncio.create_task(bench.cell.aclose())
        await asyncio.wait([closing], timeout=UNDER_WAY_S / 2)
        assert not closing.done()
        gate.opened.set()
        await closing
        assert (await asked).ok
        assert [one.on for one in read(bench.path) if isinstance(one, events.SiteSet)] == [False]

    closed(tmp_path)


def test_a_command_that_has_no_end_keeps_no_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, "off")

    @virtual
    async def closed(tmp_path: Path) -> None:
        bench, loop = Bench(tmp_path, sequence(returning(1.0)), THREE), asyncio.get_running_loop()
        await bench.start()
        asked = asyncio.create_task(bench.cell.request(off()))
        await gate.reached.wait()
        began = loop.time()
        await bench.cell.aclose()
        assert UNDER_WAY_S <= loop.time() - began < 2 * UNDER_WAY_S
        gate.opened.set()
        with pytest.raises(StorageError):
            await asked

    closed(tmp_path)
