"""Sites, testers and lots beside each other: test by test, of the same parts or of others."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.analysis.agreement import Agreement, Groups, agreement, groups
from station.analysis.findings import SURE
from station.analysis.lot import Lot, TestColumn
from station.errors import AnalysisError


class Paired(Struct, frozen=True):
    """A test of the same parts, measured twice."""

    number: int
    name: str
    unit: str
    found: Agreement


class Grouped(Struct, frozen=True):
    """A test in several groups of parts: of each site, or of each lot."""

    number: int
    name: str
    unit: str
    found: Groups
    apart: float
    """Between the largest and the smallest mean, in deviations of a part within its group."""
    differ: bool
    """Whether the means differ beyond doubt."""


class Grouping(Struct, frozen=True):
    """The groups by name, and each test that can be compared in them."""

    names: tuple[str, ...]
    tests: tuple[Grouped, ...]


class Scatter(Struct, frozen=True):
    """The values of one test, part by part: first and second."""

    number: int
    name: str
    unit: str
    parts: tuple[str, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]


def paired(first: Lot, second: Lot) -> tuple[Paired, ...]:
    """Compare two measurements of the same parts in each test that has three or more of them."""
    rows = list[Paired]()
    _, ours, theirs = _both(first, second)
    for column, other in _shared(first, second):
        test = first.tests[column]
        try:
            found = agreement(_last(first, column)[ours], _last(second, other)[theirs])
        except AnalysisError:
            continue
        rows.append(Paired(test.number, test.name, test.unit, found))
    if not rows:
        raise AnalysisError(f"lot {second.name} has no test of {first.name} with three or more of its parts")
    return tuple(rows)


def scatter(first: Lot, second: Lot, number: int) -> Scatter:
    """Return the pairs of one test; AnalysisError if one of the lots has it not."""
    parts, ours, theirs = _both(first, second)
    x, y = _last(first, first.column(number))[ours], _last(second, second.column(number))[theirs]
    whole = np.isfinite(x) & np.isfinite(y)
    test = first.tests[first.column(number)]
    named = tuple(part for part, kept in zip(parts, whole.tolist(), strict=True) if kept)
    return Scatter(number, test.name, test.unit, named, tuple(x[whole].tolist()), tuple(y[whole].tolist()))


def by_site(lot: Lot) -> Grouping:
    """Compare the sites of a lot in each parametric test."""
    at = lot.contacts.site[lot.contacts.last]
    sites = sorted(set(at.tolist()))
    columns = (column for column, test in enumerate(lot.tests) if test.kind == "P")
    of = ((lot.tests[c], [_last(lot, c)[at == site] for site in sites]) for c in columns)
    return _grouped(
        [str(site) for site in sites], of, f"lot {lot.name} has no test in which two sites could be compared"
    )


def by_lot(lots: Sequence[Lot]) -> Grouping:
    """Compare lots of other parts in each parametric test that all of them have."""
    first, *others = lots
    rows = list[tuple[TestColumn, list[NDArray[np.float64]]]]()
    known = [{test.number: column for column, test in enumerate(lot.tests)} for lot in others]
    for column, test in enumerate(first.tests):
        if test.kind == "P" and all(test.number in one for one in known):
            rest = (_last(lot, one[test.number]) for lot, one in zip(others, known, strict=True))
            rows.append((test, [_last(first, column), *rest]))
    return _grouped([lot.name for lot in lots], rows, "the lots have no test in which they could be compared")


def _grouped(
    names: list[str], of: Iterable[tuple[TestColumn, list[NDArray[np.float64]]]], none: str
) -> Grouping:
    rows = list[Grouped]()
    for test, values in of:
        try:
            found = groups(values)
        except AnalysisError:
            continue
        within = float(np.sqrt(np.mean(np.square(found.deviations))))
        apart = (max(found.means) - min(found.means)) / within if within > 0 else 0.0
        rows.append(Grouped(test.number, test.name, test.unit, found, apart, found.p < SURE))
    if not rows:
        raise AnalysisError(none)
    return Grouping(tuple(names), tuple(rows))


def _last(lot: Lot, column: int) -> NDArray[np.float64]:
    values: NDArray[np.float64] = lot.values[lot.contacts.last, column]
    return values


def _shared(first: Lot, second: Lot) -> list[tuple[int, int]]:
    known = {test.number: column for column, test in enumerate(second.tests)}
    return [(column, known[t.number]) for column, t in enumerate(first.tests) if t.number in known]


def _both(first: Lot, second: Lot) -> tuple[list[str], list[int], list[int]]:
    """Return the parts that both have, and their places among the last contacts of each."""
    named: list[list[str]] = [of.contacts.part[of.contacts.last].tolist() for of in (first, second)]
    places = [{part: place for place, part in enumerate(parts)} for parts in named]
    both = [part for part in places[0] if part in places[1]]
    return both, [places[0][part] for part in both], [places[1][part] for part in both]
