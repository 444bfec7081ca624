"""`hardbin init` makes stations that run, and `hardbin replay` shows again what they did."""

from pathlib import Path

import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.cli.init import PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_a_new_station_is_sound_and_is_never_overwritten(
    profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert code_of(["init", str(folder), "--profile", profile]) == Exit.OK
    assert code_of(["check", "--station", str(folder / "station.toml")]) == Exit.OK
    assert code_of(["init", str(folder)]) == Exit.CONFIG
    assert "is there already" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert code_of(["init", str(file / "new")]) == Exit.CONFIG
    assert capsys.readouterr().err == f"hardbin: {file / 'new'}: Not a directory\n"


def test_its_lot_is_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["init", str(tmp_path), "--profile", "final-test"]) == Exit.OK
    run = ["run", "--station", str(tmp_path / "station.toml"), "--devices", "8", "--sites", "4", "--lot", "B"]
    assert code_of([*run, "--seed", "2", "--out", str(tmp_path)]) == Exit.OK
    seen = [line for line in capsys.readouterr().out.splitlines() if line[2:3] == ":"]
    assert code_of(["replay", str(tmp_path / "B")]) == Exit.OK
    *again, last = capsys.readouterr().out.splitlines()
    assert again == seen
    assert last == "B CLOSED: 8 good of 8"
    assert code_of(["replay", str(tmp_path)]) == Exit.CONFIG


def test_a_damaged_journal_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = tmp_path / "journal"
    journal.write_bytes(b"0" * 32 + b" {}\n")
    assert code_of(["replay", str(tmp_path)]) == Exit.INTEGRITY
    told = f"journal {journal}: line 1 does not follow from the line before it"
    assert told in capsys.readouterr().err
