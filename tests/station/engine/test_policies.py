"""Outliers, a second look, offsets and retest that stops helping: in a lot, by hand, and out of the store."""

from collections.abc import AsyncGenerator, Callable
from math import inf
from pathlib import Path

import pytest

from drivers.roles import Touchdown
from station import events
from station.engine.averages import Average, AverageWatch, averaging, replayed
from station.engine.retests import RetestWatch
from station.engine.second_look import chosen
from station.errors import SequenceError
from station.model import (
    Bin,
    BinKind,
    DeviceResult,
    Disposition,
    Limit,
    Personalisation,
    TestDefinition,
    Verdict,
)
from station.policies import Offset, Outliers, Quality
from station.sequence import Die, Parametric, Personalise, Retest, Sequence
from station.set_up import Averaging, StaticLimit
from tests.station.engine.doubles import (
    ANY,
    BAD,
    BINS,
    CONTACT,
    GOOD,
    SPOILED,
    Bench,
    BenchSite,
    ScriptedHandler,
    virtual,
)

OUTLIER, REJECT = Bin(30, "outlier", 3), Bin(31, "quality", 3)
LIMIT = Limit(0.0, 1.0, "V")
ODD = 45


def counting(value: Callable[[int], float]) -> Parametric[BenchSite]:
    """A row whose n-th call returns `value(n)`, from 1."""
    calls = [0]

    async def volts(site: BenchSite) -> float:
        del site
        calls[0] += 1
        return value(calls[0])

    return Parametric(1, volts, LIMIT, bin=BAD)


def spread(call: int) -> float:
    return 0.9 if call == ODD else 0.5 + 0.01 * (call % 7)


@virtual
async def test_an_outlier_goes_to_its_bin_before_it_gets_an_identity(tmp_path: Path) -> None:
    sealed = list[str]()

    async def personalise(site: BenchSite, die: Die) -> Personalisation:
        del site
        sealed.append(die.unit)
        return Personalisation(Disposition.SEALED, uid=die.unit.encode())

    rule = Outliers(OUTLIER, least=30, window=40)
    rows = (counting(spread), Personalise(9, personalise, bin=SPOILED))
    plan = Sequence("bench", "1", BenchSite, BINS, rows, outliers=rule)
    bench = Bench(tmp_path, plan, [frozenset({1})] * 50)
    assert await bench.run() == "CLOSED"
    bins = {device.part: device.bin for landing in bench.store.landings for device in landing.devices}
    assert {part for part, bin_ in bins.items() if bin_ == OUTLIER} == {ODD}
    assert len(sealed) == 49
    assert f"L/{ODD}" not in sealed
    (trip,) = bench.happened(events.RuleTripped)
    assert (trip.rule, trip.site, trip.action) == ("PAT", 1, "bin of outliers")
    made = averaging(plan)
    assert made is not None
    ((device, seen),) = replayed(bench.store.landings, made, plan.definitions())
    assert (device.part, seen) == (ODD, trip.seen)
    (measured,) = (m for m in device.measurements if m.test == 1)
    assert (measured.value, measured.verdict) == (0.9, Verdict.FAILED), "by the limits in its record"


@virtual
async def test_limits_of_earlier_lots_hold_from_the_first_device_and_are_never_left(tmp_path: Path) -> None:
    """Site 1 drifts: what its own devices give goes up to 0.7, the earlier lots have ended at 0.62."""
    drift = {2: 0.3, 40: 0.65, 45: 0.615}
    row = counting(lambda n: drift.get(n, 0.5 + 0.01 * (n % 10)))
    rule = Outliers(OUTLIER, least=30, window=40, static=(StaticLimit(1, 0.4, 0.62),))
    plan = Sequence("bench", "1", BenchSite, BINS, (row,), outliers=rule)
    bench = Bench(tmp_path, plan, [frozenset({1})] * 50)
    assert await bench.run() == "CLOSED"
    bins = {device.part: device.bin for landing in bench.store.landings for device in landing.devices}
    assert {part for part, bin_ in bins.items() if bin_ == OUTLIER} == {2, 40}
    first, second = bench.happened(events.RuleTripped)
    assert first.seen == "1 volts 0.3 outside 0.4..0.62 of earlier lots"
    assert "outside 0.4..0.62 of 38 devices" in second.seen
    made = averaging(plan)
    assert made is not None
    again = list(replayed(bench.store.landings, made, plan.definitions()))
    assert [(device.part, seen) for device, seen in again] == [(2, first.seen), (40, second.seen)]


def test_limits_of_earlier_lots_are_no_wider_than_those_of_the_test() -> None:
    test = TestDefinition(1, "volts", "P", Limit(0.0, None, "V"))
    for static, low, high in (
        (StaticLimit(1, -1.0, 0.5), 0.0, 0.5),
        (StaticLimit(1, 0.25, None), 0.25, inf),
        (StaticLimit(1), 0.0, inf),
    ):
        watch = AverageWatch(Averaging((30,), static=(static, StaticLimit(2, 0, 1))), (test,))
        assert watch.at(3) == {1: Average(low, high, 0)}


@virtual
async def test_a_good_device_that_fails_a_second_time_holds_the_lot(tmp_path: Path) -> None:
    plan = Sequence(
        "bench",
        "1",
        BenchSite,
        BINS,
        (counting(lambda n: 2.0 if n == 4 else 0.5),),
        quality=Quality(REJECT, first=2),
    )
    bench = Bench(tmp_path, plan, [frozenset({1})] * 4)
    assert await bench.run() == "HELD"
    landings = bench.store.landings
    assert [device.bin for landing in landings for device in landing.devices] == [GOOD, REJECT]
    assert [len(device.measurements) for landing in landings for device in landing.devices] == [1, 1]
    assert bench.handler.sorted == [{1: GOOD.hard}, {1: REJECT.hard}]
    (trip,) = bench.happened(events.RuleTripped)
    assert (trip.rule, trip.seen) == ("QA", "1 volts")


def test_who_is_looked_at_again_follows_from_lot_and_number() -> None:
    quality = Quality(REJECT, first=3, every=10)
    taken = [part for part in range(1, 2001) if chosen(quality, "L1", part)]
    assert taken[:3] == [1, 2, 3]
    assert 150 < len(taken) < 260
    assert taken == [part for part in range(1, 2001) if chosen(quality, "L1", part)]
    assert taken != [part for part in range(1, 2001) if chosen(quality, "L2", part)]


@virtual
async def test_an_offset_is_added_at_its_site_before_the_limit(tmp_path: Path) -> None:
    plan = Sequence("bench", "1", BenchSite, BINS, (counting(lambda n: 0.9),), offsets=(Offset(1, 2, 0.15),))
    bench = Bench(tmp_path, plan, [frozenset({1, 2})])
    await bench.run()
    (landing,) = bench.store.landings
    assert [(d.site, d.bin, d.measurements[0].value) for d in landing.devices] == [
        (1, GOOD, 0.9),
        (2, BAD, pytest.approx(1.05)),
    ]


def result(bin_: Bin, part: int = 1, site: int = 1) -> DeviceResult:
    verdict = Verdict.PASSED if bin_.good else Verdict.FAILED
    return DeviceResult(site, part, 1, bin_, verdict, (), 0.0, 0.0)


def test_retest_is_turned_on_by_a_run_of_one_bin_at_a_site() -> None:
    watch = RetestWatch(Retest(frozenset({CONTACT}), turn_on=3))
    wanted = list[bool]()
    for bin_ in (CONTACT, CONTACT, CONTACT, GOOD, CONTACT):
        watch.first({1: result(bin_)})
        wanted.append(watch.wants(result(bin_)))
    assert wanted == [False, False, True, False, False]


def test_retest_that_helps_too_few_is_turned_off_until_the_next_wafer() -> None:
    watch = RetestWatch(Retest(frozenset({CONTACT, BAD}), useless_after=20, min_recovered=0.1))
    said = [list(watch.again(result(BAD), result(GOOD if n == 0 else BAD))) for n in range(20)]
    assert [len(one) for one in said] == [0] * 19 + [1]
    assert said[-1] == [("retest off", "1 of 20 retests have helped, retest stops")]
    assert not watch.wants(result(CONTACT))
    watch.restart()
    assert watch.wants(result(CONTACT))


def test_a_bin_that_recovers_too_often_is_told_once() -> None:
    watch = RetestWatch(Retest(frozenset({CONTACT})))
    said = [one for _ in range(40) for one in watch.again(result(CONTACT), result(GOOD))]
    assert [rule for rule, _ in said] == ["retest helps"]


async def nothing(site: BenchSite) -> float:
    del site
    return 0.0


async def sealing(site: BenchSite, die: Die) -> Personalisation:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"outliers": Outliers(Bin(30, "odd", 1, BinKind.PASS))}, "must be fail"),
        ({"outliers": Outliers(OUTLIER, tests=(7,))}, "no parametric test 7"),
        ({"outliers": Outliers(OUTLIER, sigmas=0)}, "sigmas = 0"),
        ({"outliers": Outliers(OUTLIER, static=(StaticLimit(7, 0, 1),))}, "no test 7 with a single number"),
        ({"outliers": Outliers(OUTLIER, static=(StaticLimit(1, 2, 1),))}, "2 is above 1"),
        ({"outliers": Outliers(OUTLIER, static=(StaticLimit(1),) * 2)}, "test 1 is there twice"),
        ({"outliers": Outliers(OUTLIER, (1,), static=(StaticLimit(2),))}, "none of outliers.tests"),
        ({"outliers": Outliers(OUTLIER, least=50, window=40)}, "no more than window"),
        ({"outliers": Outliers(OUTLIER), "retest": Retest(frozenset({OUTLIER}))}, "one of outliers"),
        ({"quality": Quality(REJECT, first=-1)}, "must not be negative"),
        ({"quality": Quality(REJECT, first=1)}, "behind its personalisation"),
        ({"offsets": (Offset(5, 1, 0.1),)}, "no parametric test 5"),
        ({"offsets": (Offset(1, 1, 0.1), Offset(1, 1, 0.2))}, "there twice"),
        ({"retest": Retest(min_recovered=2)}, "between 0 and 1"),
        ({"retest": Retest(at_end=True, always=2)}, "always is at once"),
        ({"retest": Retest(confirm=2)}, "confirm needs other_site"),
        ({"retest": Retest(turn_on=-1)}, "retest: turn_on must not be negative"),
    ],
)
def test_policies_that_cannot_be_meant_are_refused(more: dict[str, object], says: str) -> None:
    rows = (Parametric(1, nothing, ANY, bin=BAD), Personalise(9, sealing, bin=SPOILED))
    with pytest.raises(SequenceError, match=says):
        Sequence("bench", "1", BenchSite, BINS, rows, **more)  # type: ignore[arg-type]


class TwoWafersOfOneName(ScriptedHandler):
    """A prober that reads the id of its third wafer wrongly."""

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        for x, wafer in enumerate(("W1", "W1", "W2", "W1")):
            yield Touchdown(frozenset({1}), positions={1: (x, 0)}, wafer=wafer)


@virtual
async def test_a_wafer_id_that_was_read_before_holds_the_lot(tmp_path: Path) -> None:
    plan = Sequence("bench", "1", BenchSite, BINS, (Parametric(1, nothing, ANY, bin=BAD),))
    bench = Bench(tmp_path, plan, [frozenset({1})] * 4)
    bench.use(TwoWafersOfOneName([]))
    assert await bench.run() == "HELD"
    places = [device.place for landing in bench.store.landings for device in landing.devices]
    assert [(place.wafer, place.x) for place in places if place] == [("W1", 0), ("W1", 1), ("W2", 2)]
    assert "'W1' was read before" in bench.cell.reason


@pytest.mark.parametrize("limit", [Limit(2.0, 1.0, "V"), Limit(float("nan"), 1.0, "V")])
def test_limits_that_nothing_can_pass_are_refused(limit: Limit) -> None:
    with pytest.raises(SequenceError, match="nothing: low .* is above high 1, or is no number"):
        Sequence("bench", "1", BenchSite, BINS, (Parametric(1, nothing, limit, bin=BAD),))
