"""The one writer of the floor's database: hears every station, keeps what it hears, and says what it has.

Whatever it loses - broker, database, its own life - stations send again what it has not said to have.
"""

import asyncio
import logging
from dataclasses import dataclass

import msgspec

from drivers.uninterrupted import heed
from station.errors import StorageError
from station.floor.keeping import Keeper, Told, acknowledged, told
from station.remote.link import AGAIN_S, Broker, Link, LinkError, Message
from station.remote.topics import VERSION, tree
from station.writer import Writer

GROUP = "hardbin"
"""Several collectors of a plant share its events: each goes to one of them."""
BATCH = 500
QUEUE = 2000
THERE_S = 5.0
"""A collector says so often that it is there."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Duty:
    """Whose events are collected, and under which name: that of the certificate."""

    plant: str
    name: str

    def __post_init__(self) -> None:
        tree(self.plant, self.name)

    @property
    def topics(self) -> tuple[str, ...]:
        """What is heard; the events shared with others of the plant, how stations stand by each."""
        root = f"{VERSION}/{self.plant}/+"
        return (f"$share/{GROUP}/{root}/evt/+", *(f"{root}/{part}" for part in ("birth", "online", "state")))


class Collector:
    """Runs on one loop until cancelled; the database is written on the thread of `writer`."""

    def __init__(self, broker: Broker, duty: Duty, keeper: Keeper, writer: Writer) -> None:
        self._broker, self._duty, self._keeper, self._writer = broker, duty, keeper, writer
        self._heard = asyncio.Queue[Told](QUEUE)
        self._link: Link | None = None
        self.listening = asyncio.Event()
        """Set while the broker has our subscriptions."""

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._keep())
            group.create_task(self._say_so())

    # -- the broker
    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                await self._once()
            except LinkError as error:
                heed()
                failures = 1 if self.listening.is_set() else failures + 1
                log.warning("broker: %s", error)
            finally:
                self._link = None
                self.listening.clear()
            await asyncio.sleep(_pause(failures))

    async def _once(self) -> None:
        async with self._broker.link(self._duty.name) as link:
            await link.subscribe(*self._duty.topics)
            self._link = link
            self.listening.set()
            async for message in link.messages():
                if (one := _read(message)) is not None:
                    await self._heard.put(one)

    # -- the database
    async def _keep(self) -> None:
        while True:
            batch = [await self._heard.get()]
            while not self._heard.empty() and len(batch) < BATCH:
                batch.append(self._heard.get_nowait())
            await self._stored(batch)
            await self._acknowledge(batch)

    async def _stored(self, batch: list[Told]) -> None:
        """Return when the database has it: what comes meanwhile waits at the stations."""
        failures = 0
        while True:
            try:
                return await self._writer.run(self._keeper.keep, batch)
            except StorageError as error:
                heed()
                failures += 1
                log.warning("database: %s", error)
            await asyncio.sleep(_pause(failures))

    async def _acknowledge(self, batch: list[Told]) -> None:
        for of, kept in acknowledged(batch).items():
            link = self._link
            try:
                if link is not None:
                    await link.publish(Message(of.kept, msgspec.json.encode(kept)))
            except LinkError as error:  # the stations send them again, and are told then
                log.warning("broker: %s", error)
                return

    async def _say_so(self) -> None:
        while True:
            try:
                connected = self.listening.is_set()
                await self._writer.run(self._keeper.there, self._duty.name, connected=connected)
            except StorageError as error:
                heed()
                log.warning("database: %s", error)
            await asyncio.sleep(THERE_S)


def _read(message: Message) -> Told | None:
    try:
        return told(message.topic, message.payload, message.correlation)
    except (ValueError, msgspec.MsgspecError) as error:
        log.warning("%s: not kept: %s", message.topic, error)
        return None


def _pause(failures: int) -> float:
    return AGAIN_S[min(failures, len(AGAIN_S)) - 1]
