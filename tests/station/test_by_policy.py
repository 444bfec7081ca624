"""Escapes and overkill behind each policy, of a journal that a hand can count."""

from dataclasses import replace
from pathlib import Path

import pytest

from station import events
from station.analysis.shares import share
from station.by_policy import PolicyCourse, PolicyTruth
from station.engine.odds import interval
from station.model import Bin, BinKind, Limit, Outcome, Verdict
from station.policies import Outliers, Quality, Retest
from station.rules import StopRules
from station.sequence import Parametric
from tests.station.engine.doubles import (
    BAD,
    CONTACT,
    GOOD,
    UNTESTED,
    Bench,
    BenchSite,
    returning,
    sequence,
    virtual,
)

OUTLIER, REJECT = Bin(30, "outlier", 3), Bin(31, "quality", 3)
FULL = replace(
    sequence(returning(0.0), returning(0.0, 2, CONTACT), retest=Retest(frozenset({CONTACT}))),
    outliers=Outliers(OUTLIER),
    quality=Quality(REJECT, first=1),
    rules=StopRules(baseline_yield=0.9, yield_floor=0.5, compare_sites=True, all_sites=3),
)


def outcome(part: int, bin_: Bin, contact: int = 1, site: int = 1) -> Outcome:
    verdict = Verdict.PASSED if bin_.good else Verdict.FAILED
    return Outcome(
        site=site,
        part=part,
        contact=contact,
        soft=bin_.number,
        hard=bin_.hard,
        kind=bin_.kind,
        verdict=verdict,
        test_s=0,
    )


def closed(*outcomes: Outcome) -> events.ContactsClosed:
    return events.ContactsClosed(at=0, seq=1, outcomes=outcomes)


def tripped(rule: str, site: int = 0, action: str = "") -> events.RuleTripped:
    return events.RuleTripped(at=0, rule=rule, site=site, action=action, seen="")


def course(*happened: events.Any) -> PolicyCourse:
    found = PolicyCourse(FULL)
    for event in happened:
        found.add(event)
    return found


def counts(stages: tuple[PolicyTruth, ...]) -> dict[str, tuple[int, ...]]:
    return {
        s.policy: (s.devices, s.escapes.count, s.escapes.of, s.overkill.count, s.overkill.of) for s in stages
    }


def test_each_policy_is_counted_behind_the_one_before() -> None:
    """Good: 1 to 6 and 9; bad: 7, 8 and 10."""
    untested = events.TouchdownOpened(at=0, seq=9, parts={2: 9, 1: 10}, contacts={2: 1, 1: 1}, untested=(2,))
    found = course(
        closed(outcome(1, GOOD), outcome(2, CONTACT), outcome(3, CONTACT), outcome(7, CONTACT)),
        closed(outcome(2, GOOD, 2), outcome(3, CONTACT, 2), outcome(7, GOOD, 2)),
        closed(outcome(4, OUTLIER), outcome(5, REJECT), outcome(6, BAD), outcome(8, OUTLIER)),
        tripped("PAT", 1), tripped("PAT", 1), tripped("QA", 1), tripped("R1", 2, "site off"),
        untested,
        closed(outcome(9, UNTESTED, site=2), outcome(10, BAD)),
    )  # fmt: skip
    stages = found.stages({part: part not in (7, 8, 10) for part in range(1, 11)})
    assert counts(stages) == {
        "first contact": (9, 1, 3, 3, 6),
        "retest": (3, 2, 3, 2, 6),
        "PAT": (2, 1, 3, 3, 6),
        "QA": (1, 1, 3, 4, 6),
        "R1": (1, 1, 3, 5, 7),
        "R2": (0, 1, 3, 5, 7),
        "R3": (0, 1, 3, 5, 7),
        "R4": (0, 1, 3, 5, 7),
        "R5": (0, 1, 3, 5, 7),
    }
    trips = {stage.policy: stage.trips for stage in stages if stage.trips}
    assert trips == {"PAT": 2, "QA": 1, "R1": 1}
    assert (found.moved(4), found.moved(6), found.moved(99)) == (True, False, False)


def test_rules_that_move_no_device_are_told_by_their_trips() -> None:
    rules = StopRules(clean_every=500, retries=0.02)
    found = PolicyCourse(replace(FULL, outliers=None, quality=None, rules=rules))
    stages = found.stages({})
    assert [stage.policy for stage in stages] == ["first contact", "retest", "R8", "R11"]
    for event in (
        tripped("R8", action="clean"),
        tripped("R8", action="clean"),
        tripped("R10"),
        tripped("R11"),
    ):
        found.add(event)
    found.add(closed(outcome(1, GOOD), outcome(2, BAD), outcome(3, GOOD)))
    stages = found.stages({1: True, 2: False, 3: False})
    assert [(stage.policy, stage.trips) for stage in stages[2:]] == [("R8", 2), ("R10", 1), ("R11", 1)]
    assert {(stage.devices, stage.escapes.count, stage.overkill.count) for stage in stages[1:]} == {(0, 1, 0)}


def test_a_site_that_was_cleared_and_a_device_nobody_knows() -> None:
    found = course(
        tripped("R5", 2, "site off"),
        events.Cleared(at=0, resource="site 2", actor="a", reason="r"),
        events.TouchdownOpened(at=0, seq=1, parts={2: 1}, contacts={2: 1}, untested=(2,)),
        closed(outcome(1, UNTESTED), outcome(2, GOOD)),
    )
    stages = counts(found.stages({1: True}))
    assert stages["first contact"] == (1, 0, 0, 1, 1)
    assert stages["R5"] == (0, 0, 0, 1, 1)


def test_a_result_that_was_corrected_counts_as_corrected() -> None:
    error = Bin(20, "error", 7, BinKind.OTHER)
    found = course(closed(outcome(1, GOOD)), closed(outcome(1, error)))
    assert counts(found.stages({1: True}))["first contact"] == (1, 0, 0, 1, 1)


@pytest.mark.parametrize(("count", "of"), [(0, 20), (1, 20), (10, 100), (19, 20), (20, 20), (300, 5000)])
def test_the_interval_is_the_exact_one(count: int, of: int) -> None:
    golden = share(count, of)
    assert interval(count, of) == pytest.approx((golden.low, golden.high), abs=1e-7)
    assert interval(0, 0) == (0.0, 1.0)


@virtual
async def test_the_journal_of_a_lot_gives_what_its_devices_went_through(tmp_path: Path) -> None:
    left = [0.5, 9.0, 0.5, 9.0, 9.0]

    async def volts(site: BenchSite) -> float:
        del site
        return left.pop(0)

    plan = sequence(Parametric(1, volts, Limit(0, 1, "V"), bin=CONTACT), retest=Retest(frozenset({CONTACT})))
    bench = Bench(tmp_path, plan, [frozenset({1})] * 3)
    assert await bench.run() == "CLOSED"
    found = PolicyCourse(plan)
    for event in bench.history:
        found.add(event)
    assert counts(found.stages({1: True, 2: True, 3: True})) == {
        "first contact": (3, 0, 0, 2, 3),
        "retest": (2, 0, 0, 1, 3),
    }
