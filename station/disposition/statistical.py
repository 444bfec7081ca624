"""Statistical yield and bin limits (after AEC-Q002): made of earlier lots, held against this one."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from scipy import stats

from station.disposition.parts import Parts
from station.disposition.rules import Levels, Statistical
from station.errors import AnalysisError

LEAST_LOTS = 6
RARE = 0.99865
"""So often a lot of the pooled share lies within a limit by its own counts (3 sigma, one side)."""
FIRST, SECOND = 3.0, 4.0


class Beyond(Struct, frozen=True):
    """A lot beyond a limit, and what is to be done with it."""

    rule: str
    action: str
    seen: str


HOLD, QUARANTINE = "hold: engineering decides", "quarantine: the customer is told"


def beyond(parts: Parts, rule: Statistical) -> Iterator[Beyond]:
    """Yield what a lot is beyond: its share of good devices, or of one bin."""
    devices = len(parts.numbers)
    if rule.good is not None and devices:
        good = int(parts.good.sum())
        if (action := _action(-good / devices, -rule.good.hold, -rule.good.quarantine)) is not None:
            yield Beyond(
                "SYL", action, f"{good} good of {devices}, {good / devices:.2%}; {_shown(rule.good)}"
            )
    names = {bin_.number: bin_.name for bin_ in parts.info.bins}
    for number, levels in rule.bins.items():
        count = int(np.sum(parts.bins == int(number)))
        if devices and (action := _action(count / devices, levels.hold, levels.quarantine)) is not None:
            where = f"bin {number} {names.get(int(number), '')}".strip()
            seen = f"{count} of {devices} in {where}, {count / devices:.2%}; {_shown(levels)}"
            yield Beyond("SBL", action, seen)


def _action(value: float, hold: float, quarantine: float) -> str | None:
    return QUARANTINE if value > quarantine else HOLD if value > hold else None


def _shown(levels: Levels) -> str:
    return f"hold at {levels.hold:.2%}, quarantine at {levels.quarantine:.2%}"


def bin_levels(counts: Sequence[int], devices: Sequence[int], quantity: int) -> Levels:
    """Return the largest shares of a bin: mean + 3 and 4 sigma of the lots, widened where counts are low."""
    shares = _shares(counts, devices)
    pooled = sum(counts) / sum(devices)
    chance = float(stats.binom.ppf(RARE, quantity, pooled)) / quantity
    mean, sigma = float(np.mean(shares)), float(np.std(shares, ddof=1))
    hold, quarantine = (min(1.0, max(mean + k * sigma, chance)) for k in (FIRST, SECOND))
    return Levels(hold, quarantine)


def yield_levels(good: Sequence[int], devices: Sequence[int], quantity: int) -> Levels:
    """Return the least shares of good devices: mean - 3 and 4 sigma, widened where counts are low."""
    failing = bin_levels([of - n for n, of in zip(good, devices, strict=True)], devices, quantity)
    return Levels(1.0 - failing.hold, 1.0 - failing.quarantine)


def _shares(counts: Sequence[int], devices: Sequence[int]) -> list[float]:
    if len(counts) < LEAST_LOTS:
        raise AnalysisError(f"{len(counts)} lots: limits of lots need {LEAST_LOTS} or more")
    return [count / of for count, of in zip(counts, devices, strict=True)]
