"""Devices checked by processes of their own: the same is found, in the same order."""

from pathlib import Path

import pytest

from station.errors import EvidenceError
from station.evidence import archive, device_pool
from station.evidence.device_pool import lines_of, spans_of
from station.evidence.manifest import MANIFEST
from station.evidence.verification import verified
from tests.station.evidence.lots import Lot


@pytest.fixture(name="shared")
def _shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_pool, "WORTH_A_POOL", 1)
    monkeypatch.setattr(device_pool, "TOGETHER", 1)


@pytest.mark.usefixtures("shared")
def test_workers_find_what_one_process_finds(lot: Lot, tmp_path: Path) -> None:
    one, two, three = lot.lines()
    path = lot.forged(tmp_path / "b.tar", {MANIFEST: two.replace(b"AAAA", b"AAAB", 1) + one + three + one})
    alone = verified(path, lot.trust, workers=1)
    assert alone.findings
    assert verified(path, lot.trust, workers=2) == alone
    assert verified(lot.bundle, lot.trust, workers=2).findings == ()


def lines(tmp_path: Path, content: bytes) -> list[bytes]:
    archive.write(tmp_path / "b.tar", b"", {MANIFEST: content})
    with archive.opened(tmp_path / "b.tar") as bundle:
        return [line for span in spans_of(bundle) for line in lines_of(bundle, span)]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1024])
@pytest.mark.parametrize("together", [1, 2, 128])
def test_lines_are_found_wherever_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, together: int
) -> None:
    monkeypatch.setattr(archive, "CHUNK", chunk)
    monkeypatch.setattr(device_pool, "TOGETHER", together)
    assert lines(tmp_path, b"") == []
    assert lines(tmp_path, b"a\nbb\n\nccc\n") == [b"a", b"bb", b"", b"ccc"]


def test_a_last_line_without_an_end(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="its last line has no end"):
        lines(tmp_path, b"a\nb")


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_pool, "LINE_MAX", 10)
    with pytest.raises(EvidenceError, match="a line has more than 10 bytes"):
        lines(tmp_path, b"a" * 11)
