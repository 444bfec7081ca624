"""Stop rules: published tails, each rule at its edge, healthy lots that go on, and what a lot makes of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from station import events
from station.engine.odds import at_least, at_most, run_of_fails, share_at_least
from station.engine.sites import Sites
from station.engine.stop_rules import Action, RetryWatch, Watch
from station.errors import SequenceError
from station.model import Bin, Limit, Note
from station.rules import StopRules
from station.sequence import Parametric
from tests.station.engine.doubles import (
    BAD,
    CONTACT,
    ERROR,
    GOOD,
    OTHER_BAD,
    SPOILED,
    UNTESTED,
    Bench,
    BenchSite,
    Box,
    sequence,
)

LIMIT = Limit(0, 1, "V")


@pytest.mark.parametrize(
    ("chance", "wanted"),
    [
        (at_most(72, 100, 0.85), 6.129e-4),
        (at_most(73, 100, 0.85), 1.380e-3),
        (at_least(8, 100, 0.02), 9.319e-4),
        (at_least(7, 100, 0.02), 4.062e-3),
        (share_at_least(27, 100, 97, 800), 9.420e-6),
        (share_at_least(26, 100, 96, 800), 2.544e-5),
        (share_at_least(10, 50, 17, 400), 3.891e-6),
        (share_at_least(9, 50, 16, 400), 2.165e-5),
    ],
)
def test_tails_are_those_of_the_golden_table(chance: float, wanted: float) -> None:
    assert chance == pytest.approx(wanted, rel=5e-4)


@pytest.mark.parametrize(
    ("good", "runs"),
    [(0.70, (12, 13)), (0.80, (9, 10)), (0.90, (6, 7)), (0.95, (5, 6)), (0.98, (4, 5)), (0.99, (3, 4))],
)
def test_runs_of_fails_are_those_of_the_golden_table(good: float, runs: tuple[int, int]) -> None:
    assert (run_of_fails(good, 10_000), run_of_fails(good, 80_000)) == runs


def test_tails_at_their_ends() -> None:
    everything = (at_least(0, 10, 0.3), at_most(10, 10, 0.3), share_at_least(0, 5, 3, 20))
    assert everything == pytest.approx((1, 1, 1))
    assert at_least(11, 10, 0.3) == share_at_least(4, 5, 3, 20) == 0


def fed(rules: StopRules, touchdowns: Sequence[Mapping[int, Bin]], quantity: int = 10_000) -> list[str]:
    watch = Watch(rules, quantity=quantity)
    return [f"{n} {t.rule} {t.site}" for n, first in enumerate(touchdowns, 1) for t in watch.seen(first)]


def test_fails_in_a_row_stop_a_site_and_a_pass_ends_the_row() -> None:
    rules = StopRules(baseline_yield=0.9)
    mixed = [BAD, OTHER_BAD, CONTACT] * 2
    assert fed(rules, [{1: bin_, 2: GOOD} for bin_ in mixed]) == ["6 R1 1"]
    assert fed(rules, [{1: bin_} for bin_ in (*mixed[:5], GOOD, *mixed[:5])]) == []


def test_fewer_stop_it_when_they_are_of_one_bin() -> None:
    rules = StopRules(baseline_yield=0.9)
    assert fed(rules, [{7: CONTACT}] * 5) == ["5 R2 7"]
    assert fed(rules, [{7: CONTACT}] * 4 + [{7: BAD}] + [{7: GOOD}]) == []
    assert fed(StopRules(baseline_yield=0.99), [{7: CONTACT}] * 3)[0] == "3 R1 7"


def test_what_was_not_judged_neither_ends_a_row_nor_adds_to_it() -> None:
    row: Sequence[Mapping[int, Bin]] = [{1: BAD}] * 2 + [{1: ERROR}, {1: UNTESTED}] + [{1: BAD}] * 3
    assert fed(StopRules(baseline_yield=0.9), row) == ["7 R2 1"]


def test_all_sites_failing_hold_the_lot_where_there_are_several() -> None:
    rules = StopRules(all_sites=3)
    assert fed(rules, [{1: BAD, 2: CONTACT}] * 3) == ["3 R3 0"]
    assert fed(rules, [{1: BAD, 2: CONTACT}] * 2 + [{1: GOOD, 2: BAD}] + [{1: BAD, 2: BAD}] * 2) == []
    assert fed(rules, [{1: BAD}] * 9) == []


def test_no_touch_is_told_before_all_sites() -> None:
    rules = StopRules(all_sites=2, no_touch=2, contact_bins=(CONTACT,))
    assert fed(rules, [{1: CONTACT, 2: CONTACT}] * 2) == ["2 R7 0"]
    assert fed(rules, [{1: CONTACT, 2: BAD}] * 2) == ["2 R3 0"]


def test_tips_are_cleaned_after_so_many_touchdowns_and_a_cleaning_counts() -> None:
    watch = Watch(StopRules(clean_every=3), quantity=100)
    trips = list[int]()
    for number in range(1, 12):
        trips += [number for one in watch.seen({1: GOOD}) if (one.rule, one.action) == ("R8", Action.CLEAN)]
        if number == 7:
            watch.cleaned()
    assert trips == [3, 6, 10]


def test_too_many_rows_that_are_run_again_are_an_alarm_once_a_window() -> None:
    again, once = (Note("attempt", 1, "2.0"), Note("marginal", 1, "")), ()
    watch, trips = RetryWatch(StopRules(retries=0.02), rows=5), list[str]()
    for number in range(1, 260):
        notes = again if number % 9 == 0 else once
        trips += [f"{number} {one.rule} {one.action.value}" for one in watch.seen([notes])]
    assert trips == ["100 R11 alarm", "200 R11 alarm"]
    quiet = RetryWatch(StopRules(retries=0.02), rows=6)
    assert not [one for _ in range(30) for one in quiet.seen([once] * 9 + [again])]
    assert not list(RetryWatch(StopRules(), rows=5).seen([again] * 500))


def lot(good: int, bad: int, bin_: Bin = BAD) -> Sequence[Mapping[int, Bin]]:
    return [{1: GOOD}] * good + [{1: bin_}] * bad


@pytest.mark.parametrize(
    ("touchdowns", "trips"), [(lot(72, 28), ["100 R4 0"]), (lot(73, 27), []), (lot(40, 59), [])]
)
def test_yield_floor_at_its_golden_edge(touchdowns: Sequence[Mapping[int, Bin]], trips: list[str]) -> None:
    assert fed(StopRules(yield_floor=0.85), touchdowns) == trips


@pytest.mark.parametrize(
    ("touchdowns", "trips"),
    [(lot(92, 8, SPOILED), ["100 R6 0"]), (lot(93, 7, SPOILED), []), (lot(92, 8), [])],
)
def test_bin_limit_at_its_golden_edge(touchdowns: Sequence[Mapping[int, Bin]], trips: list[str]) -> None:
    assert fed(StopRules(bin_limits=((SPOILED, 0.02),)), touchdowns) == trips


def sites_apart(fails: int) -> Sequence[Mapping[int, Bin]]:
    """100 devices at each of 8 sites: `fails` at site 3 and 10 at each other, the last at the end."""
    counts = dict.fromkeys(range(1, 9), 10) | {3: fails}
    return [{site: BAD if n >= 100 - count else GOOD for site, count in counts.items()} for n in range(100)]


def test_a_site_that_fails_more_than_the_others_at_its_golden_edge() -> None:
    assert fed(StopRules(compare_sites=True), sites_apart(27))[-1] == "100 R5 3"
    assert not [
        trip for trip in fed(StopRules(compare_sites=True), sites_apart(26)) if trip.startswith("100")
    ]


def test_a_site_that_is_off_is_compared_no_more() -> None:
    watch = Watch(StopRules(compare_sites=True), quantity=800)
    for first in sites_apart(40)[:-1]:
        watch.seen(first)
    watch.off(3)
    assert watch.seen(dict.fromkeys((1, 2, 4, 5, 6, 7, 8), GOOD)) == ()


def test_counters_begin_anew_when_somebody_has_looked() -> None:
    watch = Watch(StopRules(baseline_yield=0.9, all_sites=3, yield_floor=0.85), quantity=10_000)
    for _ in range(2):
        watch.seen({1: BAD, 2: CONTACT})
    watch.restart()
    assert [watch.seen({1: BAD, 2: CONTACT}) for _ in range(2)] == [(), ()]


def test_healthy_lots_go_on() -> None:
    rules = StopRules(baseline_yield=0.95, all_sites=3, yield_floor=0.9, compare_sites=True)
    stopped = 0
    for seed in range(40):
        random = Random(seed)  # noqa: S311 - a lot
        touchdowns = [
            {site: GOOD if random.random() < 0.95 else BAD for site in range(1, 17)} for _ in range(125)
        ]
        stopped += bool(fed(rules, touchdowns, quantity=2000))
    assert stopped <= 2


# -- in a lot
def test_a_site_that_is_off_may_still_lose_its_machine() -> None:
    box = Box("box")
    sites = Sites({1: (box,), 2: ()})
    sites.switch_off(1, "rule R1")
    assert (sites.newly_quarantined(), sites.out_of_use(1)) == ({}, "rule R1")
    box.turn.poison("gone")
    assert sites.newly_quarantined() == {1: "gone"}
    assert (sites.newly_quarantined(), sites.out_of_use(1)) == ({}, "gone")


async def test_a_lot_is_held_when_every_site_fails(tmp_path: Path) -> None:
    table = sequence(_row(1, 2, 3), rules=StopRules(all_sites=3))
    bench = Bench(tmp_path, table, [frozenset({1, 2, 3})] * 5)
    assert await bench.run() == "HELD"
    assert bench.cell.reason.startswith("rule R3: every site fails, 3 touchdowns in a row")
    assert len(bench.handler.sorted) == 3, "the devices in contact were sorted before"
    (tripped,) = bench.happened(events.RuleTripped)
    assert (tripped.rule, tripped.site, tripped.action) == ("R3", 0, Action.HOLD.value)


async def test_a_site_that_is_switched_off_tests_no_more_and_the_lot_goes_on(tmp_path: Path) -> None:
    table = sequence(_row(2), rules=StopRules(baseline_yield=0.9))
    bench = Bench(tmp_path, table, [frozenset({1, 2, 3})] * 6)
    assert await bench.run() == "CLOSED"
    (tripped,) = bench.happened(events.RuleTripped)
    assert (tripped.rule, tripped.site) == ("R2", 2)
    opened = bench.happened(events.TouchdownOpened)
    first = next(n for n, event in enumerate(opened) if event.untested)
    assert 0 < first < len(opened)
    assert all(event.untested == ((2,) if n >= first else ()) for n, event in enumerate(opened))
    assert [bins[2] for bins in bench.handler.sorted] == [BAD.hard] * first + [UNTESTED.hard] * (6 - first)


async def test_a_lot_is_held_when_too_few_sites_are_left(tmp_path: Path) -> None:
    table = sequence(_row(2, 3), rules=StopRules(baseline_yield=0.9))
    bench = Bench(tmp_path, table, [frozenset({1, 2, 3})] * 6)
    assert await bench.run() == "HELD"
    assert "only 1 of 3 sites are usable" in bench.cell.reason


def _row(*fails: int) -> Parametric[BenchSite]:
    async def row(site: BenchSite) -> float:
        return 9.0 if site.number in fails else 0.5

    return Parametric(1, row, LIMIT, bin=BAD)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (StopRules(baseline_yield=1.0), "rules: baseline_yield = 1 must lie between 0 and 1"),
        (StopRules(yield_floor=85), "rules: yield_floor = 85 must lie between 0 and 1"),
        (StopRules(all_sites=0), "rules: all_sites = 0 must be 1 or more touchdowns"),
        (StopRules(no_touch=2), "rules: no_touch needs contact_bins"),
        (StopRules(stuck=2), "rules: stuck = 2 must be 3 or more readings"),
        (StopRules(bin_limits=((SPOILED, 0.1),)), "rules: bin 10 'spoiled' is used by no row"),
        (StopRules(bin_limits=((BAD, 0.0),)), "rules: limit of bin 3 = 0 must lie between 0 and 1"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(rules: StopRules, text: str) -> None:
    with pytest.raises(SequenceError, match=text):
        sequence(_row(), rules=rules)
