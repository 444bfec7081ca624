"""One test of a lot, closely: how it is spread, how capable it is, how it went contact by contact."""

import numpy as np
from msgspec import Struct

from station.analysis.control import Chart, individuals, means_and_ranges, nelson
from station.analysis.findings import TestFinding, test_finding
from station.analysis.lot import Lot
from station.errors import AnalysisError


class Charted(Struct, frozen=True):
    """Control charts of a test, and at which points of the first one Nelson's rules signal."""

    charts: tuple[Chart, ...]
    rules: dict[int, tuple[int, ...]]
    over_range: int = 0
    """Readings that are in no chart."""


class CloseUp(Struct, frozen=True):
    """A test over the last contact of each part; its charts are over all contacts, in order."""

    lot: str
    sites: tuple[int, ...]
    test: TestFinding
    charted: Charted | None
    """None where there are too few values for a chart."""


def closeup(lot: Lot, number: int, group: int | None = None) -> CloseUp:
    """Look at a parametric test; AnalysisError for one that the lot has not, or that is none."""
    place = lot.column(number)
    if lot.tests[place].kind != "P":
        raise AnalysisError(f"test {number} has no single number: it cannot be looked at so")
    sites = sorted(set(lot.contacts.site.tolist()))
    try:
        found = charted(lot, number, group)
    except AnalysisError:
        found = None
    return CloseUp(lot.name, tuple(sites), test_finding(lot, place, sites), found)


def charted(lot: Lot, number: int, group: int | None = None) -> Charted:
    """Chart a test in the order of contacts: single values, or subgroups of `group`; AnalysisError."""
    measured = lot.values[:, lot.column(number)]
    values = measured[np.isfinite(measured)]
    if group is None:
        charts = individuals(values.tolist())
    else:
        whole = values[: len(values) // group * group].reshape(-1, group)
        if not len(whole):
            raise AnalysisError(f"test {number} has {len(values)} values, a group of {group} needs more")
        charts = means_and_ranges(whole.tolist())
    first = charts[0]
    sigma = (first.high[0] - first.centre[0]) / 3
    rules = nelson(first.points, first.centre[0], sigma) if sigma > 0 else {}
    return Charted(charts, rules, int(np.isinf(measured).sum()))
