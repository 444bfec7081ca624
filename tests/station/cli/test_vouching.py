"""Whose word counts at a machine: with accounts nobody's; without any it is said that it was believed."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from station import commands
from station.cell_record import ENDING
from station.chaos.schedule import PLAIN, station_file
from station.cli import code_of, recovery
from station.cli.codes import Exit
from station.custody.journal import read
from station.people.people import people
from station.people.pins import Cost
from station.vault.desk.roles import Role

PIN = "280164"


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Path]:
    """A station with an engineer and two officers."""
    folder = tmp_path / "people"
    with people(folder, "ws-07", lambda: 1_800_000_000.0, Cost.LOW) as inside:
        codes = inside.found()
        inside.enrol(codes["first engineer"], "B-E", PIN)
        inside.enrol(codes["first security officer"], "B-S", PIN)
        both = (inside.proof("B-E", PIN), inside.proof("B-S", PIN))
        inside.enrol(inside.add("Otto", frozenset({Role.OFFICER}), both), "B-T", PIN)
    yield folder


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    file = tmp_path / "pin"
    file.write_text(PIN)
    return file


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A station file with a probe card."""
    file = station_file(PLAIN, tmp_path)
    card = '\n[[asset]]\nname = "card-7"\nkind = "contactor"\nwarning = 90\nlimit = 100\n'
    file.write_text(file.read_text() + card)
    return file


def reset(station: Path, *by: str) -> int:
    what = ("asset", "reset-counter", "card-7", "--station", str(station), "--out", str(station.parent))
    return code_of([*what, "--reason", "new pins", *by])


def test_a_counter_is_reset_by_whoever_may(
    station: Path, accounts: Path, pin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--people", str(accounts), "--pin-file", str(pin))
    assert reset(station, "--by", "B-S", *at) == Exit.DENIED
    assert "machine.vouch is for engineer, technician; this is security-officer" in capsys.readouterr().err
    assert reset(station, "--by", "B-X", *at) == Exit.DENIED
    assert not list(station.parent.glob(f"*{ENDING}"))
    assert reset(station, "--by", "B-E", *at) == Exit.OK
    (record,) = station.parent.glob(f"*{ENDING}")
    (told,) = read(record)
    assert str(told).count("counter reset: new pins") == 1
    assert "B-E" not in str(told)  # the person, not the badge


def test_without_accounts_a_name_is_a_name(station: Path, tmp_path: Path) -> None:
    at = ("--people", str(tmp_path / "nobody"))
    assert reset(station, "--by", " ", *at) == Exit.USAGE
    assert reset(station, "--by", "Mia", *at) == Exit.OK


# -- whoever has looked at a stopped cell
@click.command()
@click.option("--hardware", is_flag=True)
@recovery.options
def looked(*, recover: commands.Recover | None, hardware: bool) -> commands.Recover | None:
    """Return what was said."""
    del hardware
    return recover


def says(*words: str) -> commands.Recover | None:
    found: commands.Recover | None = looked.main(list(words), standalone_mode=False)
    return found


def test_who_has_looked_logs_in(accounts: Path, pin: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(PIN)
    at = ("--people", str(accounts), "--reason", "counted", "--pin-file", str(pin), "--pin-file", str(other))
    found = says("--by", "B-S", "--second", "B-T", *at)
    assert found is not None
    officer = frozenset({"security-officer"})
    assert (found.roles, found.second_roles) == (officer, officer)
    assert found.actor != found.second
    with pytest.raises(click.UsageError, match="have their own"):
        says("--by", "B-S", "--by-role", "security-officer", *at)
    pin.write_text("999999")
    refused: object = says("--by", "B-S", *at)
    assert refused == Exit.DENIED


def test_a_word_is_believed_where_nobody_logs_in_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--people", str(tmp_path / "nobody"), "--reason", "jam cleared")
    found = says("--by", "asha", *at)
    assert found is not None
    assert found.roles == frozenset({"technician"})
    assert "asha by their word" in capsys.readouterr().err
    assert says("--by", "asha", "--by-role", "security-officer", *at) is not None
    with pytest.raises(click.UsageError, match="an officer logs in"):
        says("--by", "asha", "--by-role", "security-officer", "--hardware", *at)
    with pytest.raises(click.UsageError, match="say --by whom"):
        says("--reason", "x")
    assert says() is None
