"""`hardbin doctor`, `version` and `completion`: what they find, and what a shell makes of it."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from msgspec import json

from station import doctor
from station.cli import code_of
from station.cli.codes import Exit


def findings(
    out: Path, capsys: pytest.CaptureFixture[str], code: Exit = Exit.OK
) -> dict[str, dict[str, str]]:
    assert code_of(["doctor", "--out", str(out), "--json"]) == code
    return {one["name"]: one for one in json.decode(capsys.readouterr().out)}


def test_a_machine_that_runs_the_tests_is_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(tmp_path / "not" / "yet", capsys)
    needed = ("python", "cryptography", "drivers", "sequences")
    assert {found[name]["health"] for name in needed} == {"ok"}
    assert set(found) >= {"disk", "commits", "clock", "memory", "visa", "usb", "serial"}
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_what_is_missing_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def old() -> object:
        raise UnsupportedAlgorithm("old OpenSSL")

    broken = EntryPoint("mine", "no_such_module:Driver", "hardbin.drivers")
    monkeypatch.setitem(doctor.KEYS, "ML-KEM-768", old)
    monkeypatch.setattr(doctor, "entry_points", lambda group: [broken] if group.endswith("drivers") else [])
    monkeypatch.setattr(doctor, "LEAST_FREE", 2**80)
    monkeypatch.setattr(doctor, "SLOWEST_S", -1.0)
    found = findings(tmp_path, capsys, Exit.CONFIG)
    assert (found["cryptography"]["health"], found["cryptography"]["found"]) == ("bad", "no ML-KEM-768")
    assert found["drivers"]["health"] == "bad"
    assert "mine: No module named 'no_such_module'" in found["drivers"]["found"]
    assert (found["disk"]["health"], found["commits"]["health"]) == ("warning", "warning")
    assert all(one["advice"] for one in found.values() if one["health"] != "ok")


def test_a_person_reads_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code_of(["doctor", "--out", str(tmp_path)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "->" not in line]
    assert all(line.startswith(("ok  ", "WARN", "BAD ")) for line in lines)


def test_version_names_plug_ins_by_their_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["version", "--json"]) == Exit.OK
    told = json.decode(capsys.readouterr().out)
    (package,) = told["drivers"]
    assert package == f"hardbin {told['hardbin']}"
    assert "ccid" in told["drivers"][package]
    assert code_of(["version"]) == Exit.OK
    assert f"drivers of {package}:" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["completion", shell]) == Exit.OK
    assert "_HARDBIN_COMPLETE" in capsys.readouterr().out


def test_a_shell_is_told_what_could_follow() -> None:
    asked = {"_HARDBIN_COMPLETE": "bash_complete", "COMP_WORDS": "hardbin evid", "COMP_CWORD": "1"}
    command = [str(Path(sys.executable).with_name("hardbin"))]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout == "plain,evidence\n", done.stderr
