"""What a lot says of its noise sources: the rows `trng_…` of its parts, taken together (NIST SP 800-90B).

A part alone has too few bits for more than a screen. A lot has millions, in which a small bias shows, and
parts enough to tell whether their sources are alike.
"""

from math import expm1, log1p, log2, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

from station.analysis.lot import Lot
from station.errors import AnalysisError

REPETITION, PROPORTION, BIAS, MIN_ENTROPY = (
    "trng_repetition", "trng_proportion", "trng_bias", "trng_min_entropy",
)  # fmt: skip
ROWS = "trng_"
"""How the names of all rows that judge noise begin."""
WINDOW = 1024
"""Bits of a window of the proportion test."""
Z_99 = 2.5758293035489
"""Standard normal quantile at 99.5 %, as section 6.3.1 has it."""
SURE = 0.001
"""A p below it means that it is no chance."""
LEAST = 2


class Worst(Struct, frozen=True):
    """What stands out most of all parts, and how likely that is in such a lot if its sources are sound."""

    part: str
    value: float
    p: float


class Noise(Struct, frozen=True):
    """A lot's noise sources."""

    parts: int
    left_out: int
    """Parts that failed one of the rows; the figures are of the others."""
    bits: int
    """Of all parts together."""
    ones: float
    """Share of ones among them."""
    entropy_per_bit: float
    """Min-entropy by the most common value of all bits, at 99 % (6.3.1)."""
    weakest: Worst
    """The part with the largest bias: its min-entropy a bit, by its own bits alone."""
    spread_p: float
    """How likely all parts differ so much in their share of ones if their sources are alike."""
    longest_run: Worst
    worst_proportion: Worst
    byte_entropy: tuple[float, float, float]
    """Bits a byte, part by part: least, a hundredth of the parts, median. A short sample shows less."""

    @property
    def alike(self) -> bool:
        """Whether the parts' shares of ones are as much alike as those of one source."""
        return min(self.spread_p, self.weakest.p) >= SURE


def most_common(share: float, samples: int) -> float:
    """Min-entropy of a bit whose ones have this share of so many samples, at 99 % (section 6.3.1)."""
    most = max(share, 1.0 - share)
    return -log2(min(1.0, most + Z_99 * sqrt(most * (1.0 - most) / (samples - 1))))


def noise(lot: Lot, sample_bytes: int) -> Noise:
    """Take a lot's parts together, each judged by so many bytes; AnalysisError if it has no such rows."""
    rows = [at for at, test in enumerate(lot.tests) if test.name.startswith(ROWS)]
    columns = {test.name: at for at, test in enumerate(lot.tests) if test.kind == "P"}
    if lacking := [name for name in (BIAS, REPETITION, PROPORTION, MIN_ENTROPY) if name not in columns]:
        raise AnalysisError(f"lot {lot.name} has no test {lacking[0]}: its noise was not looked at")
    found = lot.values[:, [columns[name] for name in (BIAS, REPETITION, PROPORTION, MIN_ENTROPY)]]
    known = lot.contacts.last & ~np.isnan(found).any(axis=1)
    failed = lot.failed[:, rows].any(axis=1)
    kept = known & ~failed
    if (parts := int(kept.sum())) < LEAST:
        raise AnalysisError(f"lot {lot.name} has {parts} parts with sound noise, {LEAST} are needed")
    names, (ones, runs, counts, entropy) = lot.contacts.part[kept], found[kept].T
    each = 8 * sample_bytes
    return _told(names, (ones, runs, counts, entropy), each, int((lot.contacts.last & failed).sum()))


def _told(
    names: NDArray[np.str_], values: tuple[NDArray[np.float64], ...], each: int, left_out: int
) -> Noise:
    ones, runs, counts, entropy = values
    parts, share = len(ones), float(ones.mean())
    weak = int(np.abs(ones - 0.5).argmax())
    weakest = most_common(float(ones[weak]), each)
    longest, worst = int(runs.argmax()), int(counts.argmax())
    windows = parts * (each // WINDOW)
    least, hundredth, median = np.percentile(entropy, (0, 1, 50))
    return Noise(
        parts=parts,
        left_out=left_out,
        bits=parts * each,
        ones=share,
        entropy_per_bit=most_common(share, parts * each),
        weakest=Worst(str(names[weak]), weakest, _bias_p(float(ones[weak]), share, each, parts)),
        spread_p=_spread_p(ones, share, each),
        longest_run=Worst(str(names[longest]), float(runs[longest]), _run_p(runs[longest], parts * each)),
        worst_proportion=Worst(str(names[worst]), float(counts[worst]), _window_p(counts[worst], windows)),
        byte_entropy=(float(least), float(hundredth), float(median)),
    )


def _spread_p(ones: NDArray[np.float64], share: float, each: int) -> float:
    """Chi-square of the parts' shares of ones around the lot's."""
    if not 0.0 < share < 1.0:
        return 1.0
    squares = float(((ones - share) ** 2).sum()) * each / (share * (1.0 - share))
    return float(stats.chi2.sf(squares, len(ones) - 1))


def _bias_p(ones: float, share: float, each: int, parts: int) -> float:
    """One of so many parts lies as far from the lot's share, to either side."""
    if not 0.0 < share < 1.0:
        return 1.0
    far = abs(ones - share) / sqrt(share * (1.0 - share) / each)
    return _any_p(2.0 * float(stats.norm.sf(far)), parts)


def _any_p(one: float, times: int) -> float:
    """What has this probability once happens at least once in so many times."""
    return 1.0 if one >= 1.0 else -expm1(times * log1p(-one))


def _run_p(length: float, bits: int) -> float:
    """A run of at least this length begins at a bit with 2^-length, and at any of the bits it may."""
    return -expm1(-bits * 2.0**-length)


def _window_p(count: float, windows: int) -> float:
    """A window holds its first bit once, and each other with one half."""
    return _any_p(float(stats.binom.sf(count - 2, WINDOW - 1, 0.5)), windows)
