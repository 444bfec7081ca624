import math

import pytest

from drivers.protocols.waveform import BYTE, WORD, Preamble, written

REFERENCE = "+0,+0,+4,+1,+1.0E-09,+0.0E+00,+0,+3.90625E-02,+0.0E+00,+128"


def test_preamble_is_read_and_written() -> None:
    preamble = Preamble.decode(REFERENCE)
    assert preamble.encode() == REFERENCE
    assert (preamble.format, preamble.points, preamble.start_s) == (BYTE, 4, 0.0)


def test_samples_are_volts() -> None:
    volts = Preamble.decode(REFERENCE).volts(bytes.fromhex("80 81 7F 80"))
    assert volts == (0.0, 0.0390625, -0.0390625, 0.0)


def test_ends_of_the_scale_are_no_levels() -> None:
    hole, below, above, middle = Preamble.decode(REFERENCE).volts(bytes([0, 1, 255, 128]))
    assert math.isnan(hole)
    assert (below, above, middle) == (-math.inf, math.inf, 0.0)


def test_words_come_with_the_high_byte_first() -> None:
    words = Preamble(WORD, 2, 1e-9, 0.0, 0, 1e-3, 0.5, 32768)
    assert list(words.volts(b"\x80\x01\x00\x01")) == pytest.approx([0.501, -math.inf])


@pytest.mark.parametrize("text", ["", "1,2,3", REFERENCE.replace("+0,+0,", "+4,+0,", 1), "a" + REFERENCE])
def test_what_is_no_preamble_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is n"):
        Preamble.decode(text)


def test_record_must_be_as_long_as_announced() -> None:
    with pytest.raises(ValueError, match="3 bytes for 4 samples of 1"):
        Preamble.decode(REFERENCE).volts(b"abc")


def test_reference_shifts_the_first_sample() -> None:
    assert Preamble(BYTE, 1, 1e-3, 0.0, 2, 1.0, 0.0, 128).start_s == pytest.approx(-2e-3)


def test_numbers_are_written_with_the_digits_that_they_have() -> None:
    assert [written(value) for value in (0.0, 1e-9, -1.5, 123456.0)] == [
        "+0.0E+00",
        "+1.0E-09",
        "-1.5E+00",
        "+1.23456E+05",
    ]
