"""Gauge repeatability and reproducibility (GR&R), by ANOVA and by average and range, after MSA-4."""

from math import floor, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from station.analysis.control import range_moments
from station.errors import AnalysisError

POOLED_ABOVE = 0.25
"""The interaction is taken as part of the repeatability where its p is greater."""
NDC = 1.41


class Component(Struct, frozen=True):
    """One source of variation: its standard deviation, its share of the total's, and of the tolerance."""

    sigma: float
    percent: float
    """Of the total standard deviation; the squares sum up to 100 %."""
    percent_tolerance: float | None = None
    """6 sigma of the tolerance."""


class Row(Struct, frozen=True):
    """One row of the ANOVA table."""

    source: str
    freedom: int
    squares: float
    mean: float
    f: float | None = None
    p: float | None = None


class Gauge(Struct, frozen=True):
    """What a study found."""

    method: str
    parts: int
    operators: int
    trials: int
    repeatability: Component
    """Equipment (EV)."""
    reproducibility: Component
    """Operators, sites or boards (AV), with their interaction with the parts."""
    interaction: Component
    grr: Component
    part: Component
    total: Component
    categories: int
    """Distinct ones (ndc): 5 or more are needed."""
    table: tuple[Row, ...] = ()
    pooled: bool = False
    """The interaction was taken as part of the repeatability."""

    @property
    def verdict(self) -> str:
        """Say what MSA-4 calls it: below 10 % good, above 30 % bad."""
        if self.grr.percent < 10:
            return "good"
        return "bad" if self.grr.percent > 30 else "marginal"


def anova(
    values: NDArray[np.float64], *, tolerance: float | None = None, pooled_above: float = POOLED_ABOVE
) -> Gauge:
    """Return the study of `values`: parts × operators × trials, each part measured alike often by each."""
    _checked(values)
    p, o, r = values.shape
    grand = values.mean()
    by_part, by_operator, by_cell = values.mean(axis=(1, 2)), values.mean(axis=(0, 2)), values.mean(axis=2)
    squares = {
        "part": o * r * float(((by_part - grand) ** 2).sum()),
        "operator": p * r * float(((by_operator - grand) ** 2).sum()),
        "repeatability": float(((values - by_cell[:, :, None]) ** 2).sum()),
    }
    total = float(((values - grand) ** 2).sum())
    squares["interaction"] = max(0.0, total - sum(squares.values()))
    freedom = {
        "part": p - 1,
        "operator": o - 1,
        "interaction": (p - 1) * (o - 1),
        "repeatability": p * o * (r - 1),
    }
    table, pooled = _table(squares, freedom, pooled_above)
    ms = {row.source: row.mean for row in table}
    error = ms["repeatability"]
    both = error if pooled else ms["interaction"]
    interaction = 0.0 if pooled else max(0.0, (both - error) / r)
    operator = max(0.0, (ms["operator"] - both) / (p * r))
    part = max(0.0, (ms["part"] - both) / (o * r))
    total_row = Row("total", p * o * r - 1, total, total / (p * o * r - 1))
    sigmas = (sqrt(error), sqrt(operator + interaction), sqrt(interaction), sqrt(part))
    return _gauge("anova", values, sigmas, tolerance, (*table, total_row), pooled=pooled)


def _table(
    squares: dict[str, float], freedom: dict[str, int], pooled_above: float
) -> tuple[tuple[Row, ...], bool]:
    mean = {name: squares[name] / freedom[name] if freedom[name] else 0.0 for name in squares}
    f, p = _f(mean["interaction"], mean["repeatability"], freedom["interaction"], freedom["repeatability"])
    pooled = p is None or p > pooled_above
    if pooled:
        left = freedom["interaction"] + freedom["repeatability"]
        squares = squares | {"repeatability": squares["interaction"] + squares["repeatability"]}
        mean["repeatability"] = squares["repeatability"] / left
        freedom = freedom | {"repeatability": left}
    against = "repeatability" if pooled else "interaction"
    rows = list[Row]()
    for name in ("part", "operator"):
        against_it = _f(mean[name], mean[against], freedom[name], freedom[against])
        rows.append(Row(name, freedom[name], squares[name], mean[name], *against_it))
    if not pooled:
        rows.append(
            Row("interaction", freedom["interaction"], squares["interaction"], mean["interaction"], f, p)
        )
    rows.append(
        Row("repeatability", freedom["repeatability"], squares["repeatability"], mean["repeatability"])
    )
    return tuple(rows), pooled


def _f(above: float, below: float, of: int, free: int) -> tuple[float | None, float | None]:
    if below <= 0 or not of:
        return None, None
    return above / below, float(stats.f.sf(above / below, of, free))


def average_range(values: NDArray[np.float64], *, tolerance: float | None = None) -> Gauge:
    """Return the study by average and range; K1 to K3 are computed, not taken from the rounded table."""
    _checked(values)
    p, o, r = values.shape
    spread = float(np.ptp(values, axis=2).mean())
    ev = spread / range_moments(r)[0]
    difference = float(np.ptp(values.mean(axis=(0, 2))))
    av = sqrt(max(0.0, (difference / single_range(o)) ** 2 - ev * ev / (p * r)))
    pv = float(np.ptp(values.mean(axis=(1, 2)))) / single_range(p)
    return _gauge("average and range", values, (ev, av, 0.0, pv), tolerance)


def single_range(count: int) -> float:
    """Return d2* for one range of `count` values: the root of the mean square of the range."""
    d2, d3 = range_moments(count)
    return sqrt(d2 * d2 + d3 * d3)


def _gauge(
    method: str,
    values: NDArray[np.float64],
    sigmas: tuple[float, float, float, float],
    tolerance: float | None,
    table: tuple[Row, ...] = (),
    *,
    pooled: bool = False,
) -> Gauge:
    ev, av, interaction, pv = sigmas
    grr = sqrt(ev * ev + av * av)
    total = sqrt(grr * grr + pv * pv)

    def component(sigma: float) -> Component:
        share = 100 * sigma / total if total else 0.0
        return Component(sigma, share, 600 * sigma / tolerance if tolerance else None)

    ndc = floor(NDC * pv / grr) if grr else 0
    p, o, r = values.shape
    of = [component(sigma) for sigma in (ev, av, interaction, grr, pv, total)]
    return Gauge(method, p, o, r, of[0], of[1], of[2], of[3], of[4], of[5], ndc, table, pooled)


def _checked(values: NDArray[np.float64]) -> None:
    if values.ndim != 3 or min(values.shape) < 2:
        raise AnalysisError(f"a study needs 2 or more parts, operators and trials, it has {values.shape}")
    if not np.isfinite(values).all():
        raise AnalysisError("a study needs every value: each part, measured alike often by each operator")
