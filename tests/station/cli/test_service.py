"""Units of systemd: they call what there is, and stay as closed as they are."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from station.cli import code_of, hardbin
from station.cli.codes import Exit

WORST = {
    "hardbin-engine.service": 2.0,
    "hardbin-console.service": 1.5,
    "hardbin-metrics.service": 1.5,
    "hardbin-vault.service": 0.8,
}
"""The exposure that `systemd-analyze security` may find at most, of 10."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    assert code_of(["service", "files", str(tmp_path / "units")]) == Exit.OK
    assert code_of(["service", "files", str(tmp_path / "units")]) == Exit.CONFIG
    return tmp_path / "units"


def starts(path: Path) -> list[str]:
    unit = configparser.RawConfigParser(strict=False, allow_no_value=True)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(path)
    return shlex.split(unit["Service"]["ExecStart"])


def test_all_units_are_known(units: Path) -> None:
    assert {path.name for path in units.glob("*.service")} == set(WORST)


@pytest.mark.parametrize("name", [name for name in WORST if "vault" not in name])
def test_a_unit_calls_a_command_with_options_that_it_has(units: Path, name: str) -> None:
    program, *arguments = starts(units / name)
    assert program.endswith("/bin/hardbin")
    context = click.Context(hardbin, info_name="hardbin")
    found: click.Command = hardbin
    while isinstance(found, click.Group):
        word = arguments.pop(0)
        inner = found.get_command(context, word)
        assert inner is not None, word
        found = inner
    made = found.make_context(name, arguments)  # a UsageError fails the test
    assert made.args == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
@pytest.mark.parametrize("name", WORST)
def test_a_unit_is_as_closed_as_it_was(units: Path, name: str) -> None:
    threshold = str(round(WORST[name] * 10))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={threshold}"]
    done = subprocess.run([*command, str(units / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(units / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = [line for line in verified.stderr.splitlines() if name in line and "not executable" not in line]
    assert wrong == []
