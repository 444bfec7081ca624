"""Units of systemd: they call what there is, and stay as closed as they are."""

import configparser
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from station.cli import code_of, hardbin
from station.cli.codes import Exit
from station.cli.console import console

WORST = {
    "hardbin-engine.service": 2.0,
    "hardbin-console.service": 1.5,
    "hardbin-metrics.service": 1.5,
    "hardbin-vault.service": 0.8,
    "hardbin-collector.service": 1.6,
    "hardbin-floor.service": 1.5,
    "hardbin-audit.service": 0.8,
    "hardbin-kiosk.service": 4.5,
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


@pytest.mark.parametrize("name", [name for name in WORST if "vault" not in name and "kiosk" not in name])
def test_a_unit_calls_a_command_with_options_that_it_has(
    units: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDBIN_MQTT", "mqtts://broker")  # as the units' EnvironmentFile has it
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


def test_the_kiosk_opens_the_console_and_nothing_else(units: Path) -> None:
    program, *arguments = starts(units / "hardbin-kiosk.service")
    assert program == "/usr/bin/cage"
    assert {"--kiosk", "--incognito", "--disable-background-networking"} <= set(arguments)
    policy = json.loads((units / "hardbin-kiosk.json").read_bytes())
    assert policy["URLBlocklist"] == ["*"]
    assert [one + "/" for one in policy["URLAllowlist"]] == [arguments[-1]]
    port = next(one for one in console.params if one.name == "port").default
    assert arguments[-1] == f"http://127.0.0.1:{port}/"
    assert policy["DeveloperToolsAvailability"] == 2
