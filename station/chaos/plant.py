"""The floor beside a served cell of a campaign: a broker, a collector, a database, and what they have then.

While the lot runs its station has a broker that may die, and no collector: its events wait. The day after the
station comes up again with nothing to do, a collector takes what waits, and again one or the other is lost.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from station import commands
from station import config as station_config
from station.chaos.delivery import Careless
from station.chaos.plant_database import keeping
from station.chaos.troubles import PLANT, Trouble
from station.clock import RealClock
from station.custody.journal import read
from station.engine.states import State
from station.errors import StorageError
from station.floor.collector import Collector, Duty
from station.floor.keeping import Keeper
from station.floor.schema import EVENT
from station.open_lot import JOURNAL
from station.remote import own_broker, trust
from station.remote.client import ClientSigner
from station.remote.link import Broker
from station.remote.local_bus import LocalBus
from station.remote.memory import Memory
from station.remote.messages import utc
from station.remote.mqtt_broker import Address, MqttBroker
from station.remote.outflow import Manner
from station.remote.presence import AUDIT, MEMORY, About, Inside, Settings, present
from station.remote.teller import Teller
from station.remote.topics import Tree
from station.remote.trust import TrustedKey
from station.writer import Writer

COLLECTOR, CLIENT = "collector", "chaos#1"
TRUST, STATION = "trust.toml", "station.toml"
AGAIN_S = 0.05
LOOKED_S = 0.01
BOUND_S = 60.0
"""So long may it take until nothing waits any more; it takes less than a second."""


@dataclass(frozen=True)
class Plant:
    """What is around one station, in a folder beside the lot's; nothing of it outlives the block."""

    out: Path
    """Where lots and the station's own data are."""
    plain: Path
    """The station file without a network."""

    @property
    def folder(self) -> Path:
        return self.out / PLANT

    def __enter__(self) -> "Plant":
        """Have a broker, if Mosquitto is installed."""
        self.folder.mkdir()
        public = ClientSigner(CLIENT, Ed25519PrivateKey.generate()).public().hex()
        (self.folder / TRUST).write_text(trust.entry(TrustedKey(CLIENT, frozenset({"host"}), public)))
        text = self.plain.read_text()
        if own_broker.PROGRAM is not None:
            url = own_broker.made(self.folder)
            text += f'\n[mqtt]\nurl = "{url}"\ntrust = "{TRUST}"\ncollector = true\n'
        (self.folder / STATION).write_text(text)
        return self

    def __exit__(self, *_: object) -> None:
        own_broker.killed(self.folder)
        for left in (*self.folder.iterdir(), *self.out.glob(f"{MEMORY}*"), *self.out.glob(f"{AUDIT}*")):
            left.unlink()
        self.folder.rmdir()

    @property
    def station(self) -> Path:
        """The station file."""
        return self.folder / STATION

    def wrong_with(self, lot: Path, troubles: Sequence[Trouble]) -> Iterator[str]:
        """Have the day after, and say what is wrong with what the floor knows of a lot then."""
        journal = (lot / JOURNAL).absolute()
        self._bring_up(journal)
        with _unheard(), keeping(self.folder, troubles) as (engine, keeper):
            try:
                asyncio.run(self._collected(keeper, troubles))
            except TimeoutError:
                yield f"{self._waiting()} events still wait at the station after {BOUND_S:g} s"
            with engine.connect() as connection:
                columns = EVENT.c.event, EVENT.c.time, EVENT.c.type
                rows = connection.execute(select(*columns).where(EVENT.c.lot == lot.name))
                kept = Counter((str(row.event), str(row.time), str(row.type)) for row in rows)
        expected = Counter(_told(journal, lot.name))
        if kept != expected:
            yield f"the floor lacks {list(expected - kept)} and has {list(kept - expected)} too many"

    def _bring_up(self, journal: Path) -> None:
        if own_broker.PROGRAM is not None:
            own_broker.started(self.folder)
            return
        memory = Memory(self.out / MEMORY)  # the station was on no network: it tells all of it now
        memory.open()
        memory.put((), str(journal), 0)
        memory.close()

    async def _collected(self, keeper: Keeper, troubles: Sequence[Trouble]) -> None:
        config = station_config.load(self.station)
        broker: Broker = LocalBus()
        if config.mqtt.url:
            broker = MqttBroker(Address(config.mqtt.url), simulated=True)
        tree = Tree(config.station.plant, config.station.name)
        keys = trust.load(self.folder / TRUST)
        about = About("", "", "", (), "")
        settings = Settings(tree, keys, self.out, about, manner=Manner(collected=True, again_s=AGAIN_S))
        inside = Inside(_refused, lambda: State.EMPTY, RealClock().unix)
        careless = Careless(broker, troubles)
        async with (
            asyncio.timeout(BOUND_S),
            _collecting(careless, tree.plant, keeper),
            present(settings, careless, inside),
        ):
            while self._waiting():  # noqa: ASYNC110 - memory is a file, and rings no bell
                await asyncio.sleep(LOOKED_S)

    def _waiting(self) -> int:
        with closing(sqlite3.connect(self.out / MEMORY)) as memory:
            return int(memory.execute("SELECT count(*) FROM outbox").fetchone()[0])


@contextmanager
def _unheard() -> Iterator[None]:
    """Connections are lost on purpose: none is told on stderr, but all that feeds the log has it."""
    last = logging.lastResort or logging.NullHandler()
    last.addFilter(_of_others)
    try:
        yield
    finally:
        last.removeFilter(_of_others)


def _of_others(record: logging.LogRecord) -> bool:
    return not record.name.startswith("station.")


@asynccontextmanager
async def _collecting(broker: Broker, plant: str, keeper: Keeper) -> AsyncGenerator[None, None]:
    writer = Writer("floor")
    collector = Collector(broker, Duty(plant, COLLECTOR), keeper, writer)
    running = asyncio.get_running_loop().create_task(collector.run())
    try:
        await collector.listening.wait()
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        writer.close()


async def _refused(command: commands.Any) -> commands.Receipt:
    return commands.Receipt(False, "wrong_state", f"{command.id}: there is no cell")


def _told(journal: Path, lot: str) -> Iterator[tuple[str, str, str]]:
    """What the floor must know of a lot: each event by its line in the journal."""
    teller = Teller()
    with suppress(OSError, StorageError, msgspec.MsgspecError):
        for number, event in enumerate(read(journal), start=1):
            for one in teller.take(number, event):
                yield one.id, utc(one.at), one.told[0]
