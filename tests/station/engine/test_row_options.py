"""What a row may say beside its limit: attempts, grades, rules that leave it out."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DutError, EquipmentError
from drivers.roles import Reading, Smu, Supply
from station import events
from station.datalog.stdf.notes import alarms
from station.durations import taken
from station.engine.notes import wanted
from station.model import Bin, BinKind, Limit, Measurement, Note, Outcome, Verdict
from station.noted import Noted
from station.policies import Quality
from station.sequence import CONTINUE, Earlier, Functional, OnAlarm, Parametric, Retry
from tests.station.engine.doubles import (
    ANY,
    BAD,
    BINS,
    ERROR,
    GOOD,
    OTHER_BAD,
    Bench,
    BenchSite,
    returning,
    sequence,
    virtual,
)

ONE = [frozenset({1})]
ALARM = Bin(23, "alarm", hard=7, kind=BinKind.OTHER)
FAST = Bin(11, "fast", hard=11, kind=BinKind.PASS)
SLOW = Bin(12, "slow", hard=12, kind=BinKind.PASS)
VOLT = Limit(0, 1, "V")


def answering(answers: list[Any]) -> Callable[[BenchSite], Any]:
    """A function that gives, or raises, one answer after the other."""

    async def volts(site: BenchSite) -> Any:  # noqa: ANN401 - also what no sequence should return
        site.seen.append("asked")
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return volts


async def bin_of(folder: Path, *rows: Any) -> tuple[int, Outcome, Bench]:
    bench = Bench(folder, sequence(*rows), ONE)
    await bench.run()
    (closed,) = bench.happened(events.ContactsClosed)
    return closed.outcomes[0].soft, closed.outcomes[0], bench


@pytest.mark.parametrize(
    ("answers", "bin_", "left"),
    [
        ([5.0, 0.5], GOOD, 0),
        ([5.0, 6.0, 0.5], GOOD, 0),
        ([5.0, 6.0, 7.0, 0.5], BAD, 1),
        ([0.5, 5.0], GOOD, 1),
        ([DutError("no"), 0.5], GOOD, 0),
        ([5.0, EquipmentError("gone"), 0.5], ERROR, 1),
        ([EquipmentError("gone"), 0.5], ERROR, 1),
        ([float("nan"), 0.5], ERROR, 1),
    ],
)
async def test_a_failing_row_is_run_again_and_the_last_attempt_decides(
    tmp_path: Path, answers: list[Any], bin_: Bin, left: int
) -> None:
    row = Parametric(1, answering(answers), VOLT, bin=BAD, retry=Retry(times=2))
    soft, _, _ = await bin_of(tmp_path, row)
    assert soft == bin_.number
    assert len(answers) == left


async def test_each_attempt_is_told_and_all_but_the_last_are_notes(tmp_path: Path) -> None:
    row = Parametric(7, answering([5.0, 6.5, 0.5]), VOLT, bin=BAD, retry=Retry(times=2))
    _, outcome, bench = await bin_of(tmp_path, row)
    assert outcome.notes == (Note("attempt", 7, "5.0"), Note("attempt", 7, "6.5"))
    (device,) = bench.store.landings[0].devices
    assert [measured.value for measured in device.measurements] == [0.5]
    assert device.notes == outcome.notes
    noted = Noted()
    for event in bench.history:
        noted.add(event)
    assert (noted.retried, noted.skipped) == (1, {})


@virtual
async def test_it_settles_before_each_further_attempt(tmp_path: Path) -> None:
    row = Parametric(1, answering([5.0, 6.0, 0.5]), VOLT, bin=BAD, retry=Retry(times=2, settle_s=3.0))
    _, outcome, _ = await bin_of(tmp_path, row)
    assert 6.0 <= outcome.test_s < 6.5


@pytest.mark.parametrize(
    ("first", "second", "bin_"),
    [(0.1, 0.1, FAST), (0.1, 0.4, SLOW), (0.4, 0.1, SLOW), (0.9, 0.1, GOOD), (0.1, 1.5, BAD)],
)
async def test_a_device_leaves_with_the_worst_grade_of_its_rows(
    tmp_path: Path, first: float, second: float, bin_: Bin
) -> None:
    grades = ((Limit(0, 0.2, "V"), FAST), (Limit(0, 0.5, "V"), SLOW), (VOLT, GOOD))
    rows = (
        Parametric(1, answering([first]), VOLT, bin=BAD, grades=grades),
        Parametric(2, answering([second]), VOLT, bin=BAD, grades=grades),
    )
    rows[1].run.__name__ = "again"
    soft, _, bench = await bin_of(tmp_path, *rows)
    assert soft == bin_.number
    assert bench.handler.sorted == [{1: bin_.hard}]


async def test_no_grade_makes_a_failed_device_good(tmp_path: Path) -> None:
    grades = ((Limit(None, None, "V"), FAST),)
    graded = Parametric(2, answering([0.1]), ANY, bin=BAD, grades=grades)
    soft, _, _ = await bin_of(tmp_path, returning(5.0, 1, OTHER_BAD, VOLT), graded)
    assert soft == OTHER_BAD.number


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.5, ()),
        (0.1, ()),
        (0.05, ("0.05 of the span",)),
        (1.0, ("0 of the span",)),
        (0.97, ("0.03 of the span",)),
        (1.5, ()),
    ],
)
async def test_a_narrow_pass_is_noted_and_is_a_pass(
    tmp_path: Path, value: float, said: tuple[str, ...]
) -> None:
    row = Parametric(1, answering([value]), VOLT, bin=BAD, marginal=0.1)
    soft, outcome, bench = await bin_of(tmp_path, row)
    assert soft == (BAD if value > 1 else GOOD).number
    assert outcome.notes == tuple(Note("marginal", 1, text) for text in said)
    noted = Noted()
    for event in bench.history:
        noted.add(event)
    assert noted.marginal == ({"1": 1} if said else {})


def only_if_low(earlier: Earlier) -> bool:
    return (earlier["row_1"].value or 0.0) < 0.5


@pytest.mark.parametrize(("value", "runs"), [(0.1, True), (0.9, False)])
async def test_a_rule_leaves_a_row_out_and_its_name_is_in_the_record(
    tmp_path: Path, value: float, runs: bool
) -> None:
    first = returning(value, 1, BAD, VOLT)
    second = Parametric(2, answering([5.0]), VOLT, bin=OTHER_BAD, when=only_if_low, skippable=True)
    soft, outcome, _ = await bin_of(tmp_path, first, second)
    assert soft == (OTHER_BAD if runs else GOOD).number
    assert outcome.notes == (() if runs else (Note("skipped", 2, "only_if_low"),))


def answers_a_number(earlier: Earlier) -> Any:  # noqa: ANN401 - which is what is wrong with it
    return len(earlier)


def looks_for_what_is_not_there(earlier: Earlier) -> bool:
    return earlier["nothing"].value is None


@pytest.mark.parametrize("rule", [answers_a_number, looks_for_what_is_not_there])
async def test_a_rule_that_cannot_be_meant_is_a_program_fault(tmp_path: Path, rule: Any) -> None:
    async def works(site: BenchSite) -> bool:
        return bool(site)

    row = Functional(1, works, bin=BAD, when=rule, skippable=True, on_fail=CONTINUE)
    soft, _, bench = await bin_of(tmp_path, row)
    assert soft == ERROR.number
    assert bench.cell.state.value == "HELD"


class Unit(Smu):
    """Reads what it is told; beyond 1 A it is at its limit."""

    async def make_safe(self) -> None:
        pass

    async def force_voltage(self, volts: float, *, limit_a: float) -> None:
        pass

    async def force_current(self, amps: float, *, limit_v: float) -> None:
        pass

    async def switch_off(self) -> None:
        pass

    async def measure(self) -> float:
        return 0.0

    async def sweep(self, levels: Sequence[float], *, triggered: bool = False) -> tuple[Reading, ...]:
        return self._keep(tuple(Reading(level, level > 1.0) for level in levels))

    async def sweep_linear(
        self, start: float, stop: float, points: int, *, triggered: bool = False
    ) -> tuple[Reading, ...]:
        return ()

    async def burst(self, count: int) -> tuple[Reading, ...]:
        return ()


@pytest.mark.parametrize(
    ("alarm", "level", "bin_", "noted"),
    [
        (OnAlarm.IGNORE, 2.0, GOOD, 0),
        (OnAlarm.LOG, 2.0, GOOD, 1),
        (OnAlarm.LOG, 0.5, GOOD, 0),
        (OnAlarm.FAIL, 2.0, BAD, 1),
        (OnAlarm.FAIL, 0.5, GOOD, 0),
        (OnAlarm.ERROR, 2.0, ALARM, 1),
    ],
)
async def test_an_instrument_at_its_limit_means_what_the_row_says(
    tmp_path: Path, alarm: OnAlarm, level: float, bin_: Bin, noted: int
) -> None:
    async def amps(site: BenchSite) -> float:
        await site.io["A"].sweep([0.1, level])
        return 0.5

    rows = Parametric(1, amps, VOLT, bin=BAD, alarm=alarm), Functional(2, answering([True]), bin=OTHER_BAD)
    bench = Bench(tmp_path, replace(sequence(*rows), bins=replace(BINS, alarm=ALARM)), ONE)
    bench.sites[1].io["A"] = Unit("smu-1.a")
    await bench.run()
    (closed,) = bench.happened(events.ContactsClosed)
    (outcome,) = closed.outcomes
    assert outcome.soft == bin_.number
    assert outcome.notes == (Note("alarm", 1, "at its limit: io.A"),) * noted
    told = Noted()
    told.add(closed)
    assert told.alarms == ({"1": 1} if noted else {})
    (device,) = bench.store.landings[0].devices
    assert device.measurements[0].value == (0.5 if bin_ is GOOD else None)


async def alarmed(tmp_path: Path, rows: tuple[Any, ...], **roles: Any) -> dict[int, Outcome]:  # noqa: ANN401
    """Run one landing of two sites that share these roles; return what became of each site's device."""
    bench = Bench(tmp_path, sequence(*rows), [frozenset({1, 2})])
    for number, site in list(bench.sites.items()):
        bench.sites[number] = replace(site, **roles)
    await bench.run()
    (closed,) = bench.happened(events.ContactsClosed)
    return {outcome.site: outcome for outcome in closed.outcomes}


@pytest.mark.parametrize("at_limit", [frozenset(), frozenset({1}), frozenset({2}), frozenset({1, 2})])
async def test_an_alarm_of_a_shared_unit_reaches_the_sites_for_which_it_has_read(
    tmp_path: Path, at_limit: frozenset[int]
) -> None:
    unit, both = Unit("smu-1.a"), asyncio.Barrier(2)
    unit.turn.shared = True

    async def amps(site: BenchSite) -> float:
        async with unit.turn.taken():
            await unit.sweep([2.0 if site.number in at_limit else 0.5])
        await both.wait()  # neither row ends before the other site has read too
        return 0.5

    row = Parametric(1, amps, VOLT, bin=BAD, alarm=OnAlarm.LOG)
    outcomes = await alarmed(tmp_path, (row,), io={"A": unit})
    note = Note("alarm", 1, "at its limit: io.A")
    assert {site for site, outcome in outcomes.items() if outcome.notes == (note,)} == at_limit


class Fuse(Supply):
    """A supply whose protection trips when it is told to."""

    trip: str | None = None

    async def make_safe(self) -> None:
        pass

    async def switch_on(self, volts: float, *, limit_a: float, ovp_v: float) -> None:
        self.times_on, self.on, self.trip = self.times_on + 1, True, None

    async def switch_off(self) -> None:
        self.on = False

    async def measure_current(self) -> float:
        return 0.0

    async def measure_voltage(self) -> float:
        return 0.0

    async def tripped(self) -> str | None:
        return self.trip

    async def clear_protection(self) -> None:
        self.trip = None


@pytest.mark.parametrize(
    ("alarm", "value", "bin_"),
    [
        (OnAlarm.IGNORE, 0.5, GOOD),
        (OnAlarm.LOG, 0.5, ERROR),
        (OnAlarm.ERROR, 0.5, ERROR),
        (OnAlarm.FAIL, 0.5, BAD),
        (OnAlarm.FAIL, 9.9, BAD),
    ],
)
async def test_a_supply_that_trips_gives_no_reading_to_any_site_that_it_feeds(
    tmp_path: Path, alarm: OnAlarm, value: float, bin_: Bin
) -> None:
    supply, both = Fuse("psu"), asyncio.Barrier(2)
    await supply.switch_on(3.3, limit_a=0.1, ovp_v=4)

    async def volts(site: BenchSite) -> float:
        if site.number == 1:
            supply.trip = "over-current"
        await both.wait()
        return value

    row = Parametric(1, volts, VOLT, bin=BAD, alarm=alarm)
    outcomes = await alarmed(tmp_path, (row,), vdd=supply)
    assert {outcome.soft for outcome in outcomes.values()} == {bin_.number}
    note = Note("alarm", 1, "tripped: vdd over-current")
    wanted_notes = () if alarm is OnAlarm.IGNORE else (note,)
    assert {outcome.notes for outcome in outcomes.values()} == {wanted_notes}


@pytest.mark.parametrize(("uses", "noted"), [(False, ()), (True, ("tripped: vdd over-current",))])
async def test_a_trip_that_is_left_of_an_earlier_use_is_no_alarm(
    tmp_path: Path,
    uses: bool,
    noted: tuple[str, ...],  # noqa: FBT001
) -> None:
    supply = Fuse("psu")
    supply.trip = "over-current"

    async def volts(site: BenchSite) -> float:
        if uses:
            async with supply.powering(3.3, limit_a=0.1, ovp_v=4):
                supply.trip = "over-current"
        return 0.5

    row = Parametric(1, volts, VOLT, bin=BAD, alarm=OnAlarm.FAIL)
    bench = Bench(tmp_path, sequence(row), ONE)
    bench.sites[1] = replace(bench.sites[1], vdd=supply)
    await bench.run()
    (closed,) = bench.happened(events.ContactsClosed)
    assert tuple(note.text for note in closed.outcomes[0].notes) == noted


async def test_an_alarm_of_a_second_look_is_none_of_the_result_that_stands(tmp_path: Path) -> None:
    levels = iter((0.5, 2.0))

    async def amps(site: BenchSite) -> float:
        await site.io["A"].sweep([next(levels)])
        return 0.5

    row = Parametric(1, amps, VOLT, bin=BAD, alarm=OnAlarm.LOG)
    plan = replace(sequence(row), quality=Quality(first=1, every=0, bin=OTHER_BAD))
    bench = Bench(tmp_path, plan, ONE)
    bench.sites[1].io["A"] = Unit("smu-1.a")
    await bench.run()
    (device,) = bench.store.landings[0].devices
    assert device.notes == (Note("alarm", 1, "second look: at its limit: io.A"),)
    assert alarms(device) == {}


def lasting(seconds: float, name: str) -> Callable[[BenchSite], Any]:
    async def volts(site: BenchSite) -> float:
        await asyncio.sleep(seconds)
        return 0.5

    volts.__name__ = name
    return volts


@virtual
async def test_how_long_each_test_takes_is_known_of_some_landings(tmp_path: Path) -> None:
    rows = (
        Parametric(1, lasting(0.0625, "quick"), VOLT, bin=BAD),
        Parametric(
            2, lasting(0.25, "slow"), Limit(2, 3, "V"), bin=BAD, on_fail=CONTINUE, retry=Retry(times=1)
        ),
        Parametric(3, lasting(0.125, "last"), VOLT, bin=BAD),
    )
    bench = Bench(tmp_path, sequence(*rows), ONE * 33)
    await bench.run()
    timed = {one.seq: one.devices[0].times_s for one in bench.store.landings if one.devices[0].times_s}
    assert list(timed) == [seq for seq in range(1, 34) if taken(seq)]
    assert set(timed.values()) == {(0.0625, 0.5, 0.125)}  # both attempts


@virtual
async def test_a_second_look_takes_no_time_of_the_tests(tmp_path: Path) -> None:
    row = Parametric(1, lasting(0.25, "quick"), VOLT, bin=BAD)
    bench = Bench(tmp_path, replace(sequence(row), quality=Quality(OTHER_BAD, first=1)), ONE)
    await bench.run()
    (device,) = bench.store.landings[0].devices
    assert device.times_s == (0.25,)
    assert device.test_s >= 0.49


def test_what_a_row_makes_of_an_alarm_is_in_the_fingerprint() -> None:
    prints = {sequence(Functional(1, answering([]), bin=BAD, alarm=one)).fingerprint() for one in OnAlarm}
    plain = sequence(Functional(1, answering([]), bin=BAD)).fingerprint()
    assert len(prints) == len(OnAlarm)
    assert plain in prints


def asks(name: str) -> Callable[[Earlier], bool]:
    def rule(earlier: Earlier) -> bool:
        return (earlier[name].value or 0.0) > 1

    return rule


def test_a_rule_that_asks_for_an_unknown_result_of_an_insertion_before_lets_its_row_run() -> None:
    row = Parametric(1, answering([]), VOLT, bin=BAD, when=asks("CP1/idd"), skippable=True)
    low, high = (Measurement(1, "idd", "P", Verdict.PASSED, value=value) for value in (0.5, 2.0))
    assert wanted(row, [], {})
    assert wanted(row, [low], {"CP1/other": low})
    assert wanted(row, [], {"CP1/idd": high})
    assert not wanted(row, [high], {"CP1/idd": low})
    own = Parametric(1, answering([]), VOLT, bin=BAD, when=asks("idd"), skippable=True)
    with pytest.raises(KeyError):
        wanted(own, [], {"CP1/idd": high})
