"""Estimates of min-entropy by how often one can guess the next bit: NIST SP 800-90B, 6.3.7 to 6.3.10.

Each has some simple guessers, follows the one that was right most often so far, and counts: how often it was
right, and how often in a row. A sample is bytes that are 0 or 1.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, expm1, log, log1p, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from sequences.estimators import Z_99

Bits = NDArray[np.int8]
Guesses = NDArray[np.int8]
"""A bit for each place, or NONE."""
NONE = -1
WINDOWS = (63, 255, 1023, 4095)
LAGS = 128
ORDERS, PAIRS = 16, 100_000
"""Lengths of contexts, and how many pairs of context and bit are kept for each (6.3.9)."""
WORDS, KEPT = 16, 65_536
"""Lengths of words, and how many are kept of all lengths (6.3.10)."""
CHUNK = 1 << 14
HALVINGS = 60
ROOT_STEPS = 10
SURE = 0.99


@dataclass(frozen=True)
class Score:
    """How well the next bit was guessed, place by place."""

    right: int
    longest: int
    """So often in a row."""
    guesses: int

    @classmethod
    def of(cls, right: NDArray[np.bool_]) -> "Score":
        """Count, place by place."""
        wrong = np.flatnonzero(~right)
        ends = np.concatenate(([-1], wrong, [len(right)]))
        return cls(int(right.sum()), int(np.diff(ends).max()) - 1, len(right))

    def entropy(self) -> float:
        """Bits a bit: of the larger of both shares, at most that of a fair coin."""
        return -log2(max(self.everywhere(), self.in_a_row(), 0.5))

    def everywhere(self) -> float:
        """Upper bound, at 99 %, of how often a guess is right."""
        share = self.right / self.guesses
        if share == 0:
            return -expm1(log(0.01) / self.guesses)
        return min(1.0, share + Z_99 * sqrt(share * (1 - share) / (self.guesses - 1)))

    def in_a_row(self) -> float:
        """How often a guess is right if a run is no longer than this, 99 times of 100; at least 1/2."""
        low, high = 0.5, 1.0
        if _no_run(low, self.longest + 1, self.guesses) < SURE:
            return low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if _no_run(middle, self.longest + 1, self.guesses) > SURE:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def _no_run(share: float, run: int, guesses: int) -> float:
    """How likely there is no run of so many (Feller); each guess is right with this probability."""
    wrong, root = 1 - share, 1.0
    if wrong == 0:
        return 0.0
    for _ in range(ROOT_STEPS):
        root = 1 + wrong * share**run * root ** (run + 1)
        if root > 1 / share:  # beyond the other root, at which the run is certain
            return 0.0
    among = (1 - share * root) / ((run + 1 - run * root) * wrong)
    return 0.0 if among <= 0 else exp(log(among) - (guesses + 1) * log1p(root - 1))


def most_common_in_window(sample: bytes, windows: Iterable[int] = WINDOWS) -> Score:
    """By the more frequent of the last 63, 255, 1023 or 4095 bits (6.3.7)."""
    bits, windows = _bits(sample), tuple(windows)
    sums = np.concatenate(([0], np.cumsum(bits, dtype=np.int64)))
    guesses = [_guessed(len(bits), w, sums[w:-1] - sums[: -w - 1] > w // 2) for w in windows if w < len(bits)]
    return _followed(bits, np.array(guesses), windows[0])


def lag(sample: bytes, lags: int = LAGS) -> Score:
    """By the bit that was 1 to 128 places before (6.3.8)."""
    bits = _bits(sample)
    guesses = [_guessed(len(bits), d, bits[:-d]) for d in range(1, min(lags, len(bits) - 1) + 1)]
    return _followed(bits, np.array(guesses), 1)


def markov_chains(sample: bytes, orders: int = ORDERS, pairs: int = PAIRS) -> Score:
    """By what followed most often on the last 1 to 16 bits (6.3.9)."""
    bits = _bits(sample)
    guesses = np.full((orders, len(bits)), NONE, dtype=np.int8)
    for order, places, words in _contexts(bits, orders, 0):
        kept = _first(2 * words + bits[places], pairs)
        zeros, ones = _followers(words, bits[places], kept)
        guesses[order - 1, places] = np.where(zeros + ones > 0, ones >= zeros, NONE)
    return _followed(bits, guesses, 2)


def lz78y(sample: bytes, longest: int = WORDS, most: int = KEPT) -> Score:
    """By what followed most often on whichever of the last words of 1 to 16 bits is surest (6.3.10)."""
    bits = _bits(sample)
    found = [(places, words) for _, places, words in _contexts(bits, longest, longest)]
    kept = _first_of_all([words for _, words in found], most)
    sure = np.zeros(len(bits), dtype=np.int64)
    guess = np.full(len(bits), NONE, dtype=np.int8)
    for (places, words), there in reversed(list(zip(found, kept, strict=True))):
        zeros, ones = _followers(words, bits[places], there)
        better = np.maximum(zeros, ones) > sure[places]
        guess[places] = np.where(better, ones >= zeros, guess[places])
        sure[places] = np.maximum(sure[places], np.maximum(zeros, ones))
    return Score.of((guess == bits)[longest + 1 :])


def _bits(sample: bytes) -> Bits:
    return np.frombuffer(sample, dtype=np.int8)


def _guessed(size: int, since: int, guesses: NDArray[np.bool_] | Bits) -> Guesses:
    """Guesses from a place on; before it there is none."""
    found = np.full(size, NONE, dtype=np.int8)
    found[since:] = guesses
    return found


def _followed(bits: Bits, guesses: Guesses, since: int) -> Score:
    """Follow at each place the guesser that was right most often; of equals who came there last."""
    right = np.empty(len(bits), dtype=np.bool_)
    scores, leader = np.zeros(len(guesses), dtype=np.int64), 0
    for begin in range(since, len(bits), CHUNK):
        part = slice(begin, min(begin + CHUNK, len(bits)))
        hits = (guesses[:, part] == bits[part]).T
        reached = scores + np.cumsum(hits, axis=0)
        best = (reached == reached.max(axis=1, keepdims=True)) & hits
        last = hits.shape[1] - 1 - np.argmax(best[:, ::-1], axis=1)
        leaders = _held(np.where(best.any(axis=1), last, NONE), leader)
        right[part] = hits[np.arange(len(hits)), leaders[:-1]]
        scores, leader = reached[-1], int(leaders[-1])
    return Score.of(right[since:])


def _held(changes: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Who leads before each place and after the last, by who takes the lead at some."""
    at = np.where(changes == NONE, -1, np.arange(len(changes)))
    last = np.maximum.accumulate(at)
    after = np.where(last < 0, first, changes[last])
    return np.concatenate(([first], after))


def _contexts(
    bits: Bits, longest: int, since: int
) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """For each length: the places that are learned from or guessed at, and the word before each."""
    words = np.zeros(len(bits), dtype=np.int64)
    for length in range(1, longest + 1):
        words[length:] = words[length:] | bits[:-length].astype(np.int64) << (length - 1)
        places = np.arange(max(length, since), len(bits))
        yield length, places, words[places]


def _first(ids: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Whether an id is one of those that came first."""
    firsts = np.full(int(ids.max(initial=0)) + 1, len(ids))
    firsts[ids[::-1]] = np.arange(len(ids))[::-1]  # of several writes to one place the last one counts
    kept = np.zeros(len(firsts), dtype=np.bool_)
    kept[np.argsort(firsts, kind="stable")[:most]] = True
    return kept[ids]


def _first_of_all(words: list[NDArray[np.int64]], most: int) -> list[NDArray[np.bool_]]:
    """The same of words of several lengths together: at one place the longer one comes first.

    The places of all lengths must be the same.
    """
    lengths = len(words)
    offsets = [1 << (n + 1) for n in range(lengths)]
    whole = np.stack([one + offsets[n] for n, one in reversed(list(enumerate(words)))], axis=1)
    kept = _first(whole.ravel(), most).reshape(whole.shape)
    return [kept[:, lengths - 1 - n] for n in range(lengths)]


def _followers(
    words: NDArray[np.int64], bits: Bits, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often a zero and a one have followed on the word of each place before, as far as kept."""
    order = np.argsort(words.astype(np.uint16), kind="stable")
    begins = np.flatnonzero(np.diff(words[order], prepend=-1))
    group = np.repeat(np.arange(len(begins)), np.diff(np.append(begins, len(words))))
    found = []
    for value in (0, 1):
        counted = ((bits == value) & kept)[order].astype(np.int64)
        before = np.cumsum(counted) - counted
        counts = np.empty(len(words), dtype=np.int64)
        counts[order] = before - before[begins][group]
        found.append(counts)
    return found[0], found[1]
