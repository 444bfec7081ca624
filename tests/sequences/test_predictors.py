"""Guessers of SP 800-90B: NIST's own figures, the steps of the standard one by one, sources that are known.

The figures are those that NIST publishes with its program (SP800-90B_EntropyAssessment, selftest), of files
rand1_short, data.pi and ringOsc-nist: what it has counted, and what that comes to.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences.predictors import Score, lag, lz78y, markov_chains, most_common_in_window
from tests.sequences.test_non_iid import drawn, sticky

WINDOWS = (3, 5, 7, 9)


@pytest.mark.parametrize(
    ("right", "run", "guesses", "everywhere", "entropy"),
    [
        (5006, 13, 9937, 0.51669396543410306, 0.95261806053262654),
        (5071, 18, 9999, 0.52002983240629286, 0.9433337065757712),
        (5005, 19, 9998, 0.51348118957041589, 0.96161666782888089),
        (4998, 19, 9983, 0.51354184937316061, 0.96144624595247796),
        (662387, 23, 1165603, 0.56946013995367961, 0.81233323259173817),
        (662836, 22, 1165665, 0.56981495344368849, 0.81143461261488992),
        (662951, 23, 1165664, 0.56991406518340781, 0.81118369680348135),
        (662954, 23, 1165649, 0.56992396184264549, 0.81115864436468677),
        (561973, 83, 999937, 0.56328641952769631, 0.29051922736594488),
        (839328, 84, 999999, 0.84027475528677842, 0.25106695357142894),
        (839326, 84, 999998, 0.8402735978488185, 0.25106894081565412),
        (839311, 84, 999983, 0.84027120055393956, 0.25107305682069808),
    ],
)
def test_what_nist_makes_of_its_counts(
    right: int, run: int, guesses: int, everywhere: float, entropy: float
) -> None:
    score = Score(right, run - 1, guesses)
    assert score.everywhere() == pytest.approx(everywhere, rel=1e-12)
    assert score.entropy() == pytest.approx(entropy, rel=1e-9)


def test_a_long_run_counts_as_nist_has_it() -> None:
    assert Score(561973, 82, 999937).in_a_row() == pytest.approx(0.81760774776600598, rel=1e-9)


# -- the steps of the standard, one by one
def followed(bits: bytes, since: int, guesses: Callable[[int], list[int | None]]) -> Score:
    """Steps 3 to 5 of 6.3.7 to 6.3.9: a scoreboard, and a winner that is followed."""
    board: dict[int, int] = defaultdict(int)
    winner, right = 0, []
    for place in range(since, len(bits)):
        found = guesses(place)
        right.append(found[winner] == bits[place])
        for one, guess in enumerate(found):
            if guess == bits[place]:
                board[one] += 1
                if board[one] >= board[winner]:
                    winner = one
    return Score.of(np.array(right))


def windowed(bits: bytes) -> Score:
    def guesses(place: int) -> list[int | None]:
        return [int(2 * sum(bits[place - w : place]) > w) if place >= w else None for w in WINDOWS]

    return followed(bits, WINDOWS[0], guesses)


def lagging(bits: bytes, lags: int) -> Score:
    return followed(bits, 1, lambda at: [bits[at - d] if at >= d else None for d in range(1, lags + 1)])


def most(counts: dict[tuple[bytes, int], int], word: bytes) -> tuple[int, int]:
    """The count of what followed most often, and that; of equals the larger."""
    return max((counts.get((word, y), 0), y) for y in (0, 1))


def chained(bits: bytes, orders: int, pairs: int) -> Score:
    counts: list[dict[tuple[bytes, int], int]] = [{} for _ in range(orders)]

    def guesses(place: int) -> list[int | None]:
        found: list[int | None] = []
        for d in range(1, orders + 1):
            known = counts[d - 1]
            if place - 1 >= d:
                pair = bits[place - 1 - d : place - 1], bits[place - 1]
                if pair in known or len(known) < pairs:
                    known[pair] = known.get(pair, 0) + 1
            count, y = most(known, bits[place - d : place]) if place >= d else (0, 0)
            found.append(y if count else None)
        return found

    return followed(bits, 2, guesses)


def worded(bits: bytes, longest: int, kept: int) -> Score:
    words: set[bytes] = set()
    counts: dict[tuple[bytes, int], int] = defaultdict(int)
    right = []
    for place in range(longest + 1, len(bits)):
        for length in range(longest, 0, -1):
            word = bits[place - 1 - length : place - 1]
            if word not in words and len(words) < kept:
                words.add(word)
            if word in words:
                counts[word, bits[place - 1]] += 1
        surest, guess = 0, None
        for length in range(longest, 0, -1):
            count, y = most(counts, bits[place - length : place])
            if count > surest:
                surest, guess = count, y
        right.append(guess == bits[place])
    return Score.of(np.array(right))


BITS = st.lists(st.integers(0, 1), min_size=12, max_size=80).map(bytes)


@given(BITS, st.integers(1, 5), st.integers(1, 40))
def test_each_counts_as_the_standard_says(bits: bytes, few: int, many: int) -> None:
    assert most_common_in_window(bits, WINDOWS) == windowed(bits)
    assert lag(bits, few) == lagging(bits, few)
    assert markov_chains(bits, few, many) == chained(bits, few, many)
    assert lz78y(bits, few, many) == worded(bits, few, many)


def test_where_one_part_ends_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = sticky(0.7)[:3000]
    whole = lag(sample), most_common_in_window(sample), markov_chains(sample)
    monkeypatch.setattr("sequences.predictors.CHUNK", 7)
    assert (lag(sample), most_common_in_window(sample), markov_chains(sample)) == whole


# -- sources that are known
ALL = (most_common_in_window, lag, markov_chains, lz78y)


def least(sample: bytes, judges: Iterable[Callable[[bytes], Score]] = ALL) -> float:
    return min(judge(sample).entropy() for judge in judges)


def test_of_fair_bits_nothing_can_be_guessed() -> None:
    assert least(drawn(0.5)) > 0.85


def test_of_biased_bits_none_is_above_what_they_have() -> None:
    biased, has = drawn(0.75, 50_000), -log2(0.75)
    for judge in (most_common_in_window, markov_chains, lz78y):
        assert judge(biased).entropy() == pytest.approx(has, abs=0.05), judge.__name__
    agrees = 0.75**2 + 0.25**2
    assert lag(biased).entropy() == pytest.approx(-log2(agrees), abs=0.05), "two bits that are alike"


@pytest.mark.parametrize("stays", [0.9, 0.1])
def test_bits_that_hang_together_are_guessed_by_what_came_before(stays: float) -> None:
    hanging, has = sticky(stays)[:50_000], -log2(0.9)
    for judge in (markov_chains, lz78y):
        assert judge(hanging).entropy() == pytest.approx(has, abs=0.03), judge.__name__


def test_a_period_is_guessed() -> None:
    once = drawn(0.5, 100)
    assert lag(once * 300).entropy() < 0.01
    assert markov_chains(once * 300).entropy() < 0.02


@pytest.mark.parametrize("sample", [bytes(5000), bytes([1]) * 5000, bytes([0, 1]) * 2500])
def test_a_source_that_is_stuck_has_nothing(sample: bytes) -> None:
    assert least(sample) < 0.01
