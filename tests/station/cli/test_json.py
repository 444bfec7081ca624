"""Every command speaks to programs too: one object on standard output, nothing beside it."""

from pathlib import Path
from typing import Any

import click
import pytest
from msgspec import json

from station.cli import code_of, hardbin
from station.cli.codes import Exit
from tests.docs.test_references import commands

WITHOUT = {
    "collector": "serves",
    "console": "serves",
    "floor": "serves",
    "metrics serve": "serves",
    "vault run": "serves",
    "witness run": "serves",
    "monitor": "is a picture on a terminal",
    "replay": "is a picture on a terminal",
    "mqtt watch": "prints JSON anyway, a line a message",
    "mqtt schema": "prints a JSON document anyway",
    "mqtt acl": "prints a file of Mosquitto",
    "completion": "prints a script of a shell",
}
"""Commands without an object, and why."""


def _has_json(command: click.Command) -> bool:
    return any("--json" in one.opts for one in command.params)


def test_every_command_has_json_but_those_that_have_nothing_to_say_so() -> None:
    found = {path.removeprefix("hardbin "): _has_json(command) for path, command in commands(hardbin)}
    assert {path for path, has in found.items() if not has} == set(WITHOUT)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:  # noqa: ANN401 - as JSON has it
    assert code_of([*arguments, "--json"]) == Exit.OK
    return json.decode(capsys.readouterr().out)


def test_what_was_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "init", str(tmp_path)) == {"file": str(tmp_path / "station.toml")}
    files = told(capsys, "metrics", "files", str(tmp_path / "m"))["files"]
    assert sorted(files) == sorted(str(one) for one in (tmp_path / "m").iterdir())
    units = told(capsys, "service", "files", str(tmp_path / "s"))["files"]
    assert sorted(units) == sorted(str(one) for one in (tmp_path / "s").iterdir())
    made = told(capsys, "audit", "key", str(tmp_path / "log.key"), "--name", "plant.example/cell/1")
    assert made["file"] == str(tmp_path / "log.key")
    assert all(key.startswith("plant.example/cell/1+") for key in made["keys"])


def test_a_draft_and_a_key_are_named_and_a_person_reads_what_he_read_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "release"
    drafted = ("order", "draft-keys", "WO-1", "--key-set", "KS-1", "--station", "ws-07", "--out", str(out))
    assert told(capsys, *drafted) == {"file": str(out), "order": "WO-1", "key_set": "KS-1"}
    key = told(capsys, "mqtt", "key", str(tmp_path / "one.pem"), "--kid", "mes-gw#1")
    assert (key["kid"], key["roles"], len(key["ed25519"])) == ("mes-gw#1", ["host"], 64)
    assert code_of(["mqtt", "key", str(tmp_path / "two.pem"), "--kid", "mes-gw#2"]) == Exit.OK
    assert capsys.readouterr().out.startswith('[[key]]\nkid = "mes-gw#2"\n')


def test_a_refusal_is_no_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "station.toml").write_text("mine")
    assert code_of(["init", str(tmp_path), "--json"]) == Exit.CONFIG
    said = capsys.readouterr()
    assert said.out == ""
    assert "is there already" in said.err
