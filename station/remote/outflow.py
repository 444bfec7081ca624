"""What waits in the outbox goes to the broker, in order; and again, until a collector has it on disk."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from station.remote.link import Link, Message
from station.remote.memory import Memory, Waiting
from station.remote.messages import Kept
from station.remote.topics import Tree
from station.writer import Writer

BATCH = 200
"""Events on their way to the broker at once."""
GZIP = "application/gzip"
AGAIN_S = 30.0
"""How long a collector has to say that it has an event, before it is sent again."""
LONGEST_S = 600.0
"""While no collector answers, the pauses double up to this."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manner:
    """How what waits is sent."""

    collected: bool = False
    """Whether events wait until a collector has them."""
    again_s: float = AGAIN_S
    retain_maps: bool = False
    """Whether the broker keeps the last map of each wafer."""


class Outflow:
    """Of one station; with a collector, the broker's word for an event is not enough."""

    def __init__(self, tree: Tree, memory: Memory, writer: Writer, manner: Manner = Manner()) -> None:
        self._tree, self._memory, self._writer = tree, memory, writer
        self.collected, self._again_s, self._retain_maps = (
            manner.collected,
            manner.again_s,
            manner.retain_maps,
        )
        self._sent = 0
        self._kept = asyncio.Event()

    async def run(self, link: Link, queued: asyncio.Event) -> None:
        """Send over a new connection until cancelled; `queued` tells that there is something."""
        self._sent = 0
        async with asyncio.TaskGroup() as group:
            group.create_task(self._drain(link, queued))
            if self.collected:
                group.create_task(self._repeat(link))

    async def _drain(self, link: Link, queued: asyncio.Event) -> None:
        while True:
            queued.clear()
            while batch := await self._writer.run(self._memory.waiting, BATCH, self._sent):
                await self._publish(link, batch)
                self._sent = batch[-1].number
                if not self.collected:
                    await self._writer.run(self._memory.delivered, self._sent)
                elif maps := [one.number for one in batch if self._is_map(one)]:
                    await self._writer.run(self._memory.taken_up, maps)
            await queued.wait()

    async def _repeat(self, link: Link) -> None:
        """Send again what no collector has had in time: it, its database or the broker may have lost it."""
        pause_s = self._again_s
        while True:
            due = self._sent
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_S)
            while batch := await self._overdue(due):
                await self._publish(link, batch)
                if not await self._had(batch[-1].number):
                    break
            else:
                pause_s = self._again_s

    async def _overdue(self, due: int) -> list[Waiting]:
        oldest = await self._writer.run(self._memory.waiting, BATCH)
        return [one for one in oldest if one.number <= due]

    async def _had(self, due: int) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._again_s):
                while True:
                    self._kept.clear()
                    if not await self._overdue(due):
                        return True
                    await self._kept.wait()
        return False

    async def _publish(self, link: Link, batch: list[Waiting]) -> None:
        async with asyncio.TaskGroup() as group:
            for one in batch:
                group.create_task(link.publish(self._message(one)))

    def _message(self, one: Waiting) -> Message:
        if self._is_map(one):
            return Message(one.topic, one.payload, retain=self._retain_maps, content_type=GZIP)
        if not self.collected:
            return Message(one.topic, one.payload)
        number = str(one.number).encode()
        return Message(one.topic, one.payload, response_topic=self._tree.kept, correlation=number)

    def _is_map(self, one: Waiting) -> bool:
        """Maps are for whoever looks, not for a collector."""
        return one.topic.startswith(self._tree.maps)

    async def kept(self, message: Message) -> None:
        """A collector says what it has."""
        try:
            found = msgspec.json.decode(message.payload, type=list[Kept])
        except msgspec.DecodeError as error:
            log.warning("%s: no list of events: %s", message.topic, error)
            return
        await self._writer.run(self._memory.kept, found)
        self._kept.set()
