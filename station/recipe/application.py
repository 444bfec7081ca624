"""A sequence with a recipe in it: other limits, retest and stop rules, and so another fingerprint."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from station.errors import ConfigError
from station.model import Bin, Limit
from station.recipe import policies
from station.recipe.content import Bounds, Recipe
from station.rules import StopRules
from station.sequence import Parametric, Retest, Row, Sequence, Site, While

S = TypeVar("S", bound=Site)


def applied(recipe: Recipe, sequence: Sequence[S]) -> Sequence[S]:
    """Put a recipe into the sequence that it was made for; ConfigError names every difference at once."""
    wrong = [*_foreign(recipe, sequence), *_limits(recipe, sequence), *_bins(recipe, sequence)]
    wrong += policies.wrong(recipe, sequence)
    if wrong:
        raise ConfigError(f"recipe {recipe.title}: " + "; ".join(wrong))
    bins = {bin_.number: bin_ for bin_ in sequence.all_bins()}
    retest = sequence.retest
    if recipe.retest is not None:
        again = recipe.retest
        retest = Retest(
            frozenset(bins[number] for number in again.bins),
            again.times,
            at_end=again.at_end,
            other_site=again.other_site,
            confirm=again.confirm,
            turn_on=again.turn_on,
            useless_after=again.useless_after,
            min_recovered=again.min_recovered,
        )
    rules = sequence.rules if recipe.rules is None else _rules(recipe, bins)
    made = replace(sequence, rows=_rows(sequence.rows, policies.guarded(recipe, sequence)))
    return replace(
        made,
        retest=retest,
        rules=rules,
        outliers=sequence.outliers if recipe.outliers is None else policies.outliers(recipe.outliers),
        quality=sequence.quality if recipe.quality is None else policies.quality(recipe.quality),
        offsets=policies.offsets(recipe) or sequence.offsets,
    )


def _foreign(recipe: Recipe, sequence: Sequence[S]) -> Iterator[str]:
    if recipe.product != sequence.product:
        yield f"it is for product {recipe.product!r}, the sequence is for {sequence.product!r}"
    if recipe.base != sequence.fingerprint().hex():
        yield f"it was made for another state of {recipe.sequence}: build it for the one that is installed"


def _limits(recipe: Recipe, sequence: Sequence[S]) -> Iterator[str]:
    tests = {test.number: test for test in sequence.tests()}
    for number, bounds in recipe.limits.items():
        test = tests.get(int(number))
        if not isinstance(test, Parametric):
            yield f"limits.{number}: the sequence has no parametric test of this number"
        elif reason := _wider(test.limit, bounds):
            yield f"limits.{number} ({test.name}): {reason}"


def _wider(limit: Limit, bounds: Bounds) -> str:
    """Say why bounds are none that a recipe may set: it narrows a limit, and leaves something of it."""
    unit = limit.unit
    if bounds.low is not None and limit.low is not None and bounds.low < limit.low:
        return f"low {bounds.low:g} {unit} is below {limit.low:g} {unit}; a recipe only narrows"
    if bounds.high is not None and limit.high is not None and bounds.high > limit.high:
        return f"high {bounds.high:g} {unit} is above {limit.high:g} {unit}; a recipe only narrows"
    new = policies.narrowed(limit, bounds)
    if new.low is not None and new.high is not None and new.low > new.high:
        return f"low {new.low:g} {unit} is above high {new.high:g} {unit}"
    return ""


def _bins(recipe: Recipe, sequence: Sequence[S]) -> Iterator[str]:
    known = {bin_.number for bin_ in sequence.all_bins()}
    there = ", ".join(map(str, sorted(known)))
    named = {"retest.bins": () if recipe.retest is None else recipe.retest.bins}
    if recipe.rules is not None:
        named["rules.contact_bins"] = recipe.rules.contact_bins
        named["rules.bin_limits"] = tuple(map(int, recipe.rules.bin_limits))
    for where, numbers in named.items():
        for number in numbers:
            if number not in known:
                yield f"{where}: the sequence has no bin {number}; it has {there}"


def _rules(recipe: Recipe, bins: Mapping[int, Bin]) -> StopRules:
    assert recipe.rules is not None  # noqa: S101 - the caller has looked
    asked = recipe.rules
    return StopRules(
        baseline_yield=asked.baseline_yield,
        all_sites=asked.all_sites,
        yield_floor=asked.yield_floor,
        compare_sites=asked.compare_sites,
        bin_limits=tuple((bins[int(number)], limit) for number, limit in asked.bin_limits.items()),
        contact_bins=tuple(bins[number] for number in asked.contact_bins),
        no_touch=asked.no_touch,
        stuck=asked.stuck,
        clean_every=asked.clean_every,
        retries=asked.retries,
    )


def _rows(rows: tuple[Row[S], ...], limits: Mapping[str, Bounds]) -> tuple[Row[S], ...]:
    return tuple(_row(row, limits) for row in rows)


def _row(row: Row[S], limits: Mapping[str, Bounds]) -> Row[S]:
    match row:
        case While():
            return replace(row, rows=_rows(row.rows, limits))
        case Parametric() if (bounds := limits.get(str(row.number))) is not None:
            return replace(row, limit=policies.narrowed(row.limit, bounds))
    return row
