"""Words of the Exatron, whole, in pieces and among noise."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.protocols.exatron import LONGEST, Info, Light, Lines, Message, Mode, Other, Word, decode, sort_of

TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="$"), max_size=16)
SPOKEN: dict[Mode, st.SearchStrategy[Word | Info]] = {
    "exatron": st.sampled_from([Word.PART, Word.START]),
    "super": st.sampled_from([word for word in Word if word not in (Word.PART, Word.START)]),
    "hp": st.one_of(
        st.sampled_from([Word.PART, Word.START]), st.builds(Info, st.sampled_from(list(Light)), TEXTS)
    ),
}


@given(st.data(), st.sampled_from(get_args(Mode)))
def test_words_survive_any_segmentation(data: st.DataObject, mode: Mode) -> None:
    said = data.draw(st.lists(SPOKEN[mode]))
    rest = b"".join(word.encode() for word in said)
    lines, heard = Lines(), list[Message]()
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        heard += [decode(line, mode) for line in lines.feed(rest[:size])]
        rest = rest[size:]
    assert heard == said


@given(st.binary(max_size=200), st.sampled_from(get_args(Mode)))
def test_noise_is_never_more_than_a_line(noise: bytes, mode: Mode) -> None:
    lines = Lines()
    for line in lines.feed(noise):
        assert 0 < len(line) <= LONGEST + 1
        decode(line, mode)
    lines.feed(b"\r")
    assert [decode(line, "exatron") for line in lines.feed(b"H\r")] == [Word.PART]


def test_a_line_without_an_end_does_not_grow_for_ever() -> None:
    cut = Lines().feed(b"x" * 10 * LONGEST)
    assert len(cut) == 9
    assert {len(line) for line in cut} == {LONGEST + 1}


def test_line_feeds_and_empty_lines_are_ignored() -> None:
    assert Lines().feed(b"\r\n\nTE\nST\r\n\rRETEST\r\n") == [b"TEST", b"RETEST"]


@pytest.mark.parametrize(
    ("line", "mode"),
    [
        (b"TEST", "exatron"),
        (b"H", "super"),
        (b"$G", "exatron"),
        (b"$X", "hp"),
        (b"$GO", "hp"),
        (b"h", "exatron"),
    ],
)
def test_other_modes_are_not_mixed(line: bytes, mode: Mode) -> None:
    assert decode(line, mode) == Other(line)


def test_information_has_its_light_and_text() -> None:
    assert decode(b"$L PART DROPPED ?", "hp") == Info(Light.DROPPED, "PART DROPPED ?")
    assert decode(b"$G", "hp") == Info(Light.RUNNING)


def test_sorts_are_one_to_eight() -> None:
    assert b"".join(sort_of(number) for number in range(1, 9)) == b"12345678"
    for number in (0, 9):
        with pytest.raises(ValueError, match="1 to 8 are allowed"):
            sort_of(number)
