"""What a lot's results say: yield, bins, tests, sites, where time goes. `page` shows it."""

from collections import Counter

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.analysis import agreement, average, capability, control, shares
from station.analysis.lot import Lot, TestColumn
from station.errors import AnalysisError

MOST = 40
"""Tests that are looked at closely, and causes that are listed."""
SURE = 0.001
"""A p below it means that sites differ; several hundred tests are looked at in a lot."""


class SiteFinding(Struct, frozen=True):
    """One site: its yield, and the time of a contact."""

    site: int
    parts: shares.Share
    mean_ms: float


class TestFinding(Struct, frozen=True):
    """One parametric test, over the last contact of each part."""

    __test__ = False

    number: int
    name: str
    unit: str
    low: float | None
    high: float | None
    executed: int
    failed: int
    only_failed: int
    """Parts that failed this test and no other: without it they had passed."""
    histogram: shares.Histogram
    capability: capability.Capability | None
    """None where there are too few values, or no limit."""
    sites: agreement.Groups | None
    """Means by site, in the order of `Findings.sites`; None where a site has too few values."""
    outliers: int
    """Passing parts outside the part average limits."""

    @property
    def sites_differ(self) -> bool:
        """Whether the means of the sites differ beyond chance."""
        return self.sites is not None and self.sites.p < SURE


class TimeFinding(Struct, frozen=True):
    """Test time of the contacts, in milliseconds."""

    mean: float
    median: float
    most: float
    good_mean: float
    """Of passing contacts."""
    by_bin: tuple[shares.Bar, ...]
    """Seconds that went into each soft bin."""
    timed: int
    """Contacts whose tests were timed one by one."""
    by_test: tuple[shares.Bar, ...]
    """Milliseconds of a mean one of these by test, the 40 that took longest, and those between the tests."""


class Findings(Struct, frozen=True):
    """All that is worked out of one lot."""

    lot: str
    product: str
    program: str
    station: str
    contacts: int
    final: shares.Share
    """Parts that ended good."""
    first: shares.Share
    """Parts that were good at their first contact."""
    recovered: int
    """Parts that a retest made good."""
    sites: tuple[SiteFinding, ...]
    bins: tuple[shares.Bar, ...]
    """Parts that are not good, by soft bin of their last contact."""
    failing: tuple[shares.Bar, ...]
    """Contacts that failed each test."""
    tests: tuple[TestFinding, ...]
    never_failed: int
    """Tests that no contact failed: candidates for sampling, once several lots say the same."""
    time: TimeFinding
    yield_chart: control.Chart | None
    """Share of bad parts in groups of contacts, in order."""
    yield_signals: dict[int, tuple[int, ...]]
    """Western Electric rule to the groups at which it signals."""


def findings(lot: Lot) -> Findings:
    """Work out a lot; AnalysisError if nothing was contacted."""
    contacts = lot.contacts
    if not len(contacts.part):
        raise AnalysisError(f"lot {lot.name} has no contact")
    last, good = contacts.last, contacts.good
    first = np.zeros(len(good), np.bool_)
    first[np.unique(contacts.part, return_index=True)[1]] = True
    parts, failures = int(last.sum()), Counter(dict(enumerate(lot.failed.sum(axis=0).tolist())))
    first_good = set(contacts.part[first & good].tolist())
    final_good = set(contacts.part[last & good].tolist())
    sites = sorted(int(site) for site in np.unique(contacts.site))
    chart = _yield_chart(good)
    return Findings(
        lot.name,
        lot.product,
        lot.program,
        lot.station,
        len(good),
        shares.share(len(final_good), parts),
        shares.share(len(first_good), parts),
        len(final_good - first_good),
        tuple(_site(lot, site) for site in sites),
        shares.pareto(_bad_bins(lot)),
        shares.pareto(
            {f"{lot.tests[i].number} {lot.tests[i].name}": count for i, count in failures.items()}, most=MOST
        ),
        tuple(test_finding(lot, place, sites) for place in _closest(lot, failures)),
        sum(not count for count in failures.values()),
        _time(lot),
        chart,
        _signals(chart),
    )


def test_finding(lot: Lot, place: int, sites: list[int]) -> TestFinding:
    """Look at one test closely."""
    test, last = lot.tests[place], lot.contacts.last
    values, good = lot.values[last, place], lot.contacts.good[last]
    by_site = [values[lot.contacts.site[last] == site] for site in sites]
    failed = lot.failed[last]
    only = failed[:, place] & np.equal(failed.sum(axis=1), 1)
    return TestFinding(
        test.number,
        test.name,
        test.unit,
        test.low,
        test.high,
        int((~np.isnan(lot.values[:, place]) | lot.failed[:, place]).sum()),
        int(failed[:, place].sum()),
        int(only.sum()),
        shares.histogram(values, around=(test.low, test.high)),
        _capability(values, test),
        _groups(by_site),
        _outliers(values[good], test),
    )


def _closest(lot: Lot, failures: Counter[int]) -> list[int]:
    """Return the parametric tests that failed most, then those in order, as many as are looked at."""
    measured = [place for place, test in enumerate(lot.tests) if test.kind == "P"]
    return sorted(sorted(measured, key=lambda place: -failures[place])[:MOST])


def _bad_bins(lot: Lot) -> dict[str, float]:
    contacts = lot.contacts
    soft = Counter(contacts.soft[contacts.last & ~contacts.good].tolist())
    return {f"{number} {lot.bin_names.get(number, '')}".strip(): count for number, count in soft.items()}


def _site(lot: Lot, site: int) -> SiteFinding:
    contacts = lot.contacts
    here = contacts.site == site
    last = here & contacts.last
    found = shares.share(int((last & contacts.good).sum()), int(last.sum()))
    return SiteFinding(site, found, float(contacts.test_ms[here].mean()))


def _capability(values: NDArray[np.float64], test: TestColumn) -> capability.Capability | None:
    try:
        return capability.capability(values, test.low, test.high)
    except AnalysisError:
        return None


def _groups(by_site: list[NDArray[np.float64]]) -> agreement.Groups | None:
    try:
        return agreement.groups(by_site)
    except AnalysisError:
        return None


def _outliers(values: NDArray[np.float64], test: TestColumn) -> int:
    low = np.array([-np.inf if test.low is None else test.low])
    high = np.array([np.inf if test.high is None else test.high])
    found = average.limits(values[None, :], spec_low=low, spec_high=high)
    return 0 if found.skipped[0] else int(average.rejected(values[None, :], found).sum())


def _time(lot: Lot) -> TimeFinding:
    contacts, spent = lot.contacts, dict[str, float]()
    for number in np.unique(contacts.soft).tolist():
        name = f"{number} {lot.bin_names.get(number, '')}".strip()
        spent[name] = float(contacts.test_ms[contacts.soft == number].sum()) / 1000
    passed = contacts.test_ms[contacts.good]
    return TimeFinding(
        float(contacts.test_ms.mean()),
        float(np.median(contacts.test_ms)),
        float(contacts.test_ms.max()),
        float(passed.mean()) if len(passed) else 0.0,
        shares.pareto(spent),
        lot.times.contacts,
        shares.pareto(lot.times.a_contact(f"{test.number} {test.name}" for test in lot.tests), most=MOST),
    )


def _yield_chart(good: NDArray[np.bool_]) -> control.Chart | None:
    """Return the p chart of bad contacts in 10 to 50 groups; None below 100 contacts."""
    if len(good) < 100:
        return None
    groups = np.array_split(~good, int(np.clip(len(good) // 50, 10, 50)))
    return control.proportions(
        [int(g.sum()) for g in groups], [len(g) for g in groups], laney=len(good) > 5000
    )


def _signals(chart: control.Chart | None) -> dict[int, tuple[int, ...]]:
    if chart is None or chart.high[0] <= chart.centre[0]:
        return {}
    sigma = (chart.high[0] - chart.centre[0]) / 3
    found = control.western_electric(chart.points, chart.centre[0], sigma)
    return {rule: at for rule, at in found.items() if at}
