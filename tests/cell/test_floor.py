"""Twenty stations, one broker, one collector, one PostgreSQL; the three in the middle are killed."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from station.chaos import postgres
from station.clock import RealClock
from station.custody.journal import read
from station.floor import schema
from station.remote.client import Client
from station.remote.link import LinkError
from station.remote.mqtt_broker import MqttBroker
from station.remote.teller import Teller
from station.remote.topics import Tree
from station.remote.trust import entry
from tests.station.floor.floors import until
from tests.station.remote.floor import keys, trusted
from tests.station.remote.mosquitto import PROGRAM, Mosquitto, mosquitto

pytestmark = [
    pytest.mark.skipif(PROGRAM is None or postgres.programs() is None, reason="no mosquitto or PostgreSQL"),
    pytest.mark.timeout(900),
]
ROOT = Path(__file__).parent.parent.parent
PLANT, COLLECTOR, CLIENT = "sim", "collector", "mes-gw"
STATIONS = 20
DEVICES = 2
AT_ONCE = 4
"""Lots under way: each has a vault of its own."""
PATIENCE_S = 600.0
NAMES = [f"ws-{number:02}" for number in range(1, STATIONS + 1)]


class Plant:
    """The floor of a test: everything that runs is a process of its own."""

    def __init__(self, folder: Path, broker: Mosquitto, server: postgres.Server) -> None:
        self.folder, self.broker, self.server = folder, broker, server
        self.database = server.database()
        self.signers = keys(f"{CLIENT}#1")
        self._collector: subprocess.Popen[str] | None = None

    def station(self, name: str) -> "subprocess.Popen[str]":
        """Start a station; it is there when it says so."""
        here = self.folder / name
        here.mkdir()
        address = self.broker.address(name)
        table = (
            f'[mqtt]\nurl = "{address.url}"\nca = "{address.ca}"\ntrust = "trust.toml"\ncollector = true\n'
        )
        table += f'cert = "{address.certificate}"\nkey = "{address.key}"\n'
        shipped = (ROOT / "sim/station.toml").read_text("utf-8").replace("sim-ft-01", name)
        (here / "station.toml").write_text(f"{shipped}\n{table}")
        (here / "trust.toml").write_text(entry(trusted(self.signers, "host")))
        return self._started(here, "serve", "--station", "station.toml", "--sites", "2", "--speed", "jump")

    def collect(self) -> None:
        """Start the collector, and wait until it listens."""
        address = self.broker.address(COLLECTOR)
        options = {"--plant": PLANT, "--name": COLLECTOR, "--database": self.database, "--mqtt": address.url}
        files = {"--ca": address.ca, "--cert": address.certificate, "--cert-key": address.key}
        given = [str(one) for pair in (options | files).items() for one in pair]
        self._collector = self._started(self.folder, "collector", *given)
        assert self._collector.stdout is not None
        assert "listens" in self._collector.stdout.readline()

    def kill_collector(self) -> None:
        """End it in the middle of what it does."""
        if self._collector is not None:
            ended(self._collector, signal.SIGKILL)
            self._collector = None

    def _started(self, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "station.cli", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HARDBIN_LOG": "json"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    # -- what is where
    def kept(self) -> set[tuple[str, str, str]]:
        """The events of lots in the floor's database; none while it is away."""
        events = schema.EVENT.c
        query = select(events.station, events.event, events.type).where(events.lot != "")
        found: list[tuple[str, str, str]] = []
        with suppress(DBAPIError), self.connected() as connection:
            found = [(row.station, row.event, row.type) for row in connection.execute(query)]
        assert len(found) == len(set(found)), "an event is there twice"
        return set(found)

    def connected(self) -> Connection:
        """The floor's database, looked at from outside."""
        url = self.database.replace("postgresql", "postgresql+psycopg", 1)
        return create_engine(url, poolclass=NullPool).connect()

    def happened(self) -> set[tuple[str, str, str]]:
        """The events of lots that stations had to tell, by their journals."""
        return {
            (name, one.id, one.told[0])
            for name in NAMES
            for teller in [Teller()]
            for number, event in enumerate(read(self.folder / name / "lots" / lot(name) / "journal"), start=1)
            for one in teller.take(number, event)
        }

    def waiting(self) -> int:
        """How many events wait at stations."""
        return sum(self._waiting(name) for name in NAMES)

    def _waiting(self, name: str) -> int:
        path = self.folder / name / "station-data/remote.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            (count,) = db.execute("SELECT count(*) FROM outbox").fetchone()
        db.close()
        return int(count)


def lot(name: str) -> str:
    return f"L-{name}"


def ended(process: "subprocess.Popen[str]", how: signal.Signals) -> None:
    process.send_signal(how)
    process.communicate(timeout=120)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    found = postgres.programs()
    assert found is not None
    (tmp_path / "broker").mkdir()
    with (
        postgres.running(found) as server,
        mosquitto(tmp_path / "broker", PLANT, CLIENT, collectors=(COLLECTOR,)) as broker,
    ):
        made = Plant(tmp_path, broker, server)
        try:
            yield made
        finally:
            made.kill_collector()


@contextmanager
def stations(plant: Plant) -> Iterator[None]:
    """All stations, ended as a service manager does it."""
    with ExitStack() as stack:
        for name in NAMES:
            stack.callback(ended, plant.station(name), signal.SIGTERM)
        yield


async def run_lot(plant: Plant, name: str) -> None:
    """Command a station through the broker, from the load to the end of its lot."""
    broker = MqttBroker(plant.broker.address(CLIENT), simulated=True)
    async with broker.link(f"{CLIENT}-{name}") as link:
        client = Client(link, Tree(PLANT, name), CLIENT, plant.signers, RealClock().unix)
        hearing = asyncio.get_running_loop().create_task(client.run())
        try:
            await client.join()
            steps: list[tuple[str, dict[str, Any]]] = [
                ("control.acquire", {}),
                ("lot.load", {"lot": lot(name), "quantity": DEVICES}),
                ("lot.start", {}),
            ]
            for command, args in steps:
                reply = await client.ask(command, args, timeout_s=PATIENCE_S)
                assert reply.ok, (name, command, reply)
            await client.until(lambda state: state.cell == "CLOSED")
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError, LinkError):
                await hearing


async def lots(plant: Plant, names: list[str]) -> None:
    """Run the lots of these stations, a few at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with turns:
            await run_lot(plant, name)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))


async def all_there(plant: Plant) -> None:
    """Wait until the database has what the journals have, and nothing waits anywhere."""
    loop = asyncio.get_running_loop()

    async def so() -> bool:
        same = await loop.run_in_executor(None, lambda: plant.kept() == plant.happened())
        return same and not plant.waiting()

    await until(so, PATIENCE_S)


async def test_twenty_stations_lose_nothing_of_what_they_tell(plant: Plant) -> None:
    plant.collect()
    with stations(plant):
        await lots(plant, NAMES[:10])
        plant.kill_collector()
        await lots(plant, NAMES[10:])
        plant.server.kill()
        plant.broker.stop()
        plant.server.start()
        plant.broker.start()
        plant.collect()
        await all_there(plant)
        with plant.connected() as connection:
            found = list(connection.execute(select(schema.LOT).order_by(text("station"))))
            cells = list(connection.execute(select(schema.STATION).order_by(text("station"))))
    wanted = [(name, lot(name), DEVICES) for name in NAMES]
    assert [(row.station, row.lot, row.tested) for row in found] == wanted
    assert all(row.outcome and row.stdf_sha256 for row in found)
    assert [(row.station, row.state["cell"]) for row in cells] == [(name, "CLOSED") for name in NAMES]
