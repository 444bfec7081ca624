"""What no table of rows may say: every misuse is named before a device is met."""

import inspect
import typing
from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING

from station import grades
from station.model import Bin, BinKind, Unit
from station.policies import misplaced
from station.rows import (
    STOP,
    Barrier,
    Functional,
    Parametric,
    Personalise,
    S,
    While,
    everything,
    function_name,
)

if TYPE_CHECKING:
    from station.sequence import Sequence

UNITS = typing.get_args(Unit)
ALLOWED = ", ".join(unit or "none at all" for unit in UNITS)
MAX_NUMBER = 4_294_967_295
MAX_BIN = 32_767
MOST_RETRIES = 100
MOST_MARGINAL = 0.5


def wrong(sequence: "Sequence[S]") -> list[str]:
    """Name every difference of a table from one that can be valid."""
    return [
        *_numbers(sequence),
        *_options(sequence),
        *_empty(sequence),
        *_bins(sequence),
        *_personalise(sequence),
        *_retest(sequence),
        *sequence.rules.wrong({bin_.number for bin_ in _named(sequence)}),
        *_policies(sequence),
    ]


def _options(sequence: "Sequence[S]") -> Iterator[str]:
    yield from grades.wrong(sequence.tests())
    for row in sequence.tests():
        if not isinstance(row, Parametric | Functional):
            continue
        yield from _swept(row)
        if row.irreversible and (row.retry is not None or row.swept):
            yield f"test {row.name}: it is irreversible, so it has neither retry nor swept"
        if row.when is not None and not row.skippable:
            yield f"test {row.name}: it has a rule when it runs, but is not marked skippable"
        if isinstance(row, Parametric) and row.marginal and not _has_margin(row):
            yield f"test {row.name}: marginal = {row.marginal:g} must lie in 0..0.5, with both limits there"
        if row.retry is not None and not 1 <= row.retry.times <= MOST_RETRIES:
            yield f"test {row.name}: retry.times = {row.retry.times} must lie in 1..{MOST_RETRIES}"
        if row.retry is not None and not (isfinite(row.retry.settle_s) and row.retry.settle_s >= 0):
            yield f"test {row.name}: retry.settle_s = {row.retry.settle_s:g} must be 0 or more"


def _swept(row: "Parametric[S] | Functional[S]") -> Iterator[str]:
    if not row.swept:
        return
    known = {
        name: one.default
        for name, one in inspect.signature(row.run).parameters.items()
        if one.kind is one.KEYWORD_ONLY and isinstance(one.default, float)
    }
    names = [one.name for one in row.swept]
    if len(set(names)) < len(names):
        yield f"test {row.name}: it sweeps one parameter twice"
    for one in row.swept:
        if one.name not in known:
            yield f"test {row.name}: to sweep {one.name!r} it must be a keyword-only float with a default"
        elif not (isfinite(one.low) and isfinite(one.high) and one.low <= known[one.name] <= one.high):
            is_, low, high = known[one.name], one.low, one.high
            yield f"test {row.name}: its {one.name} = {is_:g} is outside {low:g} to {high:g}, its sweep"
        if one.unit not in UNITS:
            yield f"test {row.name}: unit {one.unit!r} of {one.name} is none of {ALLOWED}"


def _empty(sequence: "Sequence[S]") -> Iterator[str]:
    """With nothing in contact there is no device that a row could be about."""
    numbers = [row.number for row in sequence.empty]
    if numbers != sorted(set(numbers)):
        yield "the rows of empty: their numbers must rise, each once"
    for row in sequence.empty:
        if not row.timeout_s > 0:
            yield f"test {row.name}: timeout_s must be above 0"
        if row.bin or row.retry or row.when or row.swept or row.irreversible or row.on_fail is not STOP:
            yield f"test {row.name}: a row of empty has number, function, limit and timeout_s, nothing else"


def _has_margin(row: "Parametric[S]") -> bool:
    return 0 < row.marginal < MOST_MARGINAL and None not in (row.limit.low, row.limit.high)


def _policies(sequence: "Sequence[S]") -> Iterator[str]:
    parametric = {test.number for test in sequence.tests() if isinstance(test, Parametric)}
    if sequence.outliers is not None:
        yield from sequence.outliers.wrong()
        for number in sequence.outliers.tests:
            if number not in parametric:
                yield f"outliers: there is no parametric test {number}"
        single = {test.number for test in sequence.tests() if isinstance(test, Parametric) and not test.pins}
        for one in sequence.outliers.static:
            if one.test not in single:
                yield f"outliers.static: there is no test {one.test} with a single number"
    if sequence.retest.always and sequence.personalises:
        yield "retest: a device is not landed again behind its personalisation, always must be 0"
    if sequence.quality is not None:
        yield from sequence.quality.wrong(personalises=sequence.personalises)
    yield from misplaced(sequence.offsets, parametric)


def _numbers(sequence: "Sequence[S]") -> Iterator[str]:
    last, seen = 0, set[str]()
    if not any(True for _ in sequence.tests()):
        yield "it has no row"
    for test in sequence.tests():
        if not 1 <= test.number <= MAX_NUMBER:
            yield f"test {test.name}: number {test.number} is outside 1..{MAX_NUMBER}"
        if test.number <= last:
            yield f"test {test.name}: number {test.number} must be above {last}, numbers rise and are unique"
        if test.name in seen:
            yield f"test {test.number}: the name {test.name!r} is taken"
        limit = test.limit if isinstance(test, Parametric) else None
        if limit and limit.low is not None and limit.high is not None and not limit.low <= limit.high:
            yield f"test {test.name}: low {limit.low:g} is above high {limit.high:g}, or is no number"
        if limit and limit.unit not in UNITS:
            yield f"test {test.name}: unit {limit.unit!r} is none of {ALLOWED}"
        if test.timeout_s <= 0:
            yield f"test {test.name}: timeout_s must be above 0"
        last = max(last, test.number)
        seen.add(test.name)


def _bins(sequence: "Sequence[S]") -> Iterator[str]:
    yield from _row_bins(sequence)
    names = dict[int, str]()
    hard = dict[int, BinKind]()
    roles = sequence.bins
    for role, bin_, kind in (
        ("passing", roles.passing, BinKind.PASS),
        ("error", roles.error, BinKind.OTHER),
        ("default", roles.default, BinKind.FAIL),
        ("untested", roles.untested, BinKind.OTHER),
        ("alarm", roles.alarm, BinKind.OTHER),
    ):
        if bin_ is not None and bin_.kind is not kind:
            yield f"the {role} bin {bin_.name!r} is of kind {bin_.kind.value}, it must be {kind.value}"
    for bin_ in _named(sequence):
        if not 0 <= bin_.number <= MAX_BIN or not 0 <= bin_.hard <= MAX_BIN:
            yield f"bin {bin_.name!r}: numbers lie in 0..{MAX_BIN}"
        if names.setdefault(bin_.number, bin_.name) != bin_.name:
            yield f"bin {bin_.number} has two names, {names[bin_.number]!r} and {bin_.name!r}"
        if hard.setdefault(bin_.hard, bin_.kind) is not bin_.kind:
            yield f"hard bin {bin_.hard} mixes {hard[bin_.hard].value} and {bin_.kind.value}"


def _named(sequence: "Sequence[S]") -> list[Bin]:
    rows = [row.bin for row in everything(sequence.rows) if not isinstance(row, Barrier) and row.bin]
    graded = [bin_ for _, bin_ in grades.given(sequence.tests())]
    return [
        *sequence.bins.all(),
        *rows,
        *graded,
        *sequence.policy_bins(),
    ]


def _row_bins(sequence: "Sequence[S]") -> Iterator[str]:
    for row in everything(sequence.rows):
        if isinstance(row, Barrier):
            continue
        name = function_name(row.condition) if isinstance(row, While) else f"{row.number} {row.name}"
        if row.bin is None:
            yield f"row {name} has no bin"
        elif row.bin.kind is not BinKind.FAIL:
            kind = row.bin.kind.value
            yield f"row {name}: its bin {row.bin.name!r} is of kind {kind}, a failing row needs fail"
        if isinstance(row, While) and not row.rows:
            yield f"condition {name} has no rows"


def _personalise(sequence: "Sequence[S]") -> Iterator[str]:
    tests = list(sequence.tests())
    rows = [test for test in tests if isinstance(test, Personalise)]
    if not rows:
        return
    if len(rows) > 1 or tests[-1] is not rows[0]:
        yield "the Personalise row must be the last and the only one"
    spoiled = rows[0].bin
    for bin_ in _named(sequence):
        if spoiled and bin_.number != spoiled.number and bin_.hard == spoiled.hard:
            yield f"hard bin {bin_.hard} of {bin_.name!r} is the spoiled one, which is shared with nothing"
    if any(test is not rows[0] and test.bin == spoiled for test in tests):
        yield "the bin of the Personalise row is the spoiled bin, no other row may use it"


def _retest(sequence: "Sequence[S]") -> Iterator[str]:
    yield from sequence.retest.wrong()
    known = {bin_.number for bin_ in _named(sequence)}
    for bin_ in sorted(sequence.retest.bins, key=lambda b: b.number):
        if bin_.kind is BinKind.PASS:
            yield f"retest bin {bin_.name!r} is a passing bin"
        elif bin_ in sequence.policy_bins():
            yield f"retest bin {bin_.name!r} is one of outliers, or of a second look that failed"
        elif bin_ == sequence.spoiled:
            yield f"retest bin {bin_.name!r} is the spoiled bin: a spoiled device is never tested again"
        elif bin_.number not in known:
            yield f"retest bin {bin_.name!r} is used by no row"
