"""Messages that are lost or come twice between a station, its broker and the floor's collector."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from station.chaos.troubles import DOUBLED, LOST, Trouble
from station.remote.link import Broker, Link, Message


class Careless:
    """A broker, on the way to which messages are lost or doubled: `value` of them from `number` on."""

    def __init__(self, broker: Broker, troubles: Sequence[Trouble]) -> None:
        self._broker = broker
        self._lost, self._doubled = (set(_numbers(troubles, name)) for name in (LOST, DOUBLED))
        self._published = 0

    @asynccontextmanager
    async def link(self, name: str, will: Message | None = None) -> AsyncGenerator[Link, None]:
        """Connect; what is retained arrives as it should."""
        async with self._broker.link(name, will) as link:
            yield _Careless(link, self)

    def times(self, message: Message) -> int:
        """How often this message arrives."""
        if message.retain or not message.qos:
            return 1
        self._published += 1
        return 0 if self._published in self._lost else 1 + (self._published in self._doubled)


class _Careless:
    def __init__(self, link: Link, way: Careless) -> None:
        self._link, self._way = link, way

    async def publish(self, message: Message) -> None:
        for _ in range(self._way.times(message)):
            await self._link.publish(message)

    async def subscribe(self, *patterns: str) -> None:
        await self._link.subscribe(*patterns)

    def messages(self) -> AsyncIterator[Message]:
        return self._link.messages()


def _numbers(troubles: Sequence[Trouble], name: str) -> Iterator[int]:
    for one in troubles:
        if one.name == name:
            yield from range(one.number, one.number + int(one.value or 1))
