"""What each test is worth: what it caught, how far its values keep from the limits, what says the same.

Nothing is left out by this: an engineer sees what a change of the sequence could be argued with.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.analysis.capability import capability
from station.analysis.lot import Lot
from station.analysis.shares import share
from station.errors import AnalysisError

LEAST_PAIRS = 30
"""Parts with both values: a correlation of fewer says nothing."""


class Worth(Struct, frozen=True):
    """One test over all lots."""

    number: int
    name: str
    kind: str
    executed: int
    """Contacts with a result."""
    failed: int
    """Parts that failed it at their last contact."""
    only_failed: int
    """Of them those that failed nothing else: without this test they had passed."""
    escapes_ppm: float
    """Upper end of the 95 % interval of what it alone caught: what its removal could let through."""
    cpk: float | None
    """The lowest of the lots; None where it does not exist."""
    twin: int
    """The test whose values follow those of this one most closely; 0: none does."""
    r: float
    """Their correlation."""
    ms: float | None
    """Of a mean contact whose tests were timed; None: no lot has timed them."""


class Reduction(Struct, frozen=True):
    """Where test time goes, and what each test is worth."""

    lots: tuple[str, ...]
    parts: int
    good_ms: float
    """Mean test time of a passing contact."""
    bad_ms: float
    """That of a failing one: what stops at the first fail is shorter."""
    tests: tuple[Worth, ...]
    """Those that could be argued with first: nothing caught alone, far from the limits."""


def reduction(lots: Sequence[Lot]) -> Reduction:
    """Look at the tests of lots of one sequence together; AnalysisError if there is no part."""
    first = lots[0]
    numbers = [test.number for test in first.tests]
    for lot in lots[1:]:
        if [test.number for test in lot.tests] != numbers:
            raise AnalysisError(f"lot {lot.name} has other tests than lot {first.name}")
    parts = sum(int(lot.contacts.last.sum()) for lot in lots)
    if not parts:
        raise AnalysisError(f"lot {first.name} has no contact")
    twins = _twins(lots)
    tests = [_worth(lots, place, parts, *twins[place]) for place in range(len(numbers))]
    good, bad = (
        [lot.contacts.test_ms[np.equal(lot.contacts.good, kept)] for lot in lots] for kept in (True, False)
    )
    return Reduction(
        tuple(lot.name for lot in lots),
        parts,
        _mean(np.concatenate(good)),
        _mean(np.concatenate(bad)),
        tuple(sorted(tests, key=_first)),
    )


def _first(one: Worth) -> tuple[float, ...]:
    """What caught nothing alone comes first; then what takes longest and keeps farthest from limits."""
    return one.only_failed, one.failed, -(one.ms or 0.0), -(one.cpk or 0.0), one.number


def _worth(lots: Sequence[Lot], place: int, parts: int, twin: int, r: float) -> Worth:
    test, failed, only, executed = lots[0].tests[place], 0, 0, 0
    for lot in lots:
        bad = lot.failed[lot.contacts.last]
        failed += int(bad[:, place].sum())
        only += int((bad[:, place] & np.equal(bad.sum(axis=1), 1)).sum())
        executed += int((~np.isnan(lot.values[:, place]) | lot.failed[:, place]).sum())
    caught = share(only, parts)
    return Worth(
        test.number,
        test.name,
        test.kind,
        executed,
        failed,
        only,
        1e6 * caught.high,
        _cpk(lots, place),
        twin,
        r,
        _ms(lots, place),
    )


def _ms(lots: Sequence[Lot], place: int) -> float | None:
    timed = sum(lot.times.contacts for lot in lots)
    return 1000 * sum(float(lot.times.seconds[place]) for lot in lots) / timed if timed else None


def _cpk(lots: Sequence[Lot], place: int) -> float | None:
    found = list[float]()
    for lot in lots:
        test = lot.tests[place]
        try:
            index = capability(lot.values[lot.contacts.last, place], test.low, test.high).cpk
        except AnalysisError:
            continue
        if index is not None:
            found.append(index.value)
    return min(found, default=None)


def _twins(lots: Sequence[Lot]) -> list[tuple[int, float]]:
    """Return for each test the one that correlates most with it, over passing parts, and how much."""
    tests = lots[0].tests
    values = np.concatenate([lot.values[lot.contacts.last & lot.contacts.good] for lot in lots])
    found = [(0, 0.0)] * len(tests)
    measured = [place for place in range(len(tests)) if _varies(values[:, place])]
    whole = values[np.isfinite(values[:, measured]).all(axis=1)][:, measured]
    if len(measured) < 2 or len(whole) < LEAST_PAIRS or not all(_varies(column) for column in whole.T):
        return found
    r = np.corrcoef(whole, rowvar=False)
    np.fill_diagonal(r, 0.0)
    for row, place in enumerate(measured):
        best = int(np.abs(r[row]).argmax())
        found[place] = tests[measured[best]].number, float(r[row, best])
    return found


def _varies(column: NDArray[np.float64]) -> bool:
    kept = column[np.isfinite(column)]
    return len(kept) >= LEAST_PAIRS and bool(np.ptp(kept) > 0)


def _mean(values: NDArray[np.int64]) -> float:
    return float(values.mean()) if len(values) else 0.0
