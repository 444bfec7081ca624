"""Policies of a recipe: guard bands, correlation offsets, outliers, a second look at good devices."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from station.model import Bin, BinKind, Limit
from station.policies import Offset, Outliers, Quality
from station.recipe.content import Averages, Bounds, Recipe, SecondLook
from station.sequence import Parametric, Sequence, Site
from station.set_up import StaticLimit

S = TypeVar("S", bound=Site)
MOST_OF_SPAN = 0.2
"""An offset is no larger a share of what lies between the limits."""


def outliers(asked: Averages) -> Outliers:
    """Return the policy of a recipe."""
    bin_ = Bin(asked.bin, "outlier", asked.hard)
    static = tuple(
        StaticLimit(int(test), bounds.low, bounds.high)
        for test, bounds in sorted(asked.static.items(), key=lambda item: int(item[0]))
    )
    return Outliers(bin_, asked.tests, asked.sigmas, asked.least, asked.window, static)


def quality(asked: SecondLook) -> Quality:
    """Return the policy of a recipe."""
    return Quality(Bin(asked.bin, "quality", asked.hard), asked.first, asked.every)


def offsets(recipe: Recipe) -> tuple[Offset, ...]:
    """Return the offsets of a recipe, by test and site."""
    return tuple(
        Offset(int(test), int(site), value)
        for test, sites in sorted(recipe.offsets.items(), key=lambda item: int(item[0]))
        for site, value in sorted(sites.items(), key=lambda item: int(item[0]))
    )


def narrowed(limit: Limit, bounds: Bounds) -> Limit:
    """Return a limit with the bounds of a recipe."""
    low = limit.low if bounds.low is None else bounds.low
    high = limit.high if bounds.high is None else bounds.high
    return Limit(low, high, limit.unit)


def guarded(recipe: Recipe, sequence: Sequence[S]) -> Mapping[str, Bounds]:
    """Return the bounds of a recipe, moved inwards by its guard bands."""
    found = dict(recipe.limits)
    for number, test in _parametric(sequence).items():
        if (guard := recipe.guard_bands.get(number)) is not None:
            limit = narrowed(test.limit, recipe.limits.get(number, Bounds()))
            found[number] = Bounds(
                None if limit.low is None else limit.low + guard,
                None if limit.high is None else limit.high - guard,
            )
    return found


def wrong(recipe: Recipe, sequence: Sequence[S]) -> Iterator[str]:
    """Name what cannot be meant."""
    tests = _parametric(sequence)
    bounds = guarded(recipe, sequence)
    for number in recipe.guard_bands:
        if number not in tests:
            yield f"guard_bands.{number}: the sequence has no parametric test of this number"
        elif _empty(bounds[number]):
            yield f"guard_bands.{number}: nothing is left between the limits"
    for number, sites in recipe.offsets.items():
        if number not in tests:
            yield f"offsets.{number}: the sequence has no parametric test of this number"
        else:
            yield from _too_large(number, tests[number].limit, sites)
    for number, static in recipe.outliers.static.items() if recipe.outliers else ():
        if number not in tests:
            yield f"outliers.static.{number}: the sequence has no parametric test of this number"
        elif _empty(static):
            yield f"outliers.static.{number}: nothing is left between the limits"
    yield from _taken_bins(recipe, sequence)


def _empty(bounds: Bounds) -> bool:
    return bounds.low is not None and bounds.high is not None and bounds.low > bounds.high


def _too_large(number: str, limit: Limit, sites: Mapping[str, float]) -> Iterator[str]:
    if limit.low is None or limit.high is None:
        return
    most = MOST_OF_SPAN * (limit.high - limit.low)
    for site, value in sites.items():
        if abs(value) > most:
            yield f"offsets.{number}.{site}: {value:g} {limit.unit} is over a fifth of the span, {most:g}"


def _taken_bins(recipe: Recipe, sequence: Sequence[S]) -> Iterator[str]:
    bins = sequence.all_bins()
    taken = {bin_.number: bin_.name for bin_ in bins}
    rejects = {bin_.hard for bin_ in bins if bin_.kind is BinKind.FAIL}
    for name, asked in {"outliers": recipe.outliers, "quality": recipe.quality}.items():
        if asked is None:
            continue
        if asked.bin in taken:
            yield f"{name}.bin: bin {asked.bin} is {taken[asked.bin]!r} of the sequence, take a free one"
        if asked.hard not in rejects:
            yield f"{name}.hard: hard bin {asked.hard} is none of rejects; those are {sorted(rejects)}"


def _parametric(sequence: Sequence[S]) -> dict[str, Parametric[S]]:
    return {str(test.number): test for test in sequence.tests() if isinstance(test, Parametric)}
