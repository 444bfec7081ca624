"""Statistical process control: charts with their limits, and the rules by which a point is a signal."""

from collections.abc import Callable, Sequence
from functools import cache
from math import gamma, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from station.errors import AnalysisError

Points = NDArray[np.float64]


class Chart(Struct, frozen=True):
    """One chart: its points, and for each the centre, the lower and the upper limit."""

    name: str
    points: tuple[float, ...]
    centre: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def beyond(self) -> tuple[int, ...]:
        """The places, from 0, of the points outside their limits."""
        triples = zip(self.points, self.low, self.high, strict=True)
        return tuple(i for i, (point, low, high) in enumerate(triples) if not low <= point <= high)


# -- constants of normal samples
@cache
def c4(count: int) -> float:
    """Return the mean of s / sigma of a sample of `count`."""
    return sqrt(2 / (count - 1)) * gamma(count / 2) / gamma((count - 1) / 2)


@cache
def range_moments(count: int) -> tuple[float, float]:
    """Return d2 and d3: mean and standard deviation of the range of `count` standard normal values."""
    grid = np.linspace(-8.5, 8.5, 1701)
    step, below = grid[1] - grid[0], stats.norm.cdf(grid)
    mean = float(np.sum(1 - below**count - (1 - below) ** count) * step)
    low, high = below[:, None], below[None, :]
    both = 1 - high**count - (1 - low) ** count + np.maximum(high - low, 0) ** count
    upper = np.triu(both, 1).sum() + np.trace(both) / 2
    return mean, sqrt(max(0.0, 2 * float(upper) * step * step - mean * mean))


# -- charts of measured values
def means_and_ranges(groups: Sequence[Sequence[float]]) -> tuple[Chart, Chart]:
    """Return the X̄ and the R chart of subgroups of one size, 2 to 25."""
    values = _groups(groups)
    size = values.shape[1]
    d2, d3 = range_moments(size)
    ranges = np.ptp(values, axis=1)
    typical = float(ranges.mean())
    spread = 3 * typical / (d2 * sqrt(size))
    about = 3 * d3 * typical / d2
    return (
        _chart("mean", values.mean(axis=1), float(values.mean()), spread),
        _chart("range", ranges, typical, about, least=0.0),
    )


def means_and_deviations(groups: Sequence[Sequence[float]]) -> tuple[Chart, Chart]:
    """Return the X̄ and the s chart of subgroups of one size."""
    values = _groups(groups)
    size = values.shape[1]
    deviations = values.std(axis=1, ddof=1)
    typical, unbiased = float(deviations.mean()), c4(size)
    spread = 3 * typical / (unbiased * sqrt(size))
    about = 3 * typical * sqrt(1 - unbiased**2) / unbiased
    return (
        _chart("mean", values.mean(axis=1), float(values.mean()), spread),
        _chart("deviation", deviations, typical, about, least=0.0),
    )


def individuals(values: Sequence[float]) -> tuple[Chart, Chart]:
    """Return the chart of single values and of their moving ranges (one point fewer)."""
    points = _enough(values, 2)
    ranges = np.abs(np.diff(points))
    typical = float(ranges.mean())
    d2, d3 = range_moments(2)
    return (
        _chart("value", points, float(points.mean()), 3 * typical / d2),
        _chart("moving range", ranges, typical, 3 * d3 * typical / d2, least=0.0),
    )


def ewma(
    values: Sequence[float], target: float, sigma: float, *, weight: float = 0.2, width: float = 2.86
) -> Chart:
    """Return the exponentially weighted moving average, with limits that widen to their final distance.

    In control, 0.2 and 2.86 give a false signal every 370 points.
    """
    points, smoothed, latest = _enough(values, 1), list[float](), target
    for value in points:
        latest = weight * float(value) + (1 - weight) * latest
        smoothed.append(latest)
    number = np.arange(1, len(points) + 1)
    away = width * sigma * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * number)))
    centre = np.full(len(points), target)
    return Chart("ewma", *map(_plain, (np.array(smoothed), centre, centre - away, centre + away)))


class Cusum(Struct, frozen=True):
    """Cumulated sums of both sides, in units of the values, and the places at which one is beyond `limit`."""

    above: tuple[float, ...]
    below: tuple[float, ...]
    limit: float
    signals: tuple[int, ...]


def cusum(
    values: Sequence[float], target: float, sigma: float, *, slack: float = 0.5, decision: float = 5.0
) -> Cusum:
    """Return the tabular CUSUM; `slack` (k) and `decision` (h) in sigmas."""
    above, below = list[float](), list[float]()
    high = low = 0.0
    for value in _enough(values, 1):
        high = max(0.0, high + float(value) - target - slack * sigma)
        low = max(0.0, low + target - slack * sigma - float(value))
        above.append(high)
        below.append(low)
    limit = decision * sigma
    pairs = enumerate(zip(above, below, strict=True))
    return Cusum(tuple(above), tuple(below), limit, tuple(i for i, pair in pairs if max(pair) > limit))


# -- charts of counts
def proportions(failed: Sequence[int], counts: Sequence[int], *, laney: bool = False) -> Chart:
    """Return the p chart; `laney` widens its limits by how much the groups vary beyond the binomial."""
    bad, of = _counts(failed, counts)
    share = bad / of
    centre = float(bad.sum() / of.sum())
    deviation = np.sqrt(centre * (1 - centre) / of)
    scale = 1.0
    if laney and centre not in {0.0, 1.0}:
        z = (share - centre) / deviation
        scale = float(np.abs(np.diff(z)).mean() / range_moments(2)[0]) if len(z) > 1 else 1.0
    return _varying("share", share, centre, 3 * scale * deviation, most=1.0)


def defects(found: Sequence[int], units: Sequence[float]) -> Chart:
    """Return the u chart: defects a unit; with units of 1 it is the c chart."""
    bad, of = _counts(found, units)
    centre = float(bad.sum() / of.sum())
    return _varying("defects", bad / of, centre, 3 * np.sqrt(centre / of), most=np.inf)


# -- rules
def western_electric(points: Sequence[float], centre: float, sigma: float) -> dict[int, tuple[int, ...]]:
    """Return the places (of the last point) at which each of the four rules signals."""
    found = nelson(points, centre, sigma)
    z = (np.asarray(points, float) - centre) / sigma
    return {1: found[1], 2: found[5], 3: found[6], 4: _runs(z, 8, lambda part: _one_side(part))}


def nelson(points: Sequence[float], centre: float, sigma: float) -> dict[int, tuple[int, ...]]:
    """Return the places (of the last point) at which each of Nelson's eight rules signals."""
    if sigma <= 0:
        raise AnalysisError(f"sigma is {sigma:g}: rules need a spread")
    z = (np.asarray(points, float) - centre) / sigma
    return {
        1: _runs(z, 1, lambda part: bool(abs(part[0]) > 3)),
        2: _runs(z, 9, _one_side),
        3: _runs(z, 6, lambda part: bool((np.diff(part) > 0).all() or (np.diff(part) < 0).all())),
        4: _runs(z, 14, lambda part: bool((np.diff(part)[:-1] * np.diff(part)[1:] < 0).all())),
        5: _runs(z, 3, lambda part: _beyond(part, 2.0, 2)),
        6: _runs(z, 5, lambda part: _beyond(part, 1.0, 4)),
        7: _runs(z, 15, lambda part: bool((np.abs(part) < 1).all())),
        8: _runs(z, 8, lambda part: bool((np.abs(part) > 1).all())),
    }


def _runs(z: Points, length: int, signals: Callable[[Points], bool]) -> tuple[int, ...]:
    return tuple(end - 1 for end in range(length, len(z) + 1) if signals(z[end - length : end]))


def _one_side(part: Points) -> bool:
    return bool((part > 0).all() or (part < 0).all())


def _beyond(part: Points, sigmas: float, least: int) -> bool:
    """Tell whether so many are beyond on one side, the last one among them."""
    sides = (part, -part)
    return any(bool(side[-1] > sigmas) and np.count_nonzero(side > sigmas) >= least for side in sides)


# -- the same for all
def _enough(values: Sequence[float], least: int) -> Points:
    points = np.asarray(values, float)
    if points.ndim != 1 or len(points) < least or not np.isfinite(points).all():
        raise AnalysisError(f"a chart needs {least} or more numbers, there are {len(points)}, or one is none")
    return points


def _groups(groups: Sequence[Sequence[float]]) -> Points:
    sizes = {len(group) for group in groups}
    if len(sizes) != 1 or not 2 <= next(iter(sizes)) <= 25:
        raise AnalysisError(f"subgroups must have one size, 2 to 25; they have {sorted(sizes)}")
    values = np.asarray(groups, float)
    if not np.isfinite(values).all():
        raise AnalysisError("a subgroup holds a value that is no number")
    return values


def _counts(found: Sequence[int], of: Sequence[float]) -> tuple[Points, Points]:
    bad, units = np.asarray(found, float), np.asarray(of, float)
    if len(bad) != len(units) or not len(bad) or not (units > 0).all() or not (bad >= 0).all():
        raise AnalysisError("counts need as many groups as sizes, sizes above 0, no negative count")
    return bad, units


def _chart(name: str, points: Points, centre: float, away: float, *, least: float = -np.inf) -> Chart:
    return _varying(name, points, centre, np.full(len(points), away), least=least, most=np.inf)


def _varying(
    name: str, points: Points, centre: float, away: Points, *, most: float, least: float = 0.0
) -> Chart:
    low, high = np.maximum(centre - away, least), np.minimum(centre + away, most)
    return Chart(name, _plain(points), (centre,) * len(points), _plain(low), _plain(high))


def _plain(values: Points) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
