"""What a ceremony leaves behind cannot be changed unnoticed."""

import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.errors import ConfigError
from station.vault.ceremonies import transcript
from station.vault.ceremonies.proof import verified
from station.vault.ceremonies.transcript import Closed, Confirmed, Line, TranscriptError, parsed
from tests.station.vault.ceremonies.rooms import carried_out, planned


@pytest.fixture
def over(tmp_path: Path) -> Path:
    folder = planned(tmp_path, mode="development")
    carried_out(folder)
    return folder


def rewritten(folder: Path, lines: list[Line]) -> None:
    """Write a transcript whose chain is right, as one who knows how it is made can."""
    path = folder / "transcript"
    path.unlink()
    file = transcript.Transcript(path, new=True)
    for line in lines:
        file.add(line.what, line.at)
    file.close()


def test_every_byte_of_it_counts(over: Path) -> None:
    files = ("plan.json", "transcript", "transcript.txt", "bundle.json")
    for name in files:
        content = (over / name).read_bytes()
        for at in range(0, len(content), max(1, len(content) // 25)):
            (over / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises((TranscriptError, ConfigError)):
                verified(over)
        for shorter in (b"", content[:-1], content[: len(content) // 2]):
            (over / name).write_bytes(shorter)
            with pytest.raises((TranscriptError, ConfigError)):
                verified(over)
        (over / name).write_bytes(content)
    verified(over)


def test_no_line_can_be_left_out_or_moved(over: Path) -> None:
    """Also by one who computes the chain anew: signatures are over all that went before."""
    lines = [line for line, _ in parsed((over / "transcript").read_bytes(), "")]
    for at in range(len(lines)):
        rewritten(over, lines[:at] + lines[at + 1 :])
        with pytest.raises(TranscriptError):
            verified(over)
    for at in range(len(lines) - 1):
        rewritten(over, [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])
        with pytest.raises(TranscriptError):
            verified(over)


def test_nobody_confirms_for_another(over: Path) -> None:
    lines = [line for line, _ in parsed((over / "transcript").read_bytes(), "")]
    at = next(number for number, line in enumerate(lines) if isinstance(line.what, Confirmed))
    what = lines[at].what
    assert isinstance(what, Confirmed)
    forged = msgspec.structs.replace(what, person="emil")
    rewritten(over, [*lines[:at], msgspec.structs.replace(lines[at], what=forged)])
    with pytest.raises(TranscriptError, match="the signature of emil does not verify"):
        verified(over)


def test_a_ceremony_is_not_closed_before_its_end(over: Path) -> None:
    lines = [line for line, _ in parsed((over / "transcript").read_bytes(), "")]
    rewritten(over, [*lines[:9], msgspec.structs.replace(lines[9], what=Closed("0" * 64))])
    with pytest.raises(TranscriptError, match="is not done"):
        verified(over)


def test_the_bundle_of_another_ceremony_is_not_taken(over: Path, tmp_path: Path) -> None:
    other = planned(tmp_path / "other", mode="development")
    carried_out(other)
    shutil.copy(other / "bundle.json", over / "bundle.json")
    with pytest.raises(TranscriptError, match="not the bundle that the transcript names"):
        verified(over)


@given(st.binary(max_size=400))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_bytes_are_no_transcript(content: bytes) -> None:
    try:
        lines = [*parsed(content, "x")]
    except TranscriptError:
        return
    assert not content or content.count(b"\n") == len(lines)
