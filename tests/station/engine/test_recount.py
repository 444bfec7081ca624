"""What rules, averages and retests had counted goes on after a stop, as if there had been none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from station import commands, events
from station.engine.recount import Counters, Recount
from station.engine.states import State
from station.model import Limit
from station.policies import Outliers, Retest
from station.rules import StopRules
from station.sequence import Parametric, Sequence
from station.set_up import Traveller
from tests.station.engine.doubles import (
    BAD,
    CONTACT,
    OP,
    Bench,
    BenchSite,
    sequence,
    virtual,
)
from tests.station.engine.resumed import taken_up

RULES = StopRules(baseline_yield=0.9, all_sites=40, compare_sites=True)
TWO = frozenset({1, 2})
KINDS = "GGCGGGBGCCGGGBBGGGGCGGBGGGGGGCGG"
LIMIT = Limit(0.0, 1.0, "V")


def lot_of(kinds: str, rules: StopRules = RULES) -> Sequence[BenchSite]:
    """Devices that are good, bad, or without contact; by their order at each site."""
    at = {1: iter(kinds), 2: iter(kinds[::-1])}
    now = dict[int, str]()

    async def contact(site: BenchSite) -> float:
        now[site.number] = next(at[site.number])
        return 2.0 if now[site.number] == "C" else 0.5

    async def leakage(site: BenchSite) -> float:
        return 2.0 if now[site.number] == "B" else 0.5

    rows = Parametric(1, contact, LIMIT, bin=CONTACT), Parametric(2, leakage, LIMIT, bin=BAD)
    return sequence(*rows, retest=Retest(frozenset({CONTACT}), times=1, turn_on=1), rules=rules)


def recounted(happened: list[events.Any], plan: Sequence[BenchSite], quantity: int) -> Recount:
    recount = Recount(Counters(plan.rules, plan.retest, quantity=quantity), plan.all_bins())
    for event in happened:
        recount.add(event)
    return recount


def counted(counters: Counters) -> list[Any]:
    return [vars(counters.watch), vars(counters.retests), counters.not_judged]


@virtual
async def test_the_journal_gives_the_counters_of_the_run(tmp_path: Path) -> None:
    plan = lot_of(KINDS)
    bench = Bench(tmp_path, plan, [TWO] * 12)
    assert await bench.run() == "CLOSED"
    run = bench.cell._run
    assert run is not None
    recount = recounted(bench.history, plan, bench.quantity)
    assert recount.owed() == ()
    for found, live in zip(counted(recount.counters), counted(run._counters), strict=True):
        assert found == live
    assert recount.counters.retests._tried.total() == run.retested > 2


@virtual
async def test_a_trip_that_was_not_acted_on_is_owed(tmp_path: Path) -> None:
    plan = lot_of("G" + "B" * 40)
    bench = Bench(tmp_path, plan, [TWO] * 20)
    await bench.run()
    at = next(n for n, event in enumerate(bench.history) if isinstance(event, events.RuleTripped))
    (owed, *_) = recounted(bench.history[:at], plan, bench.quantity).owed()
    told: Any = bench.history[at]
    assert (owed.rule, owed.site, owed.seen) == (told.rule, told.site, told.seen)
    assert recounted(bench.history, plan, bench.quantity).owed() == ()


@virtual
async def test_somebody_who_has_looked_lets_rules_count_anew(tmp_path: Path) -> None:
    plan = lot_of(KINDS)
    bench = Bench(tmp_path, plan, [TWO] * 8)
    await bench.run()
    fresh = Counters(plan.rules, plan.retest, quantity=bench.quantity)
    held = events.StateChanged(at=0.0, old="RUNNING", new="HELD")
    happened = [event for event in bench.history if not isinstance(event, events.StateChanged)]
    recount = recounted([*happened, held], plan, bench.quantity)
    assert vars(recount.counters.watch) == vars(fresh.watch)
    assert recount.counters.retests._tried.total() > 0


# -- a cell that takes the lot up
async def finished(bench: Bench) -> list[Any]:
    watched = bench.bus.subscribe()
    receipt = await bench.cell.request(commands.Resume(id="go", actor="t", roles=OP))
    assert receipt.ok
    await bench.cell.run_lot(unattended=True)
    await bench.cell.aclose()
    return [event async for event in watched]


def place_of(bench: Bench, kind: type[Any], number: int = 0) -> int:
    return [n for n, event in enumerate(bench.history) if isinstance(event, kind)][number]


@virtual
async def test_a_row_of_fails_that_began_before_the_stop_switches_its_site_off(tmp_path: Path) -> None:
    plan = lot_of("B" * 99, StopRules(baseline_yield=0.9))
    bench = Bench(tmp_path, plan, [TWO] * 12)
    await bench.run()
    tripped = place_of(bench, events.RuleTripped)
    before = [n for n, e in enumerate(bench.history[:tripped]) if isinstance(e, events.Sorted)][-2]
    (tmp_path / "again").mkdir()
    again = await taken_up(bench, tmp_path / "again", bench.history[: before + 1], [TWO] * 9)
    happened = await finished(again)
    trips = [event for event in happened if isinstance(event, events.RuleTripped)]
    expected = [event for event in bench.history if isinstance(event, events.RuleTripped)]
    assert [(one.rule, one.site, one.seen) for one in trips] == [
        (one.rule, one.site, one.seen) for one in expected
    ]
    opened = [event for event in happened if isinstance(event, events.TouchdownOpened)]
    assert len(opened) == 1


@virtual
async def test_a_trip_that_is_owed_is_acted_on_before_a_device_is_met(tmp_path: Path) -> None:
    plan = lot_of("B" * 99, StopRules(baseline_yield=0.9))
    bench = Bench(tmp_path, plan, [TWO] * 12)
    await bench.run()
    (tmp_path / "again").mkdir()
    happened = bench.history[: place_of(bench, events.RuleTripped)]
    again = await taken_up(bench, tmp_path / "again", happened, [TWO] * 9)
    seen = await finished(again)
    assert again.cell.state.value == "HELD"
    assert [event.site for event in seen if isinstance(event, events.RuleTripped)] == [1, 2]
    assert not any(isinstance(event, events.TouchdownOpened) for event in seen)


@virtual
async def test_averages_are_made_of_the_store_again(tmp_path: Path) -> None:
    outliers = Outliers(BAD, least=4, window=6)
    plan = replace(lot_of("G" * 99, StopRules()), outliers=outliers)
    bench = Bench(tmp_path, plan, [TWO] * 9)
    await bench.run()
    (tmp_path / "again").mkdir()
    happened = bench.history[: place_of(bench, events.Sorted, 8) + 1]
    again = await taken_up(bench, tmp_path / "again", happened, [])
    live, once_more = (one.cell._run for one in (bench, again))
    assert live is not None
    assert once_more is not None
    assert live._landing._averages is not None
    assert once_more._landing._averages is not None
    assert once_more._landing._averages._latest == live._landing._averages._latest
    assert [len(found) for found in live._landing._averages._latest.values()] == [6, 6]
    await again.cell.aclose()


@virtual
async def test_what_the_traveller_said_counts_when_the_lot_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lot_of("P" * 9, StopRules()), [TWO] * 4)
    await bench.run()
    closed = place_of(bench, events.Sorted)
    says = Traveller(card="card-8")
    happened = [
        structs.replace(event, says=says) if isinstance(event, events.LotLoaded) else event
        for event in bench.history[: closed + 1]
    ]
    (tmp_path / "again").mkdir()
    again = await taken_up(bench, tmp_path / "again", happened, [TWO] * 3)
    await finished(again)
    assert again.cell.state is State.HELD
    assert "the traveller says card-8" in again.cell.reason


@virtual
async def test_a_lot_that_was_never_begun_is_checked_as_a_new_one(tmp_path: Path) -> None:
    async def pins_open(site: BenchSite) -> float:
        return 0.1 if site.number == 2 else 0.0

    rows = (Parametric(9, pins_open, Limit(-1e-6, 1e-6, "A")),)
    plan = replace(lot_of("P" * 9, StopRules()), empty=rows)
    bench = Bench(tmp_path, plan, [TWO] * 4)
    await bench.run()
    assert bench.cell.state is State.HELD
    checking = place_of(bench, events.StateChanged, 1)
    (tmp_path / "again").mkdir()
    again = await taken_up(bench, tmp_path / "again", bench.history[:checking], [TWO] * 4)
    assert again.cell.state.value == "PAUSED"
    happened = await finished(again)
    assert again.cell.state is State.HELD
    assert again.cell.reason.startswith("empty contacts: site 2: 9 pins_open: 0.1 A")
    assert not [event for event in happened if isinstance(event, events.TouchdownOpened)]
