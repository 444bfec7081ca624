"""Part average limits by hand, and where none can be made."""

import numpy as np

from station.analysis.average import limits, rejected


def test_median_and_quartiles_of_a_small_table() -> None:
    values = np.array([[1.0, 2, 3, 4, 5, 6, 7, 8, 9], [np.nan, 2, 4, 6, 8, 10, np.nan, np.nan, 100]])
    found = limits(values, least=5)
    assert found.median.tolist() == [5.0, 7.0]
    assert np.allclose(found.sigma, [(7 - 3) / 1.35, (9.5 - 4.5) / 1.35])
    assert np.allclose(found.low, [5 - 6 * 4 / 1.35, 7 - 6 * 5 / 1.35])
    assert found.parts.tolist() == [9, 6]
    assert rejected(values, found).tolist() == [False] * 8 + [True]


def test_quartiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(7).normal(size=(20, 101))
    values[::3, ::5] = np.nan
    found = limits(values)
    lower, median, upper = np.nanquantile(values, (0.25, 0.5, 0.75), axis=1)
    assert np.allclose(found.median, median)
    assert np.allclose(found.sigma, (upper - lower) / 1.35)


def test_never_wider_than_the_spec() -> None:
    values = np.arange(40.0)[None, :]
    found = limits(values, spec_low=np.array([10.0]), spec_high=np.array([np.inf]))
    assert found.low.tolist() == [10.0]
    assert found.high[0] < np.inf


def test_no_spread_or_too_few_parts_makes_no_limits() -> None:
    values = np.array([[1.0] * 40, [np.nan] * 40, [*range(29), *[np.nan] * 11]])
    found = limits(values, spec_low=np.full(3, -7.0))
    assert found.skipped.tolist() == [True, True, True]
    assert found.low.tolist() == [-7.0] * 3
    assert np.isinf(found.high).all()
    assert not rejected(values, found).any()
    assert limits(np.empty((2, 0))).skipped.all()
