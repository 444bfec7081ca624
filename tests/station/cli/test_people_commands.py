"""`hardbin people` as two persons use it, at the real cost of a PIN."""

import json
import os
from pathlib import Path

import pytest

from station.cli import code_of
from station.cli.codes import Exit

PINS = {"B-E": "280164", "B-O": "730291", "B-A": "582093"}


class Shell:
    """Runs commands in one folder, with PINs from files."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._capsys = folder, capsys

    def file(self, content: str) -> str:
        path = self._folder / f"secret-{os.urandom(4).hex()}"
        path.write_text(content + "\n")
        return str(path)

    def run(self, *arguments: str, code: Exit = Exit.OK) -> str:
        found = code_of(["people", *arguments, "--folder", str(self._folder / "people")])
        said = self._capsys.readouterr()
        assert found == code, said.err
        return said.out + said.err

    def by(self, *badges: str) -> list[str]:
        given = [("--by", badge, "--pin-file", self.file(PINS[badge])) for badge in badges]
        return [word for words in given for word in words]

    def enrol(self, code: str, badge: str, expected: Exit = Exit.OK) -> str:
        pin = ("--pin-file", self.file(PINS[badge]))
        return self.run("enrol", "--badge", badge, "--code-file", self.file(code), *pin, code=expected)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def test_from_nobody_to_an_operator(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "hardbin people init" in shell.run("list", code=Exit.CONFIG)
    codes = json.loads(shell.run("init", "--name", "ws-07", "--json"))
    shell.run("init", "--name", "ws-08", code=Exit.WRONG_STATE)
    shell.enrol(codes["first engineer"], "B-E")
    shell.enrol(codes["first security officer"], "B-O")
    shell.enrol(codes["first security officer"], "B-A", Exit.DENIED)
    add = ("add", "Asha Patel", "--role", "operator")
    shell.run(*add, *shell.by("B-E"), code=Exit.USAGE)
    shell.run(*add, *shell.by("B-E", "B-E"), code=Exit.DUAL)
    made = json.loads(shell.run(*add, *shell.by("B-E", "B-O"), "--json"))
    assert "operator" in shell.enrol(made["code"], "B-A")
    shell.run("roles", "Asha Patel", "--role", "technician", *shell.by("B-O", "B-E"))
    shell.run("disable", "Asha Patel", *shell.by("B-A"), code=Exit.DENIED)
    shell.run("disable", "Asha Patel", *shell.by("B-O"))
    listed = {one["name"]: one for one in json.loads(shell.run("list", "--json"))}
    assert listed["Asha Patel"]["roles"] == ["technician"]
    assert listed["Asha Patel"]["state"] == "disabled"
    keys = tmp_path / "keys"
    keys.write_text(shell.run("key"))
    ledger = tmp_path / "people" / "ledger"
    assert code_of(["audit", "verify", str(ledger), "--key", str(keys)]) == Exit.OK
    assert "sound" in capsys.readouterr().out
