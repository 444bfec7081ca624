"""Estimates of min-entropy in bits a bit, from a megabit of raw noise: NIST SP 800-90B, 6.3.1 to 6.3.6.

Those that predict (6.3.7 to 6.3.10) are in `sequences.predictors`. A sample is bytes that are 0 or 1. The
least of all estimates counts.
"""

from collections.abc import Iterator
from math import log2, sqrt

import numpy as np
from numpy.typing import NDArray

from sequences.estimators import Z_99

Ids = NDArray[np.int64]
CUTOFF = 35
"""How often a tuple must occur to be one of 6.3.5; those that occur less often are those of 6.3.6."""
STEPS = 128
"""Length of the sequences of 6.3.3."""
CODED = 62
"""Bits that a number holds which tells tuples apart."""
BLOCK, LEARNED = 6, 1000
"""Bits of a block of 6.3.4, and with how many of them it begins."""
NARROWER = 0.5907
"""By so much is the spread of a mean of 6.3.4 less than if waits were independent."""
HALVINGS = 60
ALL_LENGTHS = 160
"""A source whose tuples repeat at this length has a period: how long it is, matters no more."""
COUNTED = 16
"""Tuples so long are counted in a table."""


def most_common_bit(sample: bytes) -> float:
    """By the more frequent value (6.3.1)."""
    ones = sum(sample) / len(sample)
    return _entropy(max(ones, 1.0 - ones), len(sample))


def collision(sample: bytes) -> float:
    """By how soon a value comes again (6.3.2): after two bits if they are equal, else after three."""
    at, last, waits = 0, len(sample) - 2, [0, 0]
    while at < last:
        other = sample[at] != sample[at + 1]
        waits[other] += 1
        at += 2 + other
    count = sum(waits)
    mean, spread = 2 + waits[1] / count, sqrt(waits[0] * waits[1] / (count * max(1, count - 1)))
    least = mean - Z_99 * spread / sqrt(count)
    return -log2(0.5 + sqrt(max(0.0, 1.25 - 0.5 * least)))


def markov(sample: bytes) -> float:
    """By the likeliest sequence of 128 bits, each drawn by the one before it (6.3.3)."""
    bits = np.frombuffer(sample, dtype=np.uint8)
    first = np.bincount(bits, minlength=2) / len(bits)
    pairs = np.bincount(2 * bits[:-1] + bits[1:], minlength=4).reshape(2, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        start, move = np.log2(first), np.log2(np.nan_to_num(pairs / pairs.sum(axis=1, keepdims=True)))
    half = STEPS // 2
    likely = [start[a] + (STEPS - 1) * move[a, a] for a in (0, 1)]
    likely += [start[a] + move[a, b] + (STEPS - 2) * move[b, b] for a, b in ((0, 1), (1, 0))]
    likely += [start[a] + half * move[a, b] + (half - 1) * move[b, a] for a, b in ((0, 1), (1, 0))]
    return min(1.0, -max(map(float, likely)) / STEPS)


def compression(sample: bytes, learned: int = LEARNED) -> float:
    """By how long ago each block of six bits came last, after a thousand of them (6.3.4)."""
    blocks = _blocks(np.frombuffer(sample, dtype=np.uint8))
    if len(blocks) < learned + 2:
        raise ValueError(f"compression wants more than {BLOCK * (learned + 1)} bits, these are {len(sample)}")
    waits = np.log2(_since_last(blocks)[learned:])
    mean, count = float(waits.mean()), len(waits)
    spread = NARROWER * sqrt(max(0.0, float((waits * waits).sum()) / (count - 1) - mean * mean))
    return _compressed(mean - Z_99 * spread / sqrt(count), learned, len(blocks))


def _blocks(bits: NDArray[np.uint8]) -> Ids:
    whole = bits[: len(bits) // BLOCK * BLOCK].reshape(-1, BLOCK)
    return np.asarray(whole.astype(np.int64) @ (1 << np.arange(BLOCK)[::-1]))


def _since_last(blocks: Ids) -> Ids:
    """How many places ago each was last there; the first of a kind came as many ago as there are places."""
    order = np.argsort(blocks, kind="stable")
    again = np.diff(blocks[order], prepend=-1) == 0
    before = np.where(again, np.roll(order, 1), -1)
    found = np.empty(len(blocks), dtype=np.int64)
    found[order] = order - before
    return found


def _compressed(mean: float, learned: int, blocks: int) -> float:
    """Min-entropy of a bit if blocks come again after so long, one of them oftener than all others."""
    kinds = 1 << BLOCK
    places = np.arange(1, blocks + 1, dtype=np.float64)
    logs = np.log2(places)

    def expected(likely: float) -> float:
        rest = (1 - likely) / (kinds - 1)
        return _wait(likely, logs, learned) + (kinds - 1) * _wait(rest, logs, learned)

    low, high = 1 / kinds, 1.0
    if expected(low) <= mean:
        return 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) > mean else (low, middle)
    return -log2((low + high) / 2) / BLOCK


def _wait(share: float, logs: NDArray[np.float64], learned: int) -> float:
    """Its part in the mean of the logarithms, if a block comes with this probability."""
    odds = (1 - share) ** np.arange(len(logs))
    terms = logs * odds
    before = np.cumsum(terms) - terms
    return float((share * share * before[learned:] + share * terms[learned:]).mean())


def tuples(sample: bytes, cutoff: int = CUTOFF) -> tuple[float, float]:
    """By the most common tuple of each length (6.3.5), and by how many of longer ones are alike (6.3.6)."""
    size, common, alike = len(sample), 0.0, 0.0
    for length, ids in _by_length(np.frombuffer(sample, dtype=np.uint8)):
        counts = _counts(length, ids)
        most, places = int(counts.max()), len(ids)
        if most >= cutoff:
            common = max(common, (most / places) ** (1 / length))
        elif most > 1:
            same = float((counts * (counts - 1.0)).sum()) / (places * (places - 1.0))
            alike = max(alike, same ** (1 / length))
        else:
            break
    return _entropy(common, size), _entropy(alike, size)


def _by_length(bits: NDArray[np.uint8]) -> Iterator[tuple[int, Ids]]:
    """For each length, what tells the tuples apart; from some length on only for each doubled one."""
    ids, length, added = bits.astype(np.int64), 1, 1
    yield length, ids
    while length < min(ALL_LENGTHS, len(bits) - 1):
        if added == CODED:
            ids, added = _ranked(ids), int(len(bits)).bit_length()
        ids, length, added = ids[:-1] << 1 | bits[length:], length + 1, added + 1
        yield length, ids
    while 2 * length < len(bits):
        ranks = _ranked(ids)
        ids, length = ranks[:-length] * len(bits) + ranks[length:], 2 * length
        yield length, ids


def _ranked(ids: Ids) -> Ids:
    """Equal ones by the same small number."""
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)


def _counts(length: int, ids: Ids) -> Ids:
    return np.bincount(ids) if length <= COUNTED else np.unique(ids, return_counts=True)[1]


def _entropy(share: float, samples: int) -> float:
    """Of a share at its upper bound of 99 %."""
    return abs(log2(min(1.0, share + Z_99 * sqrt(share * (1.0 - share) / (samples - 1))))) if share else 1.0
