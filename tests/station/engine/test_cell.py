"""A lot goes through the cell: bins, retest, faults, holds, aborts; each rule where it can be seen."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DutError, EquipmentError
from drivers.roles import Touchdown
from station import commands, events
from station.custody.balance import balance_of
from station.custody.journal import read
from station.errors import CustodyError
from station.model import Ending, Limit, Verdict
from station.sequence import CONTINUE, Barrier, Functional, Parametric, Retest, While
from tests.station.engine.doubles import (
    ANY,
    BAD,
    CONTACT,
    ERROR,
    GOOD,
    OP,
    OTHER_BAD,
    TE,
    Bench,
    BenchSite,
    ScriptedHandler,
    returning,
    sequence,
    virtual,
)

ONE = [frozenset({1})]
THREE = [frozenset({1, 2, 3})]


async def test_each_device_gets_the_bin_of_its_first_failing_row(tmp_path: Path) -> None:
    async def by_site(site: BenchSite) -> float:
        return float(site.number)

    rows = (
        Parametric(1, by_site, Limit(0, 2, "V"), bin=BAD, on_fail=CONTINUE),
        returning(5.0, 2, OTHER_BAD, Limit(0, 1, "V")),
    )
    bench = Bench(tmp_path, sequence(rows[0]), THREE)
    assert await bench.run() == "CLOSED"
    assert bench.handler.sorted == [{1: 1, 2: 1, 3: BAD.hard}]

    (tmp_path / "second").mkdir()
    both = Bench(tmp_path / "second", sequence(*rows), THREE)
    assert await both.run() == "CLOSED"
    soft = {o.site: o.soft for e in both.happened(events.ContactsClosed) for o in e.outcomes}
    assert soft == {1: OTHER_BAD.number, 2: OTHER_BAD.number, 3: BAD.number}


@pytest.mark.parametrize(
    ("value", "bin_", "verdict", "ending"),
    [
        (0.5, GOOD, Verdict.PASSED, Ending.VALUE),
        (5.0, BAD, Verdict.FAILED, Ending.VALUE),
        (float("inf"), BAD, Verdict.FAILED, Ending.OVER_RANGE),
        (float("nan"), ERROR, Verdict.NOT_JUDGED, Ending.NO_VALUE),
        (None, ERROR, Verdict.NOT_JUDGED, Ending.NO_VALUE),
        (True, ERROR, Verdict.NOT_JUDGED, Ending.NO_VALUE),
        (DutError("wrong"), BAD, Verdict.FAILED, Ending.DUT_ERROR),
        (DutError("mute", silent=True), BAD, Verdict.FAILED, Ending.DUT_SILENT),
        (EquipmentError("gone"), ERROR, Verdict.NOT_JUDGED, Ending.EQUIPMENT),
        (CustodyError("unsafe"), ERROR, Verdict.NOT_JUDGED, Ending.NO_VALUE),
        (RuntimeError("bug"), ERROR, Verdict.NOT_JUDGED, Ending.ABORTED),
    ],
)
async def test_what_the_end_of_a_row_means(
    tmp_path: Path, value: Any, bin_: Any, verdict: Verdict, ending: Ending
) -> None:
    bench = Bench(tmp_path, sequence(returning(value, limit=Limit(0, 1, "V"))), ONE)
    await bench.run()
    (device,) = bench.store.landings[0].devices
    assert (device.bin, device.verdict) == (bin_, verdict)
    assert device.measurements[0].ending is ending
    assert bench.handler.sorted == [{1: bin_.hard}]


async def test_a_fault_at_one_site_leaves_the_others_alone(tmp_path: Path) -> None:
    async def only_two_breaks(site: BenchSite) -> float:
        if site.number == 2:
            raise EquipmentError("hardware missing")
        await asyncio.sleep(0)
        return 1.0

    bench = Bench(tmp_path, sequence(Parametric(1, only_two_breaks, ANY, bin=BAD)), THREE)
    assert await bench.run() == "CLOSED"
    assert bench.handler.sorted == [{1: 1, 2: ERROR.hard, 3: 1}]
    assert [e.site for e in bench.happened(events.Faulted)] == [2]


@pytest.mark.parametrize(("value", "reason"), [(RuntimeError("bug"), "bug"), (CustodyError("x"), "custody")])
async def test_program_and_custody_faults_hold_the_lot_after_sorting(
    tmp_path: Path, value: Exception, reason: str
) -> None:
    bench = Bench(tmp_path, sequence(returning(value)), [*ONE, *ONE])
    assert await bench.run() == "HELD"
    assert reason in bench.cell.reason
    assert bench.handler.sorted == [{1: ERROR.hard}]
    assert bench.sites[1].box.made_safe >= 2


async def test_three_contacts_that_nobody_could_judge_hold_the_lot(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(EquipmentError("gone"))), [*ONE] * 5)
    assert await bench.run() == "HELD"
    assert len(bench.handler.sorted) == 3


async def test_retest_lands_the_failing_devices_again_and_the_last_result_counts(tmp_path: Path) -> None:
    calls: dict[int, int] = {}

    async def sometimes(site: BenchSite) -> float:
        calls[site.number] = calls.get(site.number, 0) + 1
        return 9.0 if site.number == 3 or (site.number == 2 and calls[2] == 1) else 0.0

    row = Parametric(1, sometimes, Limit(0, 1, "V"), bin=CONTACT)
    bench = Bench(tmp_path, sequence(row, retest=Retest(frozenset({CONTACT}), times=2)), THREE)
    assert await bench.run() == "CLOSED"
    assert calls == {1: 1, 2: 2, 3: 3}
    assert bench.handler.sorted == [{1: 1, 2: 1, 3: CONTACT.hard}]
    assert bench.handler.replunged == 2
    opened = bench.happened(events.TouchdownOpened)
    assert [(e.seq, e.parts, e.contacts) for e in opened] == [
        (1, {1: 1, 2: 2, 3: 3}, {1: 1, 2: 1, 3: 1}),
        (2, {2: 2, 3: 3}, {2: 2, 3: 2}),
        (3, {3: 3}, {3: 3}),
    ]
    assert [landing.seq for landing in bench.file.landings] == [1, 2, 3]


async def test_nothing_is_sorted_before_its_result_is_on_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [*THREE, *ONE])
    on_disk: list[list[str]] = []

    def look() -> None:
        on_disk.append([type(event).__name__ for event in read(bench.path)][-2:])
        assert len(bench.store.landings) == len(on_disk)

    bench.handler.before_sort = look
    assert await bench.run() == "CLOSED"
    assert on_disk == [["ContactsClosed", "BinsSent"]] * 2


async def test_a_store_that_refuses_sends_the_devices_to_the_error_bin_and_holds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [*THREE, *ONE])
    bench.store.refuses = "disk full"
    assert await bench.run() == "HELD"
    assert bench.handler.sorted == [{1: ERROR.hard, 2: ERROR.hard, 3: ERROR.hard}]
    assert bench.file.landings == []
    assert "disk full" in bench.cell.reason
    assert balance_of(read(bench.path)).accounts() == {f"not judged in bin {ERROR.hard}": 3, "waiting": 1}


async def test_a_datalog_file_that_fails_holds_at_the_boundary_and_the_verdicts_stand(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [*ONE, *ONE])
    bench.file.refuses = "no space"
    assert await bench.run() == "HELD"
    assert bench.handler.sorted == [{1: 1}]


async def test_a_handler_that_does_not_confirm_holds_and_nothing_is_sent_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [*ONE, *ONE])
    bench.handler.sort_fails = "echo wrong three times"
    assert await bench.run() == "HELD"
    assert bench.handler.sorted == []
    assert [type(e).__name__ for e in bench.history if isinstance(e, events.BinsSent | events.Sorted)] == [
        "BinsSent"
    ]


# -- conditions
@asynccontextmanager
async def powered(site: BenchSite) -> AsyncGenerator[None, None]:
    site.seen.append("on")
    try:
        yield
    finally:
        site.seen.append("off")


@asynccontextmanager
async def stays_on(site: BenchSite) -> AsyncGenerator[None, None]:
    yield
    raise EquipmentError(f"{site.box.name} is still on")


@asynccontextmanager
async def dead(site: BenchSite) -> AsyncGenerator[None, None]:
    raise DutError("no answer to reset", silent=True)
    yield


@pytest.mark.parametrize("value", [1.0, 9.0, EquipmentError("x"), DutError("x"), RuntimeError("x")])
async def test_a_condition_is_undone_however_its_rows_end(tmp_path: Path, value: Any) -> None:
    inner = While(powered, (returning(value, limit=Limit(0, 2, "V")),), bin=BAD)
    bench = Bench(tmp_path, sequence(While(powered, (inner,), bin=BAD)), ONE)
    await bench.run()
    assert bench.sites[1].seen == ["on", "on", "off", "off"]


async def test_an_output_that_stays_on_is_never_a_pass(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(While(stays_on, (returning(1.0),), bin=BAD)), [*ONE, *ONE])
    assert await bench.run() == "HELD"
    assert "still on" in bench.cell.reason
    assert bench.handler.sorted == []
    (device,) = bench.store.landings[0].devices
    assert (device.bin, device.verdict) == (ERROR, Verdict.NOT_JUDGED)


async def test_a_condition_that_the_device_prevents_gives_its_bin(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(While(dead, (returning(1.0),), bin=OTHER_BAD)), ONE)
    assert await bench.run() == "CLOSED"
    (device,) = bench.store.landings[0].devices
    assert device.bin == OTHER_BAD
    assert device.measurements == ()


async def test_a_barrier_opens_when_all_who_still_run_have_come(tmp_path: Path) -> None:
    order: list[str] = []

    async def first(site: BenchSite) -> float:
        for _ in range(site.number):
            await asyncio.sleep(0)
        order.append(f"a{site.number}")
        return 9.0 if site.number == 2 else 0.0

    async def second(site: BenchSite) -> float:
        order.append(f"b{site.number}")
        return 0.0

    rows = (
        Parametric(1, first, Limit(0, 1, "V"), bin=BAD),
        Barrier(),
        Parametric(2, second, ANY, bin=BAD),
    )
    bench = Bench(tmp_path, sequence(*rows), THREE)
    assert await bench.run() == "CLOSED"
    assert order[:3] == ["a1", "a2", "a3"]
    assert sorted(order[3:]) == ["b1", "b3"]


# -- time
@virtual
async def test_a_row_past_its_time_is_ended_and_its_device_not_judged(tmp_path: Path) -> None:
    async def sleeps(site: BenchSite) -> float:
        await asyncio.Event().wait()
        return 0.0

    row = Parametric(1, sleeps, ANY, bin=BAD)
    bench = Bench(tmp_path, sequence(row), ONE)
    await bench.run()
    (device,) = bench.store.landings[0].devices
    assert device.measurements[0].ending is Ending.TIMEOUT
    assert device.bin == ERROR


@virtual
async def test_waiting_for_a_shared_resource_is_not_the_rows_time(tmp_path: Path) -> None:
    inside: list[int] = []

    async def takes_turns(site: BenchSite) -> float:
        async with shared.turn.taken():
            inside.append(site.number)
            await asyncio.sleep(3.0)
            inside.append(-site.number)
        return 0.0

    row = Parametric(1, takes_turns, ANY, bin=BAD, timeout_s=5.0)
    bench = Bench(tmp_path, sequence(row), [frozenset(range(1, 5))])
    shared = bench.sites[1].box
    shared.turn.shared = True
    assert await bench.run() == "CLOSED"
    assert inside == [1, -1, 2, -2, 3, -3, 4, -4]
    assert bench.handler.sorted == [dict.fromkeys(range(1, 5), 1)]


async def test_a_quarantined_resource_takes_its_site_out_of_the_lot(tmp_path: Path) -> None:
    async def breaks_at_two(site: BenchSite) -> float:
        if site.number == 2:
            site.box.turn.poison("identity changed")
            raise EquipmentError("identity changed")
        return 0.0

    bench = Bench(tmp_path, sequence(Parametric(1, breaks_at_two, ANY, bin=BAD)), [*THREE, *THREE])
    assert await bench.run() == "CLOSED"
    assert bench.handler.sorted == [{1: 1, 2: ERROR.hard, 3: 1}, {1: 1, 2: 7, 3: 1}]
    assert bench.happened(events.TouchdownOpened)[1].untested == (2,)
    assert [e.resource for e in bench.happened(events.Quarantined)] == ["site 2"]


# -- commands
async def test_pause_takes_effect_at_the_boundary_and_resume_goes_on(tmp_path: Path) -> None:
    testing, go = asyncio.Event(), asyncio.Event()

    async def waits(site: BenchSite) -> float:
        testing.set()
        await go.wait()
        return 0.0

    bench = Bench(tmp_path, sequence(Parametric(1, waits, ANY, bin=BAD)), [*ONE, *ONE])

    async def operator() -> None:
        await testing.wait()
        assert (await bench.cell.request(commands.Pause(id="p", actor="op"))).ok
        go.set()
        await bench.cell.paused.wait()
        assert len(bench.handler.sorted) == 1
        assert (await bench.cell.request(commands.Resume(id="r", actor="op", roles=OP))).ok

    assert await bench.run(operator()) == "CLOSED"
    assert len(bench.handler.sorted) == 2


class Resting(ScriptedHandler):
    """Takes its time to land, and is brought to rest in a pause, as a prober is."""

    rests = True

    def __init__(self, touchdowns: list[frozenset[int]]) -> None:
        super().__init__(touchdowns)
        self.story: list[str] = []
        self.on_its_way, self.may_land = asyncio.Event(), asyncio.Event()

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        while self._left:
            if self.story:
                self.on_its_way.set()
                await self.may_land.wait()
            self.story.append("landed")
            yield Touchdown(self._left[0])

    async def sort(self, bins: Mapping[int, int]) -> None:
        await super().sort(bins)
        self.story.append("sorted")
        self._left.pop(0)

    async def pause(self) -> None:
        self.story.append("paused")

    async def resume(self) -> None:
        self.story.append("resumed")

    async def end_lot(self) -> None:
        self.story.append("ended")


async def test_needles_do_not_stand_on_a_wafer_in_a_pause(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), [*ONE, *ONE])
    prober = Resting([*ONE, *ONE])
    bench.use(prober)

    async def operator() -> None:
        await prober.on_its_way.wait()
        assert (await bench.cell.request(commands.Pause(id="p", actor="op"))).ok
        await asyncio.sleep(0)
        assert not bench.cell.paused.is_set(), "it lands first"
        prober.may_land.set()
        await bench.cell.paused.wait()
        assert prober.story[-2:] == ["landed", "paused"]
        assert (await bench.cell.request(commands.Resume(id="r", actor="op", roles=OP))).ok

    assert await bench.run(operator()) == "CLOSED"
    assert prober.story == ["landed", "sorted", "landed", "paused", "resumed", "landed", "sorted", "ended"]


async def test_the_same_command_twice_has_one_effect_and_a_wrong_state_refuses(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    await bench.start()
    first = await bench.cell.request(commands.Resume(id="x", actor="op", roles=OP))
    assert (first.ok, first.code) == (False, "wrong_state")
    assert "PAUSED" in first.reason
    assert await bench.cell.request(commands.Resume(id="x", actor="op", roles=OP)) is first
    release = await bench.cell.request(commands.Release(id="y", actor="te", roles=TE, reason="why"))
    assert release.code == "wrong_state"
    await bench.cell.run_lot(unattended=True)
    await bench.cell.aclose()


async def test_a_reason_is_journaled_once_and_needs_words_and_a_role(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    await bench.start()
    words = commands.Reason(id="say-1", actor="op", roles=OP, state="SDT", reason="PM-W04", source="mqtt")
    assert (await bench.cell.request(words)).ok
    assert (await bench.cell.request(words)).ok
    assert (
        await bench.cell.request(commands.Reason(id="say-2", actor="op", roles=OP))
    ).code == "bad_arguments"
    assert (await bench.cell.request(commands.Reason(id="say-3", actor="x", reason="why"))).code == "denied"
    await bench.cell.run_lot(unattended=True)
    (given,) = [event for event in read(tmp_path / "journal") if isinstance(event, events.ReasonGiven)]
    assert (given.state, given.reason, given.actor, given.source) == ("SDT", "PM-W04", "op", "mqtt")
    await bench.cell.aclose()


async def test_end_finishes_the_touchdown_and_closes_the_lot(tmp_path: Path) -> None:
    testing = asyncio.Event()

    async def row(site: BenchSite) -> float:
        testing.set()
        await asyncio.sleep(0.01)
        return 0.0

    bench = Bench(tmp_path, sequence(Parametric(1, row, ANY, bin=BAD)), [*ONE] * 9)

    async def operator() -> None:
        await testing.wait()
        await bench.cell.request(commands.End(id="e", actor="op", roles=OP))

    assert await bench.run(operator()) == "CLOSED"
    assert len(bench.handler.sorted) == 1
    assert bench.happened(events.LotClosed)[0].accounts == {"good": 1, "waiting": 8}


async def test_abort_ends_rows_undoes_conditions_and_withholds_the_bins(tmp_path: Path) -> None:
    testing = asyncio.Event()

    async def hangs(site: BenchSite) -> float:
        testing.set()
        await asyncio.Event().wait()
        return 0.0

    rows = (
        returning(9.0, 1, BAD, Limit(0, 1, "V")),
        While(powered, (Parametric(2, hangs, ANY, bin=OTHER_BAD, timeout_s=60),), bin=BAD),
    )
    failing = Parametric(1, rows[0].run, Limit(0, 1, "V"), bin=BAD, on_fail=CONTINUE)
    bench = Bench(tmp_path, sequence(failing, rows[1]), ONE)

    async def operator() -> None:
        await testing.wait()
        await bench.cell.request(commands.Abort(id="a", actor="op"))

    assert await bench.run(operator()) == "ABORTED"
    assert bench.sites[1].seen == ["on", "off"]
    assert bench.handler.sorted == []
    (device,) = bench.store.landings[0].devices
    assert (device.cut_short, device.bin) == (True, BAD)
    assert bench.happened(events.MadeSafe)[-1].unverified == ()
    assert not bench.file.closed


async def test_a_cell_whose_safe_state_cannot_be_verified_does_not_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    bench.sites[1].box.stays_live = "5.1 V at the output"
    assert await bench.run() == "HELD"
    assert "5.1 V at the output" in bench.cell.reason
    assert bench.happened(events.TouchdownOpened) == []
    assert bench.happened(events.MadeSafe)[0].unverified == ("box-1",)


async def test_a_functional_row_needs_a_bool(tmp_path: Path) -> None:
    async def wrong(site: BenchSite) -> bool:
        return 1  # type: ignore[return-value]

    bench = Bench(tmp_path, sequence(Functional(1, wrong, bin=BAD)), ONE)
    await bench.run()
    assert bench.store.landings[0].devices[0].verdict is Verdict.NOT_JUDGED


async def test_every_contact_opened_is_closed_once_and_the_balance_is_zero(tmp_path: Path) -> None:
    values = iter([1.0, 9.0, DutError("x"), EquipmentError("y"), 1.0, float("nan"), 1.0])

    async def row(site: BenchSite) -> float:
        value = next(values)
        if isinstance(value, Exception):
            raise value
        assert isinstance(value, float)
        return value

    bench = Bench(tmp_path, sequence(Parametric(1, row, Limit(0, 1, "V"), bin=BAD)), [*THREE, *THREE, *ONE])
    assert await bench.run() == "CLOSED"
    closed = [o.part for e in bench.happened(events.ContactsClosed) for o in e.outcomes]
    assert closed == list(range(1, 8))
    accounts = balance_of(read(bench.path)).accounts()
    assert sum(accounts.values()) == 7
    assert "in contact" not in accounts and "waiting" not in accounts


async def test_a_role_that_may_not_is_refused_and_the_refusal_is_journalled(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), ONE)
    await bench.start()
    asked = commands.End(id="e", actor="p-2", roles=frozenset({"security-officer"}), source="console")
    receipt = await bench.cell.request(asked)
    assert (receipt.code, bench.cell.state.value) == ("denied", "LOADED")
    await bench.cell.aclose()
    refused = [event for event in read(bench.path) if isinstance(event, events.CommandRefused)]
    assert [(e.code, e.actor, e.source, e.roles) for e in refused] == [
        ("denied", "p-2", "console", ("security-officer",))
    ]
