"""Part average limits of a running lot. Pure: results go in, limits come out; from a store the same again."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf, nextafter
from typing import Any

import numpy as np
from msgspec.structs import replace

from station.analysis.average import limits
from station.model import DeviceResult, Limit, Measurement, TestDefinition, TouchdownResult, Verdict
from station.sequence import Sequence
from station.set_up import AverageLimit, Averaging, StaticLimit


@dataclass(frozen=True)
class Average:
    """Limits of one test at one site, and how many devices they rest on."""

    low: float
    high: float
    parts: int

    def holds(self, value: float) -> bool:
        """Tell whether a value is inside."""
        return self.low <= value <= self.high

    def agreeing(self, measured: Measurement) -> "Average":
        """Return limits by which a measurement has its verdict, where rounded values have moved them."""
        value = measured.value
        if value is None or measured.verdict is Verdict.NOT_JUDGED:
            return self
        if self.holds(value) is (measured.verdict is Verdict.PASSED):
            return self
        if measured.verdict is Verdict.PASSED:
            return Average(min(self.low, value), max(self.high, value), self.parts)
        if value - self.low < self.high - value:
            return Average(nextafter(value, inf), self.high, self.parts)
        return Average(self.low, nextafter(value, -inf), self.parts)


Averages = Mapping[int, Average]
"""By test number; tests without limits are left out."""


def averaging(sequence: Sequence[Any]) -> Averaging | None:
    """Return how the lots of a sequence make limits of their good devices; None if they do not."""
    if (rule := sequence.outliers) is None:
        return None
    later = (sequence.quality.bin if sequence.quality else None, sequence.spoiled)
    bins = (rule.bin.number, *(bin_.number for bin_ in later if bin_ is not None))
    return Averaging(bins, rule.tests, rule.sigmas, rule.least, rule.window, static=rule.static)


class AverageWatch:
    """The good devices of a lot, site by site. Limits change between landings only, and are never wider."""

    def __init__(self, rule: Averaging, tests: Iterable[TestDefinition]) -> None:
        self._rule = rule
        self._tests = [t for t in tests if t.kind == "P" and (not rule.tests or t.number in rule.tests)]
        self._latest: dict[int, deque[tuple[float, ...]]] = {}
        sides = {test.number: _sides(test.limit) for test in self._tests}
        self._static = {one.test: _within(one, *sides[one.test]) for one in rule.static if one.test in sides}
        """What holds before a site has limits of its own, and where it has none."""

    def seen(self, landing: TouchdownResult) -> None:
        """Take the devices of a landing that passed."""
        for device in landing.devices:
            if device.verdict is Verdict.PASSED:
                found = {measured.test: measured.value for measured in device.measurements}
                values = (found.get(test.number) for test in self._tests)
                row = tuple(float("nan") if value is None else value for value in values)
                self._latest.setdefault(device.site, deque(maxlen=self._rule.window)).append(row)

    def at(self, site: int) -> Averages:
        """Return the limits of a site as they are now."""
        if self._rule.fixed:
            mine = (one for one in self._rule.fixed if one.site == site)
            return {one.test: Average(one.low, one.high, one.parts) for one in mine}
        return self._static | {
            number: _narrower(one, self._static.get(number)) for number, one in self._made(site)
        }

    def _made(self, site: int) -> Iterator[tuple[int, Average]]:
        """Yield the limits that the devices of a site give, by test."""
        latest = self._latest.get(site, ())
        if len(latest) < self._rule.least or not self._tests:
            return
        sides = [_sides(test.limit) for test in self._tests]
        made = limits(
            np.array(latest, np.float64).T,
            spec_low=np.array([low for low, _ in sides]),
            spec_high=np.array([high for _, high in sides]),
            sigmas=self._rule.sigmas,
            least=self._rule.least,
        )
        for row, test in enumerate(self._tests):
            if not made.skipped[row]:
                low, high = float(made.low[row]), float(made.high[row])
                yield test.number, Average(low, high, int(made.parts[row]))

    def judging(self, device: DeviceResult) -> Averages:
        """Return the limits by which a device was judged beside those of its tests; none if it was not."""
        judged = device.verdict is Verdict.PASSED or device.bin.number in self._rule.bins
        return self.at(device.site) if judged else {}

    def ended(self, sites: Iterable[int]) -> tuple[AverageLimit, ...]:
        """Return all limits as they are now."""
        return tuple(
            AverageLimit(site, test, one.low, one.high, one.parts)
            for site in sites
            for test, one in self.at(site).items()
        )


def against(measured: Measurement, averages: Averages) -> Measurement:
    """Return a measurement as these limits judge it."""
    average = averages.get(measured.test)
    if average is None or measured.value is None or average.holds(measured.value):
        return measured
    return replace(measured, verdict=Verdict.FAILED)


def outlying(measurements: Iterable[Measurement], averages: Averages) -> str:
    """Say which value lies outside, the first one; empty if none does."""
    for measured in measurements:
        average = averages.get(measured.test)
        if average is not None and measured.value is not None and not average.holds(measured.value):
            of = f"{average.parts} devices" if average.parts else "earlier lots"
            inside = f"{average.low:.6g}..{average.high:.6g} of {of}"
            return f"{measured.test} {measured.name} {measured.value:.6g} outside {inside}"
    return ""


def replayed(
    landings: Iterable[TouchdownResult], rule: Averaging, tests: Iterable[TestDefinition]
) -> Iterator[tuple[DeviceResult, str]]:
    """Yield each stored device that the rule has moved, or would have, and what was seen."""
    watch = AverageWatch(rule, tests)
    for landing in landings:
        for device in landing.devices:
            done = device.verdict is Verdict.PASSED or device.bin.number == rule.bins[0]
            if done and (seen := outlying(device.measurements, watch.at(device.site))):
                yield device, seen
        watch.seen(landing)


def _within(static: StaticLimit, low: float, high: float) -> Average:
    """Return static limits, a side that is not there as that of the test."""
    return Average(
        low if static.low is None else max(low, static.low),
        high if static.high is None else min(high, static.high),
        0,
    )


def _narrower(made: Average, static: Average | None) -> Average:
    if static is None:
        return made
    return Average(max(made.low, static.low), min(made.high, static.high), made.parts)


def _sides(limit: Limit | None) -> tuple[float, float]:
    low = None if limit is None else limit.low
    high = None if limit is None else limit.high
    return -np.inf if low is None else low, np.inf if high is None else high
