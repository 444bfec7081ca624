"""The layout of a station file: a later one is refused, an earlier one is read, and migrated when asked."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station import config, config_schema, config_shelf
from station.cli import code_of
from station.cli.codes import Exit
from station.config_schema import Step
from station.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "sim/station.toml"


def _keys(table: dict[str, Any]) -> dict[str, Any]:
    cell = dict(table["cell"])
    return table | {"cell": cell | {"sequence": cell.pop("program")}} if "program" in cell else table


def _text(text: str) -> str:
    return text.replace("program = ", "sequence = ")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a second layout had another name for a key."""
    monkeypatch.setattr(config_schema, "SCHEMA", 2)
    monkeypatch.setattr(config_schema, "STEPS", {1: Step("cell.program is cell.sequence", _keys, _text)})
    config_schema._told.clear()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of the first layout of the two."""
    path = tmp_path / "station.toml"
    path.write_text(SHIPPED.read_text("utf-8").replace("\nsequence = ", "\nprogram = "), "utf-8")
    return path


@pytest.mark.parametrize("number", ["2", "99"])
def test_a_later_layout_is_refused_by_its_number(tmp_path: Path, number: str) -> None:
    path = tmp_path / "station.toml"
    path.write_text(f"schema = {number}\nlater = true\n")
    with pytest.raises(ConfigError, match=f"schema {number} is of a later hardbin; this one reads up to 1"):
        config.load(path)


@pytest.mark.parametrize("value", ["0", "-1", '"1"', "true", "1.0"])
def test_what_is_no_number_of_a_layout_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "station.toml"
    path.write_text(f"schema = {value}\n")
    with pytest.raises(ConfigError, match="schema: a number from 1 to 1 is meant"):
        config.load(path)


@pytest.mark.usefixtures("two")
def test_an_earlier_layout_is_read_with_one_notice_and_stays(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = old.read_bytes()
    with caplog.at_level(logging.WARNING):
        found = [config.load(old) for _ in range(2)]
    assert config_shelf.changes(found[0], config.load(SHIPPED)) == ()
    told = [one.getMessage() for one in caplog.records if str(old) in one.getMessage()]
    assert told == [f"{old}: schema 1 is read as 2 (cell.program is cell.sequence): hardbin config migrate"]
    assert old.read_bytes() == before


@pytest.mark.usefixtures("two")
def test_a_migration_is_shown_then_written_and_the_old_file_kept(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = old.read_bytes()
    assert code_of(["config", "migrate", str(old)]) == Exit.OK
    shown = capsys.readouterr().out
    assert "-program = " in shown
    assert "+sequence = " in shown
    assert "+schema = 2" in shown
    assert old.read_bytes() == before
    assert code_of(["config", "migrate", str(old), "--write", "--json"]) == Exit.OK
    kept = old.with_name("station.toml.schema-1.old")
    assert json.decode(capsys.readouterr().out) == {"schema": 2, "changed": True, "kept": str(kept)}
    assert kept.read_bytes() == before
    assert {one.name for one in old.parent.iterdir()} == {old.name, kept.name}
    assert config_shelf.changes(config.load(old), config.load(kept)) == ()
    assert code_of(["config", "migrate", str(old), "--write"]) == Exit.OK
    assert "stays as it is" in capsys.readouterr().out


@pytest.mark.usefixtures("two")
def test_a_migration_that_would_make_another_cell_is_not_written(
    old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Step("x", _keys, lambda text: _text(text).replace("sites = ", "sites = 1 #"))
    monkeypatch.setattr(config_schema, "STEPS", {1: wrong})
    before = old.read_bytes()
    assert code_of(["config", "migrate", str(old), "--write"]) == Exit.CONFIG
    assert "another cell: cell.sites" in capsys.readouterr().err
    assert [one.name for one in old.parent.iterdir()] == [old.name]
    assert old.read_bytes() == before


def test_a_file_that_does_not_say_has_the_first_layout_and_says_so_when_migrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "station.toml"
    path.write_text(SHIPPED.read_text("utf-8").replace("schema = 1\n\n", ""), "utf-8")
    assert code_of(["config", "migrate", str(path), "--write"]) == Exit.OK
    assert path.read_text("utf-8") == SHIPPED.read_text("utf-8")
    again = tmp_path / "again.toml"
    shutil.copy(path.with_name("station.toml.schema-1.old"), again)
    shutil.copy(again, tmp_path / "again.toml.schema-1.old")
    assert code_of(["config", "migrate", str(again), "--write"]) == Exit.CONFIG
    assert "is there already" in capsys.readouterr().err


def test_an_unknown_key_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text('[station]\nname = "a"\nnumbr = 2\n')
    with pytest.raises(ConfigError, match=r"unknown field `numbr`; number\?; allowed here: name, plant"):
        config.load(path)
