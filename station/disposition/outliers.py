"""Part average testing after the fact: good devices with a value that the others do not have."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from station.analysis.average import AverageLimits, limits
from station.disposition.parts import Parts
from station.disposition.rules import Dynamic, Static

Found = tuple[int, str]
"""Position of a device, and what was seen at it."""


def static(parts: Parts, rule: Static) -> Iterator[Found]:
    """Yield good devices outside of limits that earlier lots have given."""
    for column, test in enumerate(parts.info.tests):
        if (bounds := rule.limits.get(str(test.number))) is None:
            continue
        low = -np.inf if bounds.low is None else bounds.low
        high = np.inf if bounds.high is None else bounds.high
        outside = _outside(parts.values[:, column], low, high) & parts.good
        for at in np.flatnonzero(outside):
            seen = f"{test.number} {test.name} {parts.values[at, column]:.6g} outside {low:.6g}..{high:.6g}"
            yield int(at), seen


def dynamic(parts: Parts, rule: Dynamic) -> Iterator[Found]:
    """Yield good devices outside of the limits that their own wafer, or lot, gives."""
    wanted = [
        column
        for column, test in enumerate(parts.info.tests)
        if test.kind == "P" and (not rule.tests or test.number in rule.tests)
    ]
    for name, of in _groups(parts, rule):
        of = of[parts.good[of]]
        values = parts.values[of][:, wanted].T
        low, high = _spec(parts, wanted)
        made = limits(values, spec_low=low, spec_high=high, sigmas=rule.sigmas, least=rule.least)
        yield from _rejected(parts, name, of, wanted, made)


def _groups(parts: Parts, rule: Dynamic) -> Iterator[tuple[str, NDArray[np.int64]]]:
    wafers = parts.wafers()
    if rule.over == "wafer" and wafers:
        yield from ((f"wafer {name}", of) for name, of in wafers.items())
    else:
        yield "the lot", np.arange(len(parts.numbers))


def _spec(parts: Parts, wanted: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    sides = [parts.info.tests[column].limit for column in wanted]
    low = [-np.inf if limit is None or limit.low is None else limit.low for limit in sides]
    high = [np.inf if limit is None or limit.high is None else limit.high for limit in sides]
    return np.array(low, np.float64), np.array(high, np.float64)


def _rejected(
    parts: Parts, name: str, of: NDArray[np.int64], wanted: list[int], made: AverageLimits
) -> Iterator[Found]:
    for row, column in enumerate(wanted):
        if made.skipped[row]:
            continue
        low, high, test = made.low[row], made.high[row], parts.info.tests[column]
        values = parts.values[of, column]
        for place in np.flatnonzero(_outside(values, low, high)):
            seen = f"{test.number} {test.name} {values[place]:.6g} outside {low:.6g}..{high:.6g} of {name}"
            yield int(of[place]), f"{seen}, {made.parts[row]} parts"


def _outside(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values < low) | (values > high), np.bool_)
