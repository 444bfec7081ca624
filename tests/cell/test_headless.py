"""A lot start to end by MQTT alone: the station a process, the client a shell script, a Mosquitto between."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station import events
from station.custody.journal import read
from station.evidence.bundle import BUNDLE
from tests.cell.lots import hardbin
from tests.station.remote.mosquitto import PROGRAM, Mosquitto, mosquitto

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no mosquitto is installed"),
    pytest.mark.timeout(300),
]
PAGE = Path(__file__).parent.parent.parent / "docs/how-to/run-a-lot-without-a-console.md"
SCRIPT = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[0]
STATION = "sim-ft-01"
COMMANDS = (events.CommandAccepted, events.CommandRefused)


class Plant:
    """A broker, a station on it, and a shell that commands it."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder = folder
        self._broker = broker
        tools = folder / "bin"
        tools.mkdir()
        (tools / "hardbin").write_text(f'#!/bin/sh\nexec {sys.executable} -m station.cli "$@"\n')
        (tools / "hardbin").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parent.parent.parent),
            **broker.options("mes-gw"),
        }
        made = self.sh("hardbin mqtt key gateway.pem --kid mes-gw#1 > trust.toml")
        assert made.returncode == 0, made.stderr
        self._write_station_file()

    def _write_station_file(self) -> None:
        shipped = (Path(__file__).parent.parent.parent / "sim/station.toml").read_text("utf-8")
        address = self._broker.address(STATION)
        table = f'[mqtt]\nurl = "{address.url}"\nca = "{address.ca}"\ntrust = "trust.toml"\n'
        table += f'cert = "{address.certificate}"\nkey = "{address.key}"\n'
        (self.folder / "station.toml").write_text(f"{shipped}\n{table}")

    def sh(self, script: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a shell script in the folder."""
        return subprocess.run(
            ["sh", "-c", script],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    @contextmanager
    def watching(self) -> Iterator["subprocess.Popen[str]"]:
        """See what the station says."""
        process = subprocess.Popen(
            [sys.executable, "-m", "station.cli", "mqtt", "watch", "--at", f"sim/{STATION}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=60)

    @contextmanager
    def serving(self, *options: str) -> Iterator["subprocess.Popen[str]"]:
        """Have the station serve; SIGTERM ends it."""
        arguments = ["--station", "station.toml", "--speed", "jump", "--sites", "4", "--json", *options]
        process = subprocess.Popen(
            [sys.executable, "-m", "station.cli", "serve", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        try:
            assert "ONLINE" in process.stderr.readline()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    """A plant of its own."""
    (tmp_path / "broker").mkdir()
    (tmp_path / "plant").mkdir()
    with mosquitto(tmp_path / "broker", "sim", "mes-gw") as broker:
        yield Plant(tmp_path / "plant", broker)


def until(watch: "subprocess.Popen[str]", wanted: Callable[[Any], bool]) -> Any:
    """Return the first message that is wanted."""
    assert watch.stdout is not None
    return next(one for line in watch.stdout if wanted(one := json.decode(line)))


def script(lot: str, devices: int) -> str:
    """The script of the how-to, for this broker and lot."""
    lines = [line for line in SCRIPT.splitlines() if "HARDBIN_MQTT" not in line]
    text = "\n".join(["export HARDBIN_AT=sim/sim-ft-01", *lines])
    return text.replace("L1017", lot).replace("quantity=64", f"quantity={devices}")


def history(folder: Path) -> list[Any]:
    """What happened in a lot, but for who asked for it and where the files are."""
    return [event for event in read(folder / "journal") if not isinstance(event, COMMANDS)]


def test_a_shell_script_runs_lots_and_the_journal_is_that_of_any_other_run(plant: Plant) -> None:
    with plant.serving() as process:
        ran = plant.sh(script("T1", 12))
        assert ran.returncode == 0, ran.stderr
        again = plant.sh(script("T2", 4))
        assert again.returncode == 0, again.stderr
        assert process.stdout is not None
        reports = [json.decode(process.stdout.readline()) for _ in range(2)]
    assert [(one["lot"], one["state"], one["truth"]["escapes"]) for one in reports] == [
        ("T1", "CLOSED", []),
        ("T2", "CLOSED", []),
    ]
    assert (plant.folder / "lots/T1" / BUNDLE).exists()
    options = ("--devices", "12", "--sites", "4", "--lot", "T1", "--out", str(plant.folder / "run"))
    assert hardbin("run", *options).returncode == 0
    remote, local = (history(plant.folder / where / "T1") for where in ("lots", "run"))
    assert [type(event) for event in remote] == [type(event) for event in local]
    results = [[e.outcomes for e in one if isinstance(e, events.ContactsClosed)] for one in (remote, local)]
    assert [[(o.part, o.soft) for o in landing] for landing in results[0]] == [
        [(o.part, o.soft) for o in landing] for landing in results[1]
    ]
    asked = [event for event in read(plant.folder / "lots/T1/journal") if isinstance(event, COMMANDS)]
    assert {(event.actor, event.source, event.roles) for event in asked} == {("mes-gw#1", "mqtt", ("host",))}


def test_a_single_run_is_on_the_network_while_it_lasts(plant: Plant) -> None:
    with plant.watching() as watch:
        ran = plant.sh(
            f"{sys.executable} -m station.cli run --station station.toml --mqtt --lot R1 --devices 4 --json"
        )
        assert ran.returncode == 0, ran.stderr
        assert "hardbin/v1/sim/sim-ft-01, epoch 1, ONLINE-REMOTE" in ran.stderr
        until(watch, lambda one: one["topic"].endswith("birth"))
        until(watch, lambda one: one["topic"].endswith("lot.started"))
        closed = until(watch, lambda one: one["topic"].endswith("lot.completed"))
        until(watch, lambda one: one["topic"].endswith("datalog.closed"))
        until(watch, lambda one: one["topic"].endswith("online") and not one["payload"]["online"])
    assert (closed["payload"]["data"]["lot"], closed["payload"]["data"]["outcome"]) == ("R1", "PASSED")


def test_a_lot_is_paused_resumed_and_ended_from_afar_and_wrong_moments_are_refused(plant: Plant) -> None:
    steps = """set -eu
    export HARDBIN_AT=sim/sim-ft-01 HARDBIN_KID=mes-gw#1 HARDBIN_SIGN=gateway.pem
    code() {
        expected=$1; shift; set +e; "$@" >/dev/null 2>&1; got=$?; set -e; [ $got = $expected ] || exit 99
    }
    code 5 hardbin mqtt send lot.load lot=T1 quantity=4
    HARDBIN_LEASE=$(hardbin mqtt send control.acquire --timeout 60); export HARDBIN_LEASE
    code 2 hardbin mqtt send lot.load lot=../T1 quantity=4
    code 8 hardbin mqtt send lot.start
    hardbin mqtt send lot.load lot=T1 quantity=400 --id load-1
    hardbin mqtt send lot.load lot=T1 quantity=400 --id load-1
    code 7 hardbin mqtt send lot.load lot=T2 quantity=400 --id load-1
    hardbin mqtt send lot.start
    hardbin mqtt wait RUNNING --lot T1
    hardbin mqtt send lot.pause --reason lunch
    hardbin mqtt wait PAUSED
    hardbin mqtt send lot.resume
    hardbin mqtt wait RUNNING
    hardbin mqtt send lot.abort --reason enough
    hardbin mqtt wait ABORTED
    code 12 hardbin mqtt wait CLOSED --lot T1
    code 8 hardbin mqtt send lot.load lot=T3 quantity=4
    code 9 hardbin mqtt wait EMPTY --lot another --timeout 0.5
    """
    with plant.serving():
        ran = plant.sh(steps)
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
    happened = list(read(plant.folder / "lots/T1/journal"))
    accepted = [event.command for event in happened if isinstance(event, events.CommandAccepted)]
    assert accepted == ["lot.load", "lot.start", "lot.pause", "lot.resume", "lot.abort"]
    audit = [event for event in read(plant.folder / "station-data/audit") if isinstance(event, COMMANDS)]
    refused = [event.code for event in audit if isinstance(event, events.CommandRefused)]
    assert refused == ["no_lease", "bad_arguments", "wrong_state", "replayed", "wrong_state"]


def stands(one: Any) -> bool:
    """Whether a lot that was taken up waits for somebody: one whose bins are in doubt for a technician."""
    return one["payload"]["cell"] in ("PAUSED", "ABORTED")


END = """set -eu
export HARDBIN_AT=sim/sim-ft-01 HARDBIN_KID=mes-gw#1 HARDBIN_SIGN=gateway.pem
HARDBIN_LEASE=$(hardbin mqtt send control.acquire --timeout 60); export HARDBIN_LEASE
hardbin mqtt send lot.resume
hardbin mqtt wait RUNNING --lot T1
hardbin mqtt send lot.end
hardbin mqtt wait CLOSED --lot T1
"""


def test_a_station_that_dies_is_told_of_by_its_will_and_goes_on(plant: Plant) -> None:
    """Killed in mid-lot: the broker says so; the next start is another epoch, takes the lot up, and waits."""
    begin = """set -eu
    export HARDBIN_AT=sim/sim-ft-01 HARDBIN_KID=mes-gw#1 HARDBIN_SIGN=gateway.pem
    HARDBIN_LEASE=$(hardbin mqtt send control.acquire --timeout 60); export HARDBIN_LEASE
    hardbin mqtt send lot.load lot=T1 quantity=400
    hardbin mqtt send lot.start
    hardbin mqtt wait RUNNING --lot T1
    """
    with plant.watching() as watch:
        with plant.serving() as process:
            ran = plant.sh(begin)
            assert ran.returncode == 0, ran.stderr
            process.kill()
            process.wait()
            until(watch, lambda one: one["topic"].endswith("online") and not one["payload"]["online"])
        with plant.serving():
            birth = until(watch, lambda one: one["topic"].endswith("birth"))
            assert birth["payload"]["epoch"] == 2
            state = until(watch, lambda one: one["topic"].endswith("state") and stands(one))
            assert state["payload"]["lease"] is None
            if state["payload"]["cell"] == "PAUSED":
                ended = plant.sh(END)
                assert ended.returncode == 0, ended.stderr
                closed = until(watch, lambda one: one["topic"].endswith("lot.completed"))
                assert sum(closed["payload"]["data"]["accounts"].values()) == 400
