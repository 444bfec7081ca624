"""Shares and their intervals, what comes most often, and how values are spread."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

MOST_BINS = 60


class Share(Struct, frozen=True):
    """A share of a count with its exact (Clopper-Pearson) interval; 0 to 1 of nothing."""

    count: int
    of: int
    value: float
    low: float
    high: float


class Bar(Struct, frozen=True):
    """One cause: how often, and the share of it and all that come more often."""

    name: str
    count: float
    share: float
    cumulated: float


class Histogram(Struct, frozen=True):
    """Counts between edges; what lies outside the range that is shown is counted apart."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    below: int
    above: int


def share(count: int, of: int, *, confidence: float = 0.95, wilson: bool = False) -> Share:
    """Return a yield, or any other share, with its interval."""
    if of <= 0:
        return Share(count, of, 0.0, 0.0, 1.0)
    test = stats.binomtest(count, of)
    interval = test.proportion_ci(confidence, method="wilson" if wilson else "exact")
    return Share(count, of, count / of, float(interval.low), float(interval.high))


def pareto(counts: Mapping[str, float], *, most: int | None = None) -> tuple[Bar, ...]:
    """Return what is above 0, the most frequent first; names decide between equals."""
    total, cumulated, bars = sum(counts.values()), 0.0, list[Bar]()
    for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        if count > 0:
            cumulated += count
            bars.append(Bar(name, count, count / total, cumulated / total))
    return tuple(bars[:most])


def histogram(
    values: Sequence[float] | NDArray[np.float64], *, around: tuple[float | None, float | None] = (None, None)
) -> Histogram:
    """Return the counts of the values within 4 quartile distances of the median, and the limits `around` it.

    The width of a column is that of Freedman and Diaconis, at most 60 columns.
    """
    points = np.asarray(values, float)
    points = points[np.isfinite(points)]
    if not len(points):
        return Histogram((), (), 0, 0)
    lower, median, upper = np.quantile(points, (0.25, 0.5, 0.75))
    reach = 4 * (upper - lower)
    near = points[np.abs(points - median) <= reach] if reach else points
    sides = [side for side in around if side is not None and (not reach or abs(side - median) <= 4 * reach)]
    low, high = (
        min(float(near.min()), *sides, float(near.max())),
        max(float(near.max()), *sides, float(near.min())),
    )
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = 2 * (upper - lower) / len(points) ** (1 / 3)
    columns = int(np.clip(np.ceil((high - low) / width), 1, MOST_BINS)) if width > 0 else 1
    counts, edges = np.histogram(points, columns, (low, high))
    below, above = int((points < low).sum()), int((points > high).sum())
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)), below, above)
