"""Each statistic against published tables, and against what it must refuse."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from numpy.typing import NDArray

from station.analysis import agreement, capability, control, gauge, shares
from station.datalog.stdf.summary import Statistics, merged
from station.errors import AnalysisError

GOLDEN: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "golden" / "statistics.toml").read_text("utf-8")
)


def study() -> NDArray[np.float64]:
    """Parts × operators × trials."""
    found = GOLDEN["gauge"]
    return np.array([found["a"], found["b"], found["c"]]).transpose(2, 0, 1)


# -- gauge
def test_average_and_range_is_that_of_the_manual() -> None:
    """The manual rounds K1 to K3 to four digits."""
    found, golden = gauge.average_range(study()), GOLDEN["gauge"]["average_range"]
    for name, component in (
        ("ev", found.repeatability),
        ("av", found.reproducibility),
        ("grr", found.grr),
        ("pv", found.part),
        ("tv", found.total),
    ):
        assert component.sigma == pytest.approx(golden[name], rel=3e-4), name
    assert found.grr.percent == pytest.approx(golden["grr_percent"], abs=0.02)
    assert found.repeatability.percent == pytest.approx(golden["ev_percent"], abs=0.02)
    assert found.reproducibility.percent == pytest.approx(golden["av_percent"], abs=0.02)
    assert found.part.percent == pytest.approx(golden["pv_percent"], abs=0.02)
    assert (found.categories, found.verdict) == (golden["ndc"], "marginal")


def test_the_analysis_of_variance_is_that_of_the_manual() -> None:
    found, golden = gauge.anova(study(), tolerance=8.0), GOLDEN["gauge"]["anova"]
    assert found.pooled
    assert found.repeatability.sigma == pytest.approx(golden["ev"], abs=1e-6)
    assert found.reproducibility.sigma == pytest.approx(golden["av"], abs=1e-6)
    assert found.interaction.sigma == golden["interaction"]
    assert found.grr.sigma == pytest.approx(golden["grr"], abs=2e-6)
    assert found.part.sigma == pytest.approx(golden["pv"], abs=1e-6)
    assert found.total.sigma == pytest.approx(golden["tv"], abs=1e-3)
    assert found.grr.percent == pytest.approx(golden["grr_percent"], abs=0.05)
    assert found.categories == golden["ndc"]
    assert found.grr.percent_tolerance == pytest.approx(600 * golden["grr"] / 8, abs=1e-3)
    squares, table = GOLDEN["gauge"]["anova_squares"], {row.source: row for row in found.table}
    assert table["operator"].squares == pytest.approx(squares["operator"], abs=1e-4)
    assert table["part"].squares == pytest.approx(squares["part"], abs=1e-4)
    assert table["repeatability"].squares == pytest.approx(squares["repeatability_and_interaction"], abs=2e-4)
    assert table["total"].squares == pytest.approx(squares["total"], abs=1e-4)
    assert [table[name].freedom for name in ("part", "operator", "repeatability", "total")] == [9, 2, 78, 89]


def test_the_components_of_the_analysis_of_variance_are_those_that_others_publish() -> None:
    found, golden = gauge.anova(study()), GOLDEN["gauge"]["anova_components"]
    for name in ("repeatability", "reproducibility", "grr", "part"):
        component = getattr(found, name)
        assert component.sigma**2 == pytest.approx(golden[name], abs=1e-4), name
        share = 100 * component.sigma**2 / found.total.sigma**2
        assert share == pytest.approx(golden["contribution"][name], abs=0.02), name
        assert component.percent == pytest.approx(golden["study"][name], abs=0.02), name


def test_an_interaction_is_kept_where_it_is_sure() -> None:
    rng = np.random.default_rng(3)
    cells = rng.normal(0, 1, (10, 3, 1))
    found = gauge.anova(cells + rng.normal(0, 0.05, (10, 3, 3)))
    assert not found.pooled
    assert found.interaction.sigma > 0.3
    assert found.repeatability.sigma == pytest.approx(0.05, rel=0.25)
    assert [row.source for row in found.table][2] == "interaction"


def test_a_study_that_is_not_whole_is_refused() -> None:
    with pytest.raises(AnalysisError, match="2 or more parts"):
        gauge.anova(np.ones((10, 1, 3)))
    with pytest.raises(AnalysisError, match="every value"):
        gauge.average_range(np.full((3, 3, 3), np.nan))
    alike = gauge.anova(np.ones((3, 3, 3)))
    assert (alike.grr.sigma, alike.categories) == (0.0, 0)


# -- moments and variance
@pytest.mark.parametrize("golden", GOLDEN["moments"], ids=lambda golden: golden["name"])
def test_mean_and_deviation_of_the_datalog(golden: dict[str, Any]) -> None:
    values = golden.get("values") or [golden["first"], *golden["then"] * golden["times"]]
    halves = [Statistics(), Statistics()]
    for place, value in enumerate(values):
        halves[place % 2].add(float(value))
        if place % 100 == 0:
            halves[0].settle()
    found = merged(halves)
    assert found.mean == pytest.approx(golden["mean"], rel=1e-15)
    assert (found.m2 / (found.count - 1)) ** 0.5 == pytest.approx(golden["deviation"], rel=3e-8)


def test_analysis_of_variance_of_groups() -> None:
    golden = GOLDEN["variance"]
    found = agreement.groups(golden["groups"])
    assert found.f == pytest.approx(golden["f"], rel=1e-9)
    assert found.p == pytest.approx(0.3494, abs=1e-4)
    assert found.counts == (5,) * 5
    far = agreement.groups([[1e12 + value for value in group] for group in golden["groups"]])
    assert far.f == pytest.approx(golden["f"], rel=2e-3), "float64 keeps four digits behind 1e12"


def test_analysis_of_variance_of_average_difficulty() -> None:
    golden = GOLDEN["weights"]
    assert agreement.groups(golden["groups"]).f == pytest.approx(golden["f"], rel=1e-8)


STRD = Path(scipy.__file__).parent / "stats" / "tests" / "data" / "nist_anova"
"""The files of NIST as SciPy ships them. Of the hardest float64 cannot have all digits."""
DIGITS = {"SmLs04": 1e-8, "SmLs05": 1e-8, "SmLs06": 1e-6, "SmLs07": 1e-3, "SmLs08": 1e-3, "SmLs09": 1e-3}


@pytest.mark.parametrize("name", ["AtmWtAg", "SiRstv", *(f"SmLs0{n}" for n in range(1, 10))])
def test_analysis_of_variance_of_each_file_of_nist(name: str) -> None:
    lines = (STRD / f"{name}.dat").read_text("ascii").splitlines()
    certified = next(float(line.split()[-1]) for line in lines if line.startswith("Between"))
    groups = dict[str, list[float]]()
    for group, value in (line.split() for line in lines[60:] if line.strip()):
        groups.setdefault(group, []).append(float(value))
    found = agreement.groups(list(groups.values()))
    assert found.f == pytest.approx(certified, rel=DIGITS.get(name, 1e-8))
    if name in ("SiRstv", "AtmWtAg"):
        golden = GOLDEN["variance" if name == "SiRstv" else "weights"]
        assert list(groups.values()) == golden["groups"], "what we keep is what NIST has"


def test_groups_that_are_alike_or_too_small() -> None:
    assert agreement.groups([[1.0, 1.0], [1.0, 1.0]]).p == 1.0
    with pytest.raises(AnalysisError, match="two or more"):
        agreement.groups([[1.0, 2.0], [float("nan"), 1.0]])


# -- correlation
def test_correlation() -> None:
    golden = GOLDEN["correlation"]
    found = agreement.agreement(golden["x"], golden["y1"])
    assert found.r == pytest.approx(golden["r1"], abs=5e-6)
    assert found.slope == pytest.approx(golden["slope"], abs=1e-4)
    assert found.intercept == pytest.approx(golden["intercept"], abs=1e-3)
    assert agreement.agreement(golden["x"], golden["y2"]).r == pytest.approx(golden["r2"], abs=5e-6)
    assert found.r_low == pytest.approx(0.4244, abs=1e-3)
    assert found.r_high == pytest.approx(0.9507, abs=1e-3)


def test_an_offset_is_found_and_pairs_without_a_number_are_left_out() -> None:
    first = [1.0, 2.0, 3.0, 4.0, float("nan")]
    found = agreement.agreement(first, [1.5, 2.5, 3.5, 4.5, 7.0])
    assert (found.count, found.offset, found.deviation) == (4, 0.5, 0.0)
    with pytest.raises(AnalysisError, match="3 or more pairs"):
        agreement.agreement([1.0, 2.0], [1.0, 2.0])


# -- capability
def test_capability_of_the_handbook() -> None:
    """NIST/SEMATECH e-Handbook 6.1.6: limits 8 and 20, mean 16, sigma 2."""
    cp, cpk = capability.spread_index(8, 20, 2.0, 100), capability.centred_index(16, 8, 20, 2.0, 100)
    assert cp is not None
    assert cpk is not None
    assert cp.value == pytest.approx(1.0)
    assert cpk.value == pytest.approx(0.6667, abs=1e-4)


def test_intervals_of_capability() -> None:
    """D. Montgomery, Introduction to Statistical Quality Control: Cp 2.29 and Cpk 1.33, n = 20."""
    cp, cpk = capability.spread_index(38, 62, 1.75, 20), capability.centred_index(3.99, 0, None, 1.0, 20)
    assert cp is not None
    assert cpk is not None
    assert (cp.value, cp.low, cp.high) == pytest.approx((2.29, 1.57, 3.01), abs=6e-3)
    assert (cpk.value, cpk.low, cpk.high) == pytest.approx((1.33, 0.88, 1.78), abs=5e-3)


def test_capability_of_values() -> None:
    values = GOLDEN["individuals"]["values"]
    found = capability.capability(values, 40, 60)
    assert found.cpk is not None
    assert found.ppk is not None
    assert found.within == pytest.approx(GOLDEN["individuals"]["range"] / 1.128, rel=1e-3)
    assert found.cpk.value == pytest.approx((60 - 50.81) / (3 * found.within), rel=1e-9)
    assert found.ppk.value == pytest.approx((60 - 50.81) / (3 * np.std(values, ddof=1)), rel=1e-9)
    one = capability.capability(values, None, 60)
    assert (one.cp, one.pp) == (None, None)
    assert one.cpk == found.cpk


def test_percentiles_of_a_normal_population_give_its_ppk() -> None:
    values = np.random.default_rng(1).normal(0, 1, 200_000)
    found = capability.capability(values, -4, 5)
    assert found.percentile_ppk is not None
    assert found.percentile_ppk.value == pytest.approx(4 / 3, rel=0.03)
    assert found.expected_ppm == pytest.approx(31.7 + 0.29, rel=0.05)


@pytest.mark.parametrize(("value", "ppm"), [(0.0, 1e6), (1.0, 0.0), (1.5, 0.0), (2.5, 1e6)])
def test_values_that_are_all_alike_are_all_in_or_all_out(value: float, ppm: float) -> None:
    assert capability.capability([value] * 5, 1.0, 2.0).expected_ppm == ppm


def test_normality() -> None:
    rng = np.random.default_rng(4)
    small = sum((capability.normality(rng.normal(size=50)) or 0) < 0.05 for _ in range(400))
    assert 8 <= small <= 36, "about 5 % of normal samples"
    assert (capability.normality(rng.exponential(size=100)) or 1) < 1e-3
    assert capability.normality(np.ones(20)) is None


def test_what_has_no_capability() -> None:
    with pytest.raises(AnalysisError, match="2 or more values"):
        capability.capability([1.0, float("nan")], 0, 1)
    with pytest.raises(AnalysisError, match="needs a limit"):
        capability.capability([1.0, 2.0], None, None)
    alike = capability.capability([1.0, 1.0, 1.0], 0, 2)
    assert (alike.cp, alike.cpk, alike.ppk) == (None, None, None)


# -- control charts
def factors(golden: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """d2, d3 and c4 of each size that a table has."""
    sizes = sorted({size for name in ("A2", "A3", "B3", "B4", "D3", "D4") for size in golden[name]}, key=int)
    return {size: (*control.range_moments(int(size)), control.c4(int(size))) for size in sizes}


def test_constants() -> None:
    golden = GOLDEN["constants"]
    for size, d2 in golden["d2"].items():
        found = control.range_moments(int(size))
        assert found == pytest.approx((d2, golden["d3"][size]), abs=6e-4)
    for size, c4 in golden["c4"].items():
        assert control.c4(int(size)) == pytest.approx(c4, abs=6e-5)
    for size, (d2, d3, four) in factors(golden).items():
        n, far = int(size), 3 * (1 - four**2) ** 0.5 / four
        worked = {
            "A2": 3 / d2 / n**0.5, "A3": 3 / four / n**0.5, "B3": max(0, 1 - far), "B4": 1 + far,
            "D3": max(0, 1 - 3 * d3 / d2), "D4": 1 + 3 * d3 / d2,
        }  # fmt: skip
        for name, value in worked.items():
            if size in golden[name]:
                assert value == pytest.approx(golden[name][size], abs=1.1e-3), (name, size)
    k = 1 / control.range_moments(3)[0], 1 / gauge.single_range(3), 1 / gauge.single_range(10)
    assert k == pytest.approx([golden["K"][number] for number in ("1", "2", "3")], abs=2e-4)
    for size, d2_star in golden["d2_star"].items():
        assert gauge.single_range(int(size)) == pytest.approx(d2_star, abs=2e-4)


def test_ewma() -> None:
    golden = GOLDEN["ewma"]
    found = control.ewma(golden["values"], 50, 2.0539, weight=0.3, width=3.0)
    assert found.points == pytest.approx(golden["smoothed"], abs=0.006)
    assert (found.low[-1], found.high[-1]) == pytest.approx((golden["low"], golden["high"]), abs=2e-3)
    assert found.beyond == ()


def test_individuals() -> None:
    golden = GOLDEN["individuals"]
    value, moving = control.individuals(golden["values"])
    assert value.centre[0] == pytest.approx(golden["mean"])
    assert moving.centre[0] == pytest.approx(golden["range"], abs=1e-4)
    assert (value.low[0], value.high[0]) == pytest.approx((golden["low"], golden["high"]), abs=3e-3)


def test_counts() -> None:
    golden = GOLDEN["defects"]
    found = control.defects(golden["found"], [1] * 25)
    assert (found.centre[0], found.low[0], found.high[0]) == pytest.approx((16.0, 4.0, 28.0), abs=0.05)
    assert found.beyond == tuple(golden["beyond"])
    golden = GOLDEN["proportions"]
    chart = control.proportions(golden["failed"], [golden["of"]] * 30)
    limits = (golden["centre"], golden["low"], golden["high"])
    assert (chart.centre[0], chart.low[0], chart.high[0]) == pytest.approx(limits, abs=1e-4)
    assert chart.beyond == tuple(golden["beyond"])
    wider = control.proportions(golden["failed"], [golden["of"]] * 30, laney=True)
    assert wider.high[0] > chart.high[0]


def test_subgroups() -> None:
    """Five groups of five: A2 0.577, D4 2.114, A3 1.427, B4 2.089 (ASTM MNL 7)."""
    groups = np.random.default_rng(2).normal(10, 1, (5, 5)).tolist()
    means, ranges = control.means_and_ranges(groups)
    typical = ranges.centre[0]
    assert means.high[0] - means.centre[0] == pytest.approx(0.577 * typical, rel=1e-3)
    assert ranges.high[0] == pytest.approx(2.114 * typical, rel=1e-3)
    means, deviations = control.means_and_deviations(groups)
    assert means.high[0] - means.centre[0] == pytest.approx(1.427 * deviations.centre[0], rel=1e-3)
    assert deviations.high[0] == pytest.approx(2.089 * deviations.centre[0], rel=1e-3)
    assert deviations.low[0] == 0.0
    with pytest.raises(AnalysisError, match="one size"):
        control.means_and_ranges([[1.0, 2.0], [1.0]])


def test_cusum_of_a_step_by_hand() -> None:
    found = control.cusum([0.0, 0.0, 2.0, 2.0, 2.0, 2.0], 0.0, 1.0)
    assert found.above == (0.0, 0.0, 1.5, 3.0, 4.5, 6.0)
    assert found.signals == (5,)


@pytest.mark.parametrize(
    ("rule", "points", "at"),
    [
        (1, [0, 3.1, 0], (1,)),
        (2, [0.1] * 9, (8,)),
        (3, [0, 0.1, 0.2, 0.3, 0.4, 0.5], (5,)),
        (4, [0.1, -0.1] * 7, (13,)),
        (5, [2.1, 0, 2.1], (2,)),
        (6, [1.1, 1.1, 0, 1.1, 1.1], (4,)),
        (7, [0.5, -0.5, 0.4] * 5, (14,)),
        (8, [1.1, -1.2] * 4, (7,)),
    ],
)
def test_each_rule_of_nelson(rule: int, points: list[float], at: tuple[int, ...]) -> None:
    assert control.nelson(points, 0, 1)[rule] == at
    assert control.nelson(points[:-1] if rule != 1 else [0.0], 0, 1)[rule] == ()


def test_the_rules_of_western_electric() -> None:
    found = control.western_electric([0.1] * 8 + [2.1, 2.1], 0, 1)
    assert found == {1: (), 2: (9,), 3: (), 4: (7, 8, 9)}
    with pytest.raises(AnalysisError, match="sigma is 0"):
        control.western_electric([1.0], 0, 0)


# -- shares
def test_intervals_of_a_yield() -> None:
    """10 of 100: Clopper-Pearson and Wilson, 95 %."""
    exact, wilson = shares.share(10, 100), shares.share(10, 100, wilson=True)
    assert (exact.low, exact.high) == pytest.approx((0.0490, 0.1762), abs=1e-4)
    assert (wilson.low, wilson.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert shares.share(0, 0) == shares.Share(0, 0, 0.0, 0.0, 1.0)
    assert shares.share(20, 20).high == 1.0


def test_pareto() -> None:
    bars = shares.pareto({"a": 1, "b": 6, "c": 0, "d": 3})
    assert [(bar.name, bar.cumulated) for bar in bars] == [("b", 0.6), ("d", 0.9), ("a", 1.0)]
    assert shares.pareto({}) == ()


def test_histogram_counts_everything_once() -> None:
    values = np.append(np.random.default_rng(5).normal(size=1000), [1e9, -1e9, np.nan])
    found = shares.histogram(values, around=(-3, 3))
    assert sum(found.counts) + found.below + found.above == 1002
    assert (found.below, found.above) == (1, 1)
    assert found.edges[0] <= -3
    assert found.edges[-1] >= 3
    assert shares.histogram([]).counts == ()
    assert shares.histogram([2.0, 2.0]).counts == (2,)
