"""R12: a reading that never changes is that of a stuck instrument; devices behind it are not judged."""

from pathlib import Path

import pytest

from station import events
from station.engine.stuck import StuckWatch
from station.model import DeviceResult, Limit, Measurement, TestDefinition, TouchdownResult, Verdict
from station.rules import StopRules
from station.sequence import Parametric
from tests.station.engine.doubles import BAD, ERROR, GOOD, Bench, BenchSite, sequence

VOLT = Limit(0, 1, "V")
TESTS = (
    TestDefinition(1, "volts", "P", VOLT),
    TestDefinition(2, "count", "P", Limit(0, 9, "")),
    TestDefinition(3, "pins", "M", VOLT, ("a",)),
)


def reading(test: int, value: float | None) -> Measurement:
    return Measurement(test, TESTS[test - 1].name, "P", Verdict.PASSED, value=value)


def landed(seq: int, site: int, *measured: Measurement) -> TouchdownResult:
    device = DeviceResult(site, seq, 1, GOOD, Verdict.PASSED, measured, 0.0, 0.1)
    return TouchdownResult(seq, 0.0, 1.0, (device,))


@pytest.mark.parametrize(
    ("values", "stuck"),
    [
        ([0.5, 0.5], True),
        ([0.5], False),
        ([0.5, 0.6, 0.5], False),
        ([0.6, 0.5, 0.5], True),
        ([0.5, None, 0.5], True),
        ([], False),
    ],
)
def test_the_third_equal_reading_in_a_row_is_one_too_many(values: list[float | None], stuck: bool) -> None:
    watch = StuckWatch(3, TESTS)
    for seq, value in enumerate(values, 1):
        watch.seen(landed(seq, 1, reading(1, value)))
    assert bool(watch.repeated(1, reading(1, 0.5))) is stuck
    assert not watch.repeated(1, reading(1, 0.7))
    assert not watch.repeated(2, reading(1, 0.5)), "another site"


def test_what_is_counted_or_has_pins_may_repeat() -> None:
    watch = StuckWatch(3, TESTS)
    for seq in range(1, 9):
        watch.seen(landed(seq, 1, reading(2, 4.0), reading(3, 0.5)))
    assert not watch.repeated(1, reading(2, 4.0))
    assert not watch.repeated(1, reading(3, 0.5))


async def test_devices_behind_a_stuck_reading_are_not_judged_and_hold_the_lot(tmp_path: Path) -> None:
    async def volts(site: BenchSite) -> float:
        site.seen.append("asked")
        return 0.5 if site.number == 1 else len(site.seen) / 100

    row = Parametric(1, volts, VOLT, bin=BAD)
    bench = Bench(tmp_path, sequence(row, rules=StopRules(stuck=4)), [frozenset({1, 2})] * 9)
    assert await bench.run() == "HELD"
    bins = [{o.site: o.soft for o in event.outcomes} for event in bench.happened(events.ContactsClosed)]
    good, error = GOOD.number, ERROR.number
    assert bins == [{1: good, 2: good}] * 3 + [{1: error, 2: good}] * 3
    trips = bench.happened(events.RuleTripped)
    told = [(trip.rule, trip.site, trip.action) for trip in trips]
    assert told == [("R12", 1, "not judged")] * 3 + [("R10", 0, "hold")]
    assert trips[0].seen == "1 volts: 0.5 came 4 times in a row"
