"""Estimators of SP 800-90B over sources whose entropy is known, and beside counts by hand."""

from collections import Counter
from math import comb, log2
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequences import non_iid
from sequences.non_iid import collision, compression, markov, most_common_bit, tuples

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


def test_compression_is_that_of_the_standard_s_example() -> None:
    """6.3.4: eight blocks, four of them learned; p is 0.5715, the entropy of a bit 0.1345."""
    example = "100011 100101 010111 001100 011100 101010 111011 100011".replace(" ", "")
    assert compression(bytes(map(int, example)), learned=4) == pytest.approx(0.1345, abs=5e-5)


@pytest.mark.parametrize(
    ("mean", "bits", "entropy"),
    [
        (5.1295260964851117, 10_000, 0.61171620479394506),
        (5.1219016843117551, 1_165_666, 0.60155919063219654),
        (3.3730929939843661, 1_000_000, 0.15932269772157898),
    ],
)
def test_compression_of_what_nist_has_measured(mean: float, bits: int, entropy: float) -> None:
    """Files rand1_short, data.pi and ringOsc-nist of its program's selftest: X-bar' and what it comes to."""
    assert non_iid._compressed(mean, 1000, bits // 6) == pytest.approx(entropy, rel=1e-10)


def test_compression_of_sources_that_are_known() -> None:
    assert compression(drawn(0.5)) > 0.75
    assert 0.07 < compression(drawn(0.9)) <= -log2(0.9), "it takes all blocks but one for equally likely"
    assert compression(bytes(20_000)) == pytest.approx(0.0, abs=1e-6)
    assert compression(drawn(0.5, 12) * 2000) < 0.3, "a short period"


def test_compression_of_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="wants more than 6006 bits, these are 6000"):
        compression(drawn(0.5, 6000))


def test_waits_are_counted_as_one_would_by_hand() -> None:
    blocks = non_iid._blocks(np.frombuffer(drawn(0.8, 6 * 500), dtype=np.uint8))
    last: dict[int, int] = {}
    waits = []
    for place, block in enumerate(map(int, blocks)):
        waits.append(place - last.get(block, -1))
        last[block] = place
    assert non_iid._since_last(blocks).tolist() == waits


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
