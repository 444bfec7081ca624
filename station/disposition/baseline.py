"""Rules made of earlier lots: static part average limits, statistical yield and bin limits."""

from collections.abc import Iterator, Sequence

import numpy as np

from station.analysis.average import LEAST_PARTS, limits
from station.disposition.parts import Parts
from station.disposition.rules import Bounds, Static, Statistical, Target
from station.disposition.statistical import LEAST_LOTS, bin_levels, yield_levels
from station.errors import AnalysisError
from station.model import ENGINEERING


def static_of(lots: Sequence[Parts], target: Target, *, sigmas: float) -> Static:
    """Return limits of each parametric test over the good parts of six or more lots of 30 or more each."""
    _must_be_enough(lots)
    found = {
        str(test.number): bounds
        for column, test in enumerate(lots[0].info.tests)
        if test.kind == "P" and (bounds := _bounds(lots, column, sigmas)) is not None
    }
    return Static(target.bin, target.hard, found)


def statistical_of(lots: Sequence[Parts], *, quantity: int) -> Statistical:
    """Return limits of yield and of each failing bin, for lots of `quantity` devices."""
    _must_be_enough(lots)
    devices = [len(lot.numbers) for lot in lots]
    failing = sorted({number for lot in lots for number in lot.failing})
    return Statistical(
        yield_levels([int(lot.good.sum()) for lot in lots], devices, quantity),
        {
            str(number): bin_levels([int(np.sum(lot.bins == number)) for lot in lots], devices, quantity)
            for number in failing
        },
    )


def _bounds(lots: Sequence[Parts], column: int, sigmas: float) -> Bounds | None:
    """Return limits over all lots, never wider than those of the test; None where there is no spread."""
    values = np.concatenate([lot.values[lot.good, column] for lot in lots])[None, :]
    limit = lots[0].info.tests[column].limit
    low = -np.inf if limit is None or limit.low is None else limit.low
    high = np.inf if limit is None or limit.high is None else limit.high
    made = limits(values, spec_low=np.array([low]), spec_high=np.array([high]), sigmas=sigmas)
    return None if made.skipped[0] else Bounds(float(made.low[0]), float(made.high[0]))


def _must_be_enough(lots: Sequence[Parts]) -> None:
    if wrong := list(_too_little(lots)):
        raise AnalysisError("; ".join(wrong))


def _too_little(lots: Sequence[Parts]) -> Iterator[str]:
    if len(lots) < LEAST_LOTS:
        yield f"{len(lots)} lots: limits of lots need {LEAST_LOTS} or more"
    for lot in lots:
        if lot.info.mode == ENGINEERING:
            yield f"lot {lot.info.lot} was for engineering"
        if int(lot.good.sum()) < LEAST_PARTS:
            yield f"lot {lot.info.lot} has {int(lot.good.sum())} good parts, {LEAST_PARTS} are needed"
        if [(t.number, t.kind) for t in lot.info.tests] != [(t.number, t.kind) for t in lots[0].info.tests]:
            yield f"lot {lot.info.lot} has other tests than lot {lots[0].info.lot}"
