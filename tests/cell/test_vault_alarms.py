"""What the vault of a lot tells by itself is among the alarms of its cell, and can be acknowledged there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station import events
from station.between import NAME
from station.custody.journal import read
from tests.cell.lots import here

FAULTS = ("--fault", "dut.population=ideal", "--fault", "chip.cloned_keys")
WHERE = ("--console", "s", "--data", "d", "--out", "lots", "--speed", "jump", "--sites", "2")
OF_VAULT = {"vault_twin", "vault_stopped"}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Path]:
    """A station that serves, all of whose chips have the same keys."""
    command = [sys.executable, "-m", "station.cli", "serve", *WHERE, *FAULTS]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("hardbin: ready")
        yield tmp_path
        process.send_signal(signal.SIGINT)


def says(folder: Path, *arguments: str) -> str:
    said = here(*arguments, "--engine", os.path.relpath(folder / "s"))
    assert said.returncode == 0, said.stderr
    return said.stdout


def alarms(folder: Path, which: str = "list") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.decode(says(folder, "alarm", which, "--json"))
    return [one for one in found if one["code"] in OF_VAULT]


@pytest.mark.timeout(120)
def test_a_key_that_is_there_twice_is_an_alarm_of_the_cell(plant: Path) -> None:
    who = ("--by", "o1", "--role", "operator")
    says(plant, "lot", "load", "L1", "--quantity", "4", *who)
    says(plant, "lot", "start", *who)
    while {one["code"] for one in alarms(plant)} != OF_VAULT:
        pass  # the test's own time-out bounds it
    twin, stopped = sorted(alarms(plant), key=lambda one: one["code"], reverse=True)
    assert (twin["priority"], stopped["priority"]) == ("high", "high")
    assert "two dies with one key" in stopped["reason"]
    says(plant, "alarm", "ack", twin["id"], *who)
    assert [one["code"] for one in alarms(plant, "history") if one["acknowledged"]] == ["vault_twin"]
    told = [one for one in read(plant / "d" / NAME) if isinstance(one, events.VaultTold)]
    assert {one.what for one in told} >= {"spki.duplicate", "line.stopped"}
    assert not [one for one in read(plant / "lots/L1/journal") if isinstance(one, events.VaultTold)], (
        "what happens beside a lot is not in its journal"
    )
