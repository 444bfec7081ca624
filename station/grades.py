"""Good, better, best: which passing bin a device gets by its readings. Pure."""

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from station.model import Bin, BinKind, Limit, Measurement
from station.rows import Parametric, S, Test


def given(tests: "Iterable[Test[S]]") -> "Iterator[tuple[Parametric[S], Bin]]":
    """Yield each grade with the row that gives it, best first in each row."""
    for test in tests:
        if isinstance(test, Parametric):
            yield from ((test, bin_) for _, bin_ in test.grades)


def ranked(tests: "Iterable[Test[S]]") -> tuple[Bin, ...]:
    """Return every grade, best first; of a table whose grades are in order."""
    found = list(tests)
    bins = {bin_.number: bin_ for _, bin_ in given(found)}
    return tuple(bins[number] for number in TopologicalSorter(_better(found)).static_order())


def grade(test: "Parametric[S]", measured: Measurement) -> Bin | None:
    """Return the first grade of a row that holds for what passed it; None if the row has none."""
    values = measured.values if test.pins else (measured.value,)
    for limit, bin_ in test.grades:
        if all(value is not None and limit.holds(value) for value in values):
            return bin_
    return None


def wrong(tests: "Iterable[Test[S]]") -> Iterator[str]:
    """Name grades that are not to be told apart."""
    found = list(tests)
    for test in found:
        if isinstance(test, Parametric) and test.grades:
            yield from _wrong_row(test)
    names = {bin_.number: bin_.name for _, bin_ in given(found)}
    better = _better(found)
    try:
        order = list(TopologicalSorter(better).static_order())
    except CycleError as error:
        circle = " over ".join(repr(names[number]) for number in error.args[1])
        yield f"grades are in no order: {circle}"
        return
    for one, other in pairwise(order):
        if one not in better[other]:
            yield f"grades {names[one]!r} and {names[other]!r}: no row tells which is the better one"


def _better(tests: "Iterable[Test[S]]") -> dict[int, set[int]]:
    """By grade, those that some row names right before it."""
    better = dict[int, set[int]]()
    for test in tests:
        if isinstance(test, Parametric):
            numbers = [bin_.number for _, bin_ in test.grades]
            for number in numbers:
                better.setdefault(number, set())
            for one, other in pairwise(numbers):
                better[other].add(one)
    return better


def _wrong_row(test: "Parametric[S]") -> Iterator[str]:
    numbers = [bin_.number for _, bin_ in test.grades]
    if len(set(numbers)) < len(numbers):
        yield f"test {test.name}: two of its grades have one bin"
    for limit, bin_ in test.grades:
        if bin_.kind is not BinKind.PASS:
            yield f"test {test.name}: grade {bin_.name!r} is of kind {bin_.kind.value}, it must be pass"
        if limit.unit != test.limit.unit:
            yield f"test {test.name}: grade {bin_.name!r} is in {limit.unit!r}, not in {test.limit.unit!r}"
    if not _covers(test.grades[-1][0], test.limit):
        yield f"test {test.name}: its last grade must hold for all that its limit holds for"


def _covers(wide: Limit, narrow: Limit) -> bool:
    low = wide.low is None or (narrow.low is not None and wide.low <= narrow.low)
    high = wide.high is None or (narrow.high is not None and wide.high >= narrow.high)
    return low and high
