"""Health of a noise source on the host: cut-offs as the reference tabulates them, and what they let pass."""

import re
import tomllib
from fractions import Fraction
from math import comb
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers

from sequences import health

ROWS = tomllib.loads(Path("tests/golden/personalisation.toml").read_text())["trng_cutoffs"]["rows"]
PAGE = Path("docs/explanation/noise.md").read_text()


@pytest.mark.parametrize(("alpha", "entropy", "window", "repetition", "proportion"), ROWS)
def test_cutoffs_are_those_of_the_reference(
    alpha: int, entropy: float, window: int, repetition: int, proportion: int
) -> None:
    assert health.repetition_cutoff(entropy, alpha) == repetition
    assert health.proportion_cutoff(entropy, window, alpha) == proportion


def tail(n: int, p: Fraction, least: int) -> Fraction:
    """The probability of at least so many of n, as a fraction."""
    return sum((comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(least, n + 1)), Fraction(0))


@given(integers(1, 3), integers(60, 200), integers(8, 24))
def test_a_cutoff_is_the_smallest_that_alpha_allows(entropy: int, window: int, alpha: int) -> None:
    cutoff, p = health.proportion_cutoff(entropy, window, alpha), Fraction(1, 2**entropy)
    assert tail(window, p, cutoff) <= Fraction(1, 2**alpha) < tail(window, p, cutoff - 1)


def test_a_window_too_small_for_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match=r"32 samples are too few to judge at alpha = 2\^-40"):
        health.proportion_cutoff(1.0, 32)


def outcomes(n: int, least: int) -> int:
    """How many of the 2^n outcomes of n fair bits have so many ones."""
    term, total = comb(n, least), 0
    for ones in range(least, n + 1):
        total += term
        term = term * (n - ones) // (ones + 1)
    return total


@pytest.mark.parametrize("samples", [2048, 16384])
def test_the_limits_of_a_share_hold_alpha_on_both_sides_together(samples: int) -> None:
    most = round(samples * (0.5 + health.share_limit(samples)))
    allowed = 2**samples >> 41
    assert outcomes(samples, most + 1) <= allowed < outcomes(samples, most)


@given(binary(max_size=64))
def test_bits_are_the_bytes_first_bit_first(noise: bytes) -> None:
    assert health.bits(noise) == bytes(int(digit) for byte in noise for digit in f"{byte:08b}")


@given(binary(min_size=1, max_size=64), integers(1, 80))
def test_counts_are_what_their_definitions_say(samples: bytes, window: int) -> None:
    runs = [
        n
        for n in range(1, len(samples) + 1)
        for at in range(len(samples))
        if samples[at : at + n] == samples[at : at + 1] * n
    ]
    assert health.longest_run(samples) == max(runs)
    counts = [samples[at : at + window].count(samples[at]) for at in range(0, len(samples), window)]
    assert health.worst_proportion(samples, window) == max(counts)


def test_shares_of_ones() -> None:
    assert health.shares_of_ones(b"\x80\x81\x01\x80") == (0.75, 0, 0, 0, 0, 0, 0, 0.5)
    assert health.share_of_ones(b"\x80\x81\x01\x80") == 5 / 32


def test_repeats() -> None:
    noise = Random(1).randbytes(2048)  # noqa: S311
    assert not health.repeats(noise)
    assert health.repeats(noise + noise[1000:1008])
    assert not health.repeats(noise + noise[1000:1007])
    assert not health.repeats(b"short")


def test_overkill_is_what_really_happens() -> None:
    """At an alpha that lets us see it: of many good samples about n alpha raise an alarm."""
    alpha, samples, tries = 10, 512, 2000
    cutoff, random = health.repetition_cutoff(1.0, alpha), Random(7)  # noqa: S311
    alarms = sum(
        health.longest_run(health.bits(random.randbytes(samples // 8))) >= cutoff for _ in range(tries)
    )
    assert alarms / tries <= health.overkill(samples, alpha)
    assert alarms / tries >= health.overkill(samples, alpha) / 4


def test_the_page_shows_the_cutoffs_as_they_are_computed() -> None:
    shown = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d,]+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(shown) == len(ROWS)
    for alpha, entropy, window, repetition, proportion in shown:
        assert health.repetition_cutoff(float(entropy), int(alpha)) == int(repetition)
        cutoff = health.proportion_cutoff(float(entropy), int(window.replace(",", "")), int(alpha))
        assert cutoff == int(proportion)


def test_the_page_shows_overkill_as_it_is_computed() -> None:
    shown = re.findall(r"^\| ([\d,]+) \| ([\de.-]+) \| ([\de.-]+) \|$", PAGE, re.MULTILINE)
    assert len(shown) == 3
    for samples, loose, screen in shown:
        n = int(samples.replace(",", ""))
        assert float(loose) == pytest.approx(min(1.0, health.overkill(n, 20)), rel=0.05)
        assert float(screen) == pytest.approx(health.overkill(n), rel=0.05)
