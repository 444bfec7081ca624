"""Files that persons and machines hand over: what is good is taken, and the rest is refused in one way."""

from random import Random

import pytest

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


def changed(good: bytes, at: int, cut: int, piece: bytes, how: int) -> bytes:
    """A paper with one piece replaced, cut out, or put in, or its end cut off; or nothing of it."""
    start = at % (len(good) + 1)
    return (good[:start] + piece + good[start + cut :], good[:start], good + piece, piece)[how]


def test_each_reader_takes_what_is_good(handed_over: list[Paper]) -> None:
    for paper in handed_over:
        paper.read(paper.good)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_not_taken_is_refused(handed_over: list[Paper], seed: int) -> None:
    """Drawn by number: the papers have other keys and paths in each run, which hypothesis does not bear."""
    random = Random(seed)  # noqa: S311 - places and pieces
    for paper in handed_over:
        for _ in range(12):
            piece = random.randbytes(random.randrange(25))
            at, cut, how = random.randrange(1 << 20), random.randrange(9), random.randrange(4)
            refused_or_taken(paper, changed(paper.good, at, cut, piece, how))


@pytest.mark.parametrize("nest", [b"[", b'{"a":', b"a = [", b"a = {a=", b'[{"a":[', b"a.a=[["])
def test_deep_nests_are_refused(handed_over: list[Paper], nest: bytes) -> None:
    for paper in handed_over:
        refused_or_taken(paper, nest * DEEP)
        refused_or_taken(paper, nest + b"[" * DEEP)


def test_a_text_of_another_kind_is_refused(handed_over: list[Paper]) -> None:
    for paper in handed_over:
        for other in handed_over:
            refused_or_taken(paper, other.good)
