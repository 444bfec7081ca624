"""Process capability: Cp, Cpk, Pp and Ppk with their intervals, one-sided and not normal too."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from station.analysis.control import c4, range_moments
from station.errors import AnalysisError

NORMAL_TAILS = (0.00135, 0.5, 0.99865)
LEAST = 2


class Index(Struct, frozen=True):
    """An index and its two-sided confidence interval; None where it does not exist."""

    value: float
    low: float | None = None
    high: float | None = None


class Capability(Struct, frozen=True):
    """How a test lies between its limits. An index that needs a limit that is not there is None."""

    count: int
    mean: float
    sigma: float
    """Overall, n - 1."""
    within: float
    """Within subgroups; of single values, from their moving ranges."""
    cp: Index | None
    cpk: Index | None
    pp: Index | None
    ppk: Index | None
    percentile_ppk: Index | None
    """From the 0.135, 50 and 99.865 percentiles: for what is not normal."""
    expected_ppm: float
    """Beyond the limits, if it were normal."""
    normal_p: float | None
    """Of the Anderson-Darling test that the values are normal; None below 8 values."""


def capability(
    values: Sequence[float] | NDArray[np.float64],
    low: float | None,
    high: float | None,
    *,
    groups: Sequence[Sequence[float]] | None = None,
    confidence: float = 0.95,
) -> Capability:
    """Return the indices of `values`, in the order in which they were measured; NaN is left out.

    `groups` are rational subgroups of one size; without them the moving ranges of single values give the
    spread within.
    """
    points = np.asarray(values, float)
    points = points[np.isfinite(points)]
    if len(points) < LEAST:
        raise AnalysisError(f"capability needs {LEAST} or more values, there are {len(points)}")
    if low is None and high is None:
        raise AnalysisError("capability needs a limit")
    mean, sigma = float(points.mean()), float(points.std(ddof=1))
    within = _within(points, groups)
    count = len(points)
    return Capability(
        count,
        mean,
        sigma,
        within,
        spread_index(low, high, within, count, confidence),
        centred_index(mean, low, high, within, count, confidence),
        spread_index(low, high, sigma, count, confidence),
        centred_index(mean, low, high, sigma, count, confidence),
        _by_percentiles(points, low, high),
        _expected_ppm(mean, sigma, low, high),
        normality(points),
    )


def spread_index(
    low: float | None, high: float | None, sigma: float, count: int, confidence: float = 0.95
) -> Index | None:
    """Return (USL - LSL) / 6 sigma with the interval that chi-square gives."""
    if low is None or high is None or sigma <= 0:
        return None
    value, free = (high - low) / (6 * sigma), count - 1
    tail = (1 - confidence) / 2
    ends = (sqrt(float(stats.chi2.ppf(share, free)) / free) for share in (tail, 1 - tail))
    return Index(value, *(value * end for end in ends))


def centred_index(
    mean: float, low: float | None, high: float | None, sigma: float, count: int, confidence: float = 0.95
) -> Index | None:
    """Return the distance of the mean from the nearer limit / 3 sigma, with its approximate interval."""
    if sigma <= 0:
        return None
    sides = [side for side in (_side(low, mean, -1), _side(high, mean, 1)) if side is not None]
    value = min(sides) / (3 * sigma)
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    away = z * sqrt(1 / (9 * count) + value * value / (2 * (count - 1)))
    return Index(value, value - away, value + away)


def normality(points: NDArray[np.float64]) -> float | None:
    """Return the p of the Anderson-Darling test with estimated mean and sigma (D'Agostino, Stephens)."""
    count = len(points)
    if count < 8 or np.ptp(points) == 0:
        return None
    z = np.sort((points - points.mean()) / points.std(ddof=1))
    below, above = stats.norm.logcdf(z), stats.norm.logsf(z)[::-1]
    weights = 2 * np.arange(1, count + 1) - 1
    raw = -count - float((weights * (below + above)).sum()) / count
    a = raw * (1 + 0.75 / count + 2.25 / count**2)
    if a >= 0.6:
        p = np.exp(1.2937 - 5.709 * a + 0.0186 * a * a)
    elif a > 0.34:
        p = np.exp(0.9177 - 4.279 * a - 1.38 * a * a)
    elif a > 0.2:
        p = 1 - np.exp(-8.318 + 42.796 * a - 59.938 * a * a)
    else:
        p = 1 - np.exp(-13.436 + 101.14 * a - 223.73 * a * a)
    return float(min(1.0, max(0.0, p)))


def _within(points: NDArray[np.float64], groups: Sequence[Sequence[float]] | None) -> float:
    if groups is None:
        return float(np.abs(np.diff(points)).mean()) / range_moments(2)[0]
    sizes = {len(group) for group in groups}
    if len(sizes) != 1 or next(iter(sizes)) < 2:
        raise AnalysisError(f"subgroups must have one size of 2 or more; they have {sorted(sizes)}")
    size, values = next(iter(sizes)), np.asarray(groups, float)
    if size <= 10:
        return float(np.ptp(values, axis=1).mean()) / range_moments(size)[0]
    return float(values.std(axis=1, ddof=1).mean()) / c4(size)


def _side(limit: float | None, mean: float, sign: int) -> float | None:
    return None if limit is None else sign * (limit - mean)


def _by_percentiles(points: NDArray[np.float64], low: float | None, high: float | None) -> Index | None:
    lowest, median, highest = (float(q) for q in np.quantile(points, NORMAL_TAILS))
    sides = []
    if low is not None and median > lowest:
        sides.append((median - low) / (median - lowest))
    if high is not None and highest > median:
        sides.append((high - median) / (highest - median))
    return Index(min(sides)) if sides else None


def _expected_ppm(mean: float, sigma: float, low: float | None, high: float | None) -> float:
    if sigma <= 0:
        return 1e6 * ((low is not None and mean < low) or (high is not None and mean > high))
    below = 0.0 if low is None else float(stats.norm.cdf((low - mean) / sigma))
    above = 0.0 if high is None else float(stats.norm.sf((high - mean) / sigma))
    return 1e6 * (below + above)
