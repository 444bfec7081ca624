"""Estimators of SP 800-90B over sources whose entropy is known, and beside counts by hand."""

from collections import Counter
from math import comb, log2
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences import non_iid
from sequences.non_iid import collision, markov, most_common_bit, tuples

SIZE = 200_000


def drawn(one: float, size: int = SIZE) -> bytes:
    random = Random(1)  # noqa: S311 - the same in every run
    return bytes(random.random() < one for _ in range(size))


def sticky(stays: float) -> bytes:
    """Half ones, but each bit is with this probability as the one before it."""
    random, bits = Random(2), bytearray([0])  # noqa: S311 - the same in every run
    for _ in range(SIZE - 1):
        bits.append(bits[-1] ^ (random.random() >= stays))
    return bytes(bits)


def test_of_fair_bits_every_estimate_is_near_one() -> None:
    fair = drawn(0.5)
    assert most_common_bit(fair) > 0.98
    assert collision(fair) > 0.9
    assert markov(fair) > 0.98
    assert min(tuples(fair)) > 0.85


@pytest.mark.parametrize("one", [0.25, 0.75, 0.9])
def test_of_biased_bits_none_is_above_what_they_have(one: float) -> None:
    biased, has = drawn(one), -log2(max(one, 1 - one))
    assert most_common_bit(biased) == pytest.approx(has, abs=0.01)
    assert collision(biased) == pytest.approx(has, abs=0.02)
    assert markov(biased) == pytest.approx(has, abs=0.01)
    assert tuples(biased)[0] <= has + 0.01
    assert tuples(biased)[1] <= has + 0.35, "most tuples are less alike than the most common one"


@pytest.mark.parametrize("stays", [0.9, 0.1])
def test_bits_that_hang_together_are_found_by_those_that_look_at_more_than_one(stays: float) -> None:
    hanging, has = sticky(stays), -log2(0.9)
    assert most_common_bit(hanging) > 0.95
    assert markov(hanging) == pytest.approx(has, abs=0.02)
    assert tuples(hanging)[0] <= has + 0.02


def test_a_period_is_found_however_long_it_is() -> None:
    once = drawn(0.5, 2048)
    common, alike = tuples(once * 50)
    assert min(common, alike) < 0.01
    assert tuples(once * 8, cutoff=9)[1] < 0.01


@pytest.mark.parametrize("sample", [bytes(1000), bytes([1]) * 1000])
def test_a_source_that_is_stuck_has_nothing(sample: bytes) -> None:
    assert (most_common_bit(sample), collision(sample), markov(sample)) == (0.0, 0.0, 0.0)
    assert tuples(sample)[0] == 0.0


def test_bits_in_turn_have_nothing() -> None:
    assert markov(bytes([0, 1]) * 500) < 0.01
    assert most_common_bit(bytes([0, 1]) * 5000) > 0.95


def by_hand(sample: bytes, cutoff: int) -> tuple[float, float]:
    common = alike = 0.0
    for length in range(1, len(sample)):
        places = len(sample) - length + 1
        counts = Counter(sample[at : at + length] for at in range(places)).values()
        if max(counts) >= cutoff:
            common = max(common, (max(counts) / places) ** (1 / length))
        elif max(counts) > 1:
            alike = max(alike, (sum(comb(n, 2) for n in counts) / comb(places, 2)) ** (1 / length))
    return common, alike


@given(st.lists(st.integers(0, 1), min_size=8, max_size=60), st.integers(2, 6))
def test_tuples_are_counted_as_one_would_by_hand(bits: list[int], cutoff: int) -> None:
    sample = bytes(bits)
    wanted = tuple(non_iid._entropy(share, len(sample)) for share in by_hand(sample, cutoff))
    assert tuples(sample, cutoff) == pytest.approx(wanted)
