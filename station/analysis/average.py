"""Part average testing: limits made of the parts themselves (after AEC-Q001)."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

SIGMAS = 6.0
QUARTILES_TO_SIGMA = 1.35
"""Distance of the quartiles of a normal distribution, in sigmas."""
LEAST_PARTS = 30


class AverageLimits(Struct, frozen=True):
    """Limits of each test in order; where `skipped`, they are those that were given, or open."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    median: NDArray[np.float64]
    sigma: NDArray[np.float64]
    """Robust: distance of the quartiles / 1.35."""
    parts: NDArray[np.int64]
    """Values that each test's limits rest on."""
    skipped: NDArray[np.bool_]
    """Tests without spread, or with too few parts: no limits can be made of them."""


def limits(
    values: NDArray[np.float64],
    *,
    spec_low: NDArray[np.float64] | None = None,
    spec_high: NDArray[np.float64] | None = None,
    sigmas: float = SIGMAS,
    least: int = LEAST_PARTS,
) -> AverageLimits:
    """Return median ± `sigmas` robust sigmas of each row of `values`, never wider than the spec limits.

    One row a test, one column a part; NaN is no value, and an infinite spec limit or NaN is none.
    """
    ordered = np.sort(values, axis=1)
    counts = values.shape[1] - np.isnan(ordered).sum(axis=1)
    lower, median, upper = (_quantile(ordered, counts, share) for share in (0.25, 0.5, 0.75))
    sigma = (upper - lower) / QUARTILES_TO_SIGMA
    skipped = ~((sigma > 0) & (counts >= least))
    low = _within(np.where(skipped, -np.inf, median - sigmas * sigma), spec_low, np.fmax)
    high = _within(np.where(skipped, np.inf, median + sigmas * sigma), spec_high, np.fmin)
    return AverageLimits(low, high, median, sigma, counts, skipped)


def rejected(values: NDArray[np.float64], found: AverageLimits) -> NDArray[np.bool_]:
    """Return which parts (columns) have a value outside the limits of any test."""
    outside = (values < found.low[:, None]) | (values > found.high[:, None])
    return np.asarray(outside.any(axis=0), np.bool_)


def _quantile(ordered: NDArray[np.float64], counts: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """Interpolate linearly between the neighbours, as most tools do; NaN without values."""
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    place = share * np.maximum(counts - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    row = np.arange(len(ordered))
    at_below, at_above = ordered[row, below], ordered[row, above]
    return at_below + (at_above - at_below) * (place - below)


def _within(
    found: NDArray[np.float64], spec: NDArray[np.float64] | None, inner: np.ufunc
) -> NDArray[np.float64]:
    return found if spec is None else np.asarray(inner(found, spec), np.float64)
