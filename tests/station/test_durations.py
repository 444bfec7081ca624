"""What is kept of the time of a test: enough for a mean, in two bytes."""

import struct

import pytest

from station.durations import EACH, FIRST, LONGEST_S, kept, taken


@pytest.mark.parametrize("seconds", [0.0, 2e-5, 1.5e-3, 0.0123, 0.9, 12.34, 3600.0, 60_000.0])
def test_three_digits_are_kept(seconds: float) -> None:
    assert kept(seconds) == pytest.approx(seconds, rel=2e-3)
    assert kept(kept(seconds)) == kept(seconds)
    assert struct.unpack("<e", struct.pack("<e", kept(seconds))) == (kept(seconds),)


@pytest.mark.parametrize(("seconds", "is_"), [(-1.0, 0.0), (1e9, LONGEST_S), (65_519.9, LONGEST_S)])
def test_what_cannot_be_is_kept_as_the_nearest_that_can(seconds: float, is_: float) -> None:
    assert kept(seconds) == is_


def test_the_first_landings_are_timed_and_a_few_of_all_others() -> None:
    lot = [seq for seq in range(1, 16_001) if taken(seq)]
    assert lot[:FIRST] == list(range(1, FIRST + 1))
    assert len(lot) == FIRST + 16_000 // EACH
