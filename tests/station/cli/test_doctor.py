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


def test_what_can_be_undone_is_put_right_when_asked_and_not_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = (Path(__file__).parents[3] / "sim/station.toml").read_text("utf-8")
    station, key, data = tmp_path / "station.toml", tmp_path / "mqtt.key", tmp_path / "data"
    station.write_text(f'{shipped}\n[mqtt]\nkey = "mqtt.key"\n', "utf-8")
    key.write_text("a key")
    key.chmod(0o644)
    data.mkdir()
    data.chmod(0o755)
    lots = tmp_path / "lots"
    asked = ["doctor", "--out", str(lots), "--data", str(data), "--station", str(station), "--json"]

    def told(*more: str) -> dict[str, dict[str, str]]:
        code_of([*asked, *more])
        found = json.decode(capsys.readouterr().out)
        return {one["name"]: one for one in found if one["name"] in ("lots", "data", "key")}

    first = told()
    assert {one["health"] for one in first.values()} == {"warning"}
    assert first["key"]["advice"].endswith(f"--fix: chmod 0640 {key}")
    assert not lots.exists()
    assert (key.stat().st_mode & 0o777, data.stat().st_mode & 0o777) == (0o644, 0o755)
    fixed = told("--fix")
    assert {name: one["health"] for name, one in fixed.items()} == dict.fromkeys(
        ("lots", "data", "key"), "ok"
    )
    assert fixed["key"]["found"] == f"chmod 0640 {key} (undone by chmod 0644 {key})"
    assert (key.stat().st_mode & 0o777, data.stat().st_mode & 0o777) == (0o640, 0o750)
    assert key.read_text() == "a key"
    assert list(lots.iterdir()) == []
    assert told() == {}


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
