"""Files that persons and machines hand over: what is good is taken, and the rest is refused in one way."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.vault.keys import sealing
from tests.crash.papers import Paper, papers

DEEP = 20_000
MESSAGE_MAX = 2_000


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory: pytest.TempPathFactory) -> list[Paper]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "MEMORY_KIB", 8)
        patch.setattr(sealing, "PASSES", 1)
        return [*papers(tmp_path_factory.mktemp("papers"))]


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases are stretched a little only: it is not what is tried here."""
    monkeypatch.setattr(sealing, "MEMORY_KIB", 8)
    monkeypatch.setattr(sealing, "PASSES", 1)


def refused_or_taken(paper: Paper, data: bytes) -> None:
    try:
        paper.read(data)
    except paper.errors as error:
        assert len(str(error)) < MESSAGE_MAX, paper.name


@st.composite
def changed(draw: st.DrawFn, good: bytes) -> bytes:
    """A paper with one piece replaced, cut out, or put in, or its end cut off; or nothing of it."""
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 8)))
    piece = draw(st.binary(max_size=24))
    return draw(st.sampled_from((good[:start] + piece + good[end:], good[:start], good + piece, piece)))


def test_each_reader_takes_what_is_good(handed_over: list[Paper]) -> None:
    for paper in handed_over:
        paper.read(paper.good)


@settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_what_is_not_taken_is_refused(handed_over: list[Paper], data: st.DataObject) -> None:
    paper = handed_over[data.draw(st.integers(0, len(handed_over) - 1))]
    refused_or_taken(paper, data.draw(changed(paper.good)))


@pytest.mark.parametrize("nest", [b"[", b'{"a":', b"a = [", b"a = {a=", b'[{"a":[', b"a.a=[["])
def test_deep_nests_are_refused(handed_over: list[Paper], nest: bytes) -> None:
    for paper in handed_over:
        refused_or_taken(paper, nest * DEEP)
        refused_or_taken(paper, nest + b"[" * DEEP)


def test_a_text_of_another_kind_is_refused(handed_over: list[Paper]) -> None:
    for paper in handed_over:
        for other in handed_over:
            refused_or_taken(paper, other.good)
