"""Whether two testers, sites, boards or lots measure alike: correlation, offset, groups."""

from collections.abc import Sequence
from math import atanh, sqrt, tanh

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from station.errors import AnalysisError

LEAST = 3


class Agreement(Struct, frozen=True):
    """Pairs of values of the same parts, measured twice."""

    count: int
    r: float
    r_low: float
    r_high: float
    slope: float
    """Of second over first."""
    intercept: float
    offset: float
    """Mean of second - first: what a correlation offset takes away."""
    offset_low: float
    offset_high: float
    deviation: float
    """Of the differences; 95 % of them lie within the offset ± 1.96 of it."""


class Groups(Struct, frozen=True):
    """Groups of values, for example of sites: whether their means and their spread are alike."""

    counts: tuple[int, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    f: float
    """Of the one-way analysis of variance."""
    p: float
    spread_p: float
    """Of the Brown-Forsythe test: whether the groups spread alike."""


def agreement(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    *,
    confidence: float = 0.95,
) -> Agreement:
    """Compare pairs; those with a value that is no number are left out."""
    x, y = np.asarray(first, float), np.asarray(second, float)
    if x.shape != y.shape:
        raise AnalysisError(f"pairs need as many second values as first ones: {len(x)} and {len(y)}")
    whole = np.isfinite(x) & np.isfinite(y)
    x, y = x[whole], y[whole]
    if len(x) < LEAST or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise AnalysisError(f"a correlation needs {LEAST} or more pairs that vary, there are {len(x)}")
    line = stats.linregress(x, y)
    r, count = float(line.rvalue), len(x)
    half = float(stats.norm.ppf(0.5 + confidence / 2)) / sqrt(count - 3) if count > 3 else np.inf
    centre = atanh(min(max(r, -1 + 1e-15), 1 - 1e-15))
    away = y - x
    deviation = float(away.std(ddof=1))
    error = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * deviation / sqrt(count)
    offset = float(away.mean())
    return Agreement(
        count,
        r,
        tanh(centre - half),
        tanh(centre + half),
        float(line.slope),
        float(line.intercept),
        offset,
        offset - error,
        offset + error,
        deviation,
    )


def groups(values: Sequence[Sequence[float] | NDArray[np.float64]]) -> Groups:
    """Compare groups by one-way analysis of variance; values that are no numbers are left out."""
    kept = [np.asarray(group, float) for group in values]
    kept = [group[np.isfinite(group)] for group in kept]
    if len(kept) < 2 or min(len(group) for group in kept) < 2:
        raise AnalysisError("groups need two or more with two or more values each")
    middle = np.concatenate([group - group.mean() for group in kept])
    f, p = _variance(kept) if np.ptp(middle) > 0 else (0.0, 1.0)
    spread = stats.levene(*kept, center="median").pvalue if np.ptp(middle) > 0 else 1.0
    return Groups(
        tuple(len(group) for group in kept),
        tuple(float(group.mean()) for group in kept),
        tuple(float(group.std(ddof=1)) for group in kept),
        f,
        p,
        float(spread),
    )


def _variance(kept: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Return F and p, from values about a common middle: what is large and alike does not spoil the sums."""
    middle = float(np.median(np.concatenate(kept)))
    shifted = [group - middle for group in kept]
    count, means = sum(map(len, shifted)), [float(group.mean()) for group in shifted]
    grand = sum(mean * len(group) for mean, group in zip(means, shifted, strict=True)) / count
    between = sum(len(group) * (mean - grand) ** 2 for mean, group in zip(means, shifted, strict=True))
    within = sum(float(((group - mean) ** 2).sum()) for mean, group in zip(means, shifted, strict=True))
    of, free = len(kept) - 1, count - len(kept)
    f = (between / of) / (within / free)
    return f, float(stats.f.sf(f, of, free))
