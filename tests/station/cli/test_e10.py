"""`hardbin e10 report` on the journal of a lot, and what it refuses."""

from pathlib import Path

import pytest
from msgspec import json

from station import events
from station.cli import code_of
from station.cli.codes import Exit
from station.custody.journal import Journal
from tests.station.figures.test_e10 import became, day, loaded


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal"
    written = Journal(path)
    written.open()
    await written.commit(*day(), events.MadeSafe(at=1000, time_to_safe_s=0.1, unverified=()))
    written.close()
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: Exit = Exit.OK) -> str:
    assert code_of(["e10", "report", *arguments]) == code
    done = capsys.readouterr()
    return done.out + done.err


def test_a_shift_is_reported(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.decode(said(capsys, str(journal), "--json"))
    assert told["figures"]["seconds"] == {"UDT": 300, "SDT": 10, "ENG": 0, "PRD": 111, "NST": 0, "SBY": 579}
    assert told["figures"]["devices"] == 8
    text = said(capsys, str(journal))
    assert "the handler has jammed" in text
    assert "UDT 5.0 min, SDT 10 s, PRD 111 s, SBY 9.7 min" in " ".join(text.split())


async def test_a_reason_with_brackets_is_shown_as_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = Journal(tmp_path / "journal")
    written.open()
    held = became(120, "HELD", "[/var/log] a[b]")
    await written.commit(loaded(0), became(0, "LOADED"), became(110, "RUNNING"), held, became(200, "RUNNING"))
    written.close()
    assert "[/var/log] a[b]" in " ".join(said(capsys, str(tmp_path / "journal")).split())


def test_a_part_of_a_shift(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spans = ("--from", "1970-01-01T00:03:00", "--to", "1970-01-01T00:10:00")
    told = json.decode(said(capsys, str(journal), *spans, "--json"))
    assert (told["intervals"][0]["start"], told["intervals"][0]["end"]) == (180, 200)
    assert sum(told["figures"]["seconds"].values()) == 420


def test_what_is_refused(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    assert "nothing in it" in said(capsys, str(empty), code=Exit.CONFIG)
    assert "is not before" in said(capsys, str(journal), "--from", "2030-01-01", code=Exit.CONFIG)
    assert "does not exist" in said(capsys, str(tmp_path / "none"), code=Exit.USAGE)


async def test_the_note_for_the_next_shift(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["e10", "shift", str(journal)]) == Exit.OK
    text = capsys.readouterr().out
    assert "L1 p: 8 good of 8" in text
    assert "UDT the handler has jammed" in text
    assert "handed over by" in text
    assert code_of(["e10", "shift", str(journal), "--json"]) == Exit.OK
    note = json.decode(capsys.readouterr().out)
    assert [one["kind"] for one in note["downs"]] == ["SDT", "UDT"]
