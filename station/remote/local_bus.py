"""A broker within the process: the same interface, for stations without one, tests, and the bench."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiomqtt import Topic

from station.remote.link import Link, LinkError, Message

QUEUE = 10_000


class _LocalLink:
    """One client's place on the bus."""

    def __init__(self, bus: "LocalBus") -> None:
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self.patterns: list[str] = []
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE)

    async def publish(self, message: Message) -> None:
        await asyncio.sleep(0)
        self._bus.spread(message)

    async def subscribe(self, *patterns: str) -> None:
        self.patterns.extend(patterns)
        for message in self._bus.kept(patterns):
            self.offer(message)

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self.queue.get()) is not None:
            yield message
        raise LinkError("the bus is closed")

    def offer(self, message: Message | None) -> None:
        """Queue a message, from whichever thread; past the bound it is lost, as a broker does it."""
        with suppress(RuntimeError):  # its loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: Message | None) -> None:
        if not self.queue.full():
            self.queue.put_nowait(message)


class LocalBus:
    """Retained messages and wills as a broker has them; links may live on different loops."""

    def __init__(self) -> None:
        self._links: dict[str, _LocalLink] = {}
        self._kept: dict[str, Message] = {}
        self._up = True

    @asynccontextmanager
    async def link(self, name: str, will: Message | None = None) -> AsyncGenerator[Link, None]:
        """Join; LinkError while the bus is down. A second link of one name ends the first."""
        if not self._up:
            raise LinkError("the bus is down")
        if (before := self._links.get(name)) is not None:
            before.offer(None)
        mine = self._links[name] = _LocalLink(self)
        try:
            yield mine
        except BaseException:
            self._lost(name, mine, will)
            raise
        finally:
            if self._links.get(name) is mine:
                del self._links[name]

    def _lost(self, name: str, mine: _LocalLink, will: Message | None) -> None:
        if self._links.get(name) is mine:
            del self._links[name]
            if will is not None:
                self.spread(will)

    def spread(self, message: Message) -> None:
        """Give a message to whoever has asked for its topic, and keep it if it says so."""
        if not self._up:
            raise LinkError("the bus is down")
        if message.retain:
            self._kept[message.topic] = message
            if not message.payload:
                del self._kept[message.topic]
        topic = Topic(message.topic)
        for link in list(self._links.values()):
            if any(topic.matches(pattern) for pattern in link.patterns):
                link.offer(message)

    def kept(self, patterns: tuple[str, ...]) -> list[Message]:
        """Return the retained messages of these topics."""
        return [
            message
            for topic, message in self._kept.items()
            if any(Topic(topic).matches(pattern) for pattern in patterns)
        ]

    def stop(self) -> None:
        """Go away, as a broker does that is killed; what was retained is lost with it."""
        self._up = False
        self._kept.clear()
        for link in self._links.values():
            link.offer(None)

    def start(self) -> None:
        """Be there again."""
        self._up = True
