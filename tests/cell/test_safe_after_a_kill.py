"""Killed with outputs on, on real wires: they stay on until the next start switches them off."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import pyvisa

from drivers.supply.channel import SupplyChannel
from station import commands, events
from station.chaos.operator import Operator
from station.chaos.points import die
from station.chaos.served import ServedLives
from station.cli import code_of
from station.custody.journal import read
from station.engine.states import State

DEVICES = 3
SIM = Path(__file__).parents[2] / "sim" / "station.toml"
MACHINES = {"handler": "hislip", "smu-1": "tcp", "fine-1": "tcp", "supply-1": "tcp"}


def one_site() -> str:
    """The simulated cell with one site and without what cannot be served: card reader, USB, vault."""
    text = SIM.read_text("utf-8").replace('"se1-final-test"', '"se1-electrical-sort"')
    text = text.replace("sites = 16", "sites = 1").partition("[vault]")[0]
    text = text.replace("USB0::0x05E6::0x2450::SIM{site}", "TCPIP0::fine-{site}::inst0")
    before, _, rest = text.partition('[[equipment]]\nname = "reader')
    text = before + rest[rest.index("[site]") :]
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("chip = "))


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """Serve the machines in a process of their own; their ports by name."""
    (folder / "served.toml").write_text(one_site())
    command = [sys.executable, "-m", "station.cli", "sim", "serve", "--json", "--devices", str(DEVICES)]
    where = ["--station", str(folder / "served.toml"), "--control", str(folder / "c")]
    wires = [f"{name}={wire}" for name, wire in MACHINES.items()]
    with subprocess.Popen([*command, *where, *wires], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield {one["name"]: one["port"] for one in json.loads(process.stdout.readline())}
        finally:
            process.send_signal(signal.SIGTERM)


def station_at(ports: dict[str, str], folder: Path) -> Path:
    """Write the station file of a cell whose machines are there."""
    text = one_site()
    for name, port in ports.items():
        before, mark, rest = text.partition(f'name = "{name.replace("-1", "-{site}")}"')
        lead, key, after = rest.partition('port = "')
        text = before + mark + lead + key + port + after[after.index('"') :]
    path = folder / "wires.toml"
    path.write_text(text)
    return path


def volts(ports: dict[str, str]) -> float:
    """What stands at VDD, asked by somebody else."""
    manager = pyvisa.ResourceManager("@py")
    try:
        supply: Any = manager.open_resource(
            ports["supply-1"].removeprefix("visa:"), read_termination="\n", write_termination="\n"
        )
        supply.timeout = 30_000
        return float(supply.query("MEAS:VOLT? (@1)"))
    finally:
        manager.close()


def killed_while_powered(arguments: Sequence[str]) -> int:
    """The command, in a station that dies when it measures the supply current of its first device."""

    async def measured(channel: SupplyChannel) -> float:
        del channel
        die()
        return 0.0

    setattr(SupplyChannel, "measure_current", measured)  # noqa: B010 - what was a method stays one
    return code_of(arguments)


class Killing(Operator):
    """Kills the station once more as soon as it has taken the lot up: its machines stay as they are."""

    station: BaseProcess
    killed = False

    def attend(self, station: BaseProcess) -> None:
        self.station = station
        super().attend(station)

    def _command(self, state: State) -> commands.Any | None:
        if state is State.PAUSED and not self.killed:
            self.killed = True
            self.station.kill()
            return None
        return super()._command(state)


@pytest.mark.timeout(300)
def test_what_was_on_is_off_and_read_back_at_the_next_start(tmp_path: Path) -> None:
    with served(tmp_path) as ports:
        first = ("--hardware", "--station", str(station_at(ports, tmp_path)))
        lives = ServedLives(killed_while_powered, tmp_path, "W", first, devices=DEVICES)
        lives.operator = Killing(lives.operator.path, lives.operator.load, dict)
        died = lives.live(lives.arguments(), None)
        assert died.code is None, died.said
        assert volts(ports) == pytest.approx(3.3, abs=0.05)
        lives.command = code_of
        again = lives.live(lives.arguments(), None)
        assert again.code is None, again.said
        assert volts(ports) == pytest.approx(0.0, abs=0.05)
        last = lives.live(lives.arguments(), None)
    assert last.code == 0, last.said
    happened: list[Any] = list(read(lives.folder / "journal"))
    states = [n for n, event in enumerate(happened) if isinstance(event, events.StateChanged)]
    safe = happened[next(n for n in states if happened[n].new == "RECOVERING") + 1]
    assert isinstance(safe, events.MadeSafe)
    assert safe.unverified == ()
    assert 0 < safe.time_to_safe_s < 2
    report = json.loads((lives.folder / "report.json").read_text())
    assert (report["state"], report["tested"], report["accounts"]) == ("CLOSED", DEVICES, {"good": DEVICES})
    assert report["time_to_safe_s"] > 0
