"""`hardbin bench handshake`: what a handler's handshake costs, beside its lines alone over the same port."""

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from statistics import median
from time import perf_counter, process_time
from typing import Any, TypeVar

from drivers.protocols.binon import BinLine, Profile, SitesReply
from drivers.roles.feeder import Touchdown
from drivers.transports import Conversation, Port, Read, ReadStatus, Reply, Step, Write

T = TypeVar("T")
PROFILE = Profile(clear_at_connect=False)
READY = PROFILE.ready_stb[0]
GOOD = 1


class HandlerEnd(Port):
    """A handler that answers at once and has parts in contact again as soon as its bins are confirmed."""

    def __init__(self, sites: frozenset[int]) -> None:
        self.name = "bench:handler"
        self.confirmed = 0
        """How many touchdowns got their bins."""
        self._present = SitesReply(sites).encode(PROFILE)
        self._query, self._ok = PROFILE.line(PROFILE.sites_query), PROFILE.answer(PROFILE.echo_ok)
        self._bins, self._echo = PROFILE.bin_prefix.encode(), PROFILE.echo_prefix.encode()
        self._answer: bytes = b""
        self._requests: asyncio.Queue[int] = asyncio.Queue()

    async def open(self) -> None:
        self._requests.put_nowait(READY)

    async def run(self, conversation: Conversation[T]) -> T:
        reply: Reply = None
        try:
            while True:
                reply = self._replied(conversation.send(reply))
        except StopIteration as end:
            found: T = end.value
            return found

    def _replied(self, step: Step) -> Reply:
        match step:
            case Write(data):
                self._heard(data)
                return None
            case Read():
                return self._answer
            case ReadStatus():
                return 0
            case _:
                raise AssertionError(f"a handshake has no {step!r}")

    def _heard(self, data: bytes) -> None:
        if data == self._query:
            self._answer = self._present
        elif data.startswith(self._bins):
            self._answer = self._echo + data[len(self._bins) :]
        elif data == self._ok:
            self.confirmed += 1
            self._requests.put_nowait(READY)
        else:
            raise AssertionError(f"a handshake has no {data!r}")

    async def service_request(self) -> int:
        return await self._requests.get()

    async def aclose(self) -> None:
        """Nothing is open."""


def measured(touchdowns: int, sites: int = 8) -> dict[str, float]:
    """Return handshakes a second of CPU, and ms of the wall from parts in contact to their bins confirmed."""
    return asyncio.run(_measured(touchdowns, frozenset(range(1, sites + 1))))


async def _measured(touchdowns: int, sites: frozenset[int]) -> dict[str, float]:
    ours, bare = HandlerEnd(sites), HandlerEnd(sites)
    await bare.open()
    per_s, wall_ms = await _timed(_driven(ours, sites), touchdowns)
    floor_per_s, floor_ms = await _timed(_bare(bare, sites), touchdowns)
    if (ours.confirmed, bare.confirmed) != (touchdowns, touchdowns):
        raise AssertionError(
            f"{ours.confirmed} and {bare.confirmed} of {touchdowns} touchdowns got their bins"
        )
    return {
        "handshakes_per_cpu_s": per_s,
        "floor_per_cpu_s": floor_per_s,
        "handshake_p50_ms": wall_ms,
        "floor_p50_ms": floor_ms,
    }


async def _timed(handshakes: AsyncIterator[None], times: int) -> tuple[float, float]:
    """Return how many there are a second of CPU, and how many ms of the wall half of them take at most."""
    walls, core = list[float](), process_time()
    for _ in range(times):
        began = perf_counter()
        await anext(handshakes)
        walls.append((perf_counter() - began) * 1e3)
    return times / (process_time() - core), median(walls)


async def _driven(port: HandlerEnd, sites: frozenset[int]) -> AsyncIterator[None]:
    (entry,) = entry_points(group="hardbin.drivers", name="binon")
    driver: Any = entry.load()
    options = driver.Options(sites=sites, fields={"clear_at_connect": False})
    handler: Any = driver("handler", port, options)
    await handler.connect()
    await handler.start_lot("BENCH")
    found: Touchdown
    async for found in handler.touchdowns():
        await handler.sort(dict.fromkeys(found.sites, GOOD))
        yield


async def _bare(port: HandlerEnd, sites: frozenset[int]) -> AsyncIterator[None]:
    """The lines themselves, made once: nothing is read, but that the echo is the one."""
    order = BinLine(dict.fromkeys(sites, PROFILE.codes[GOOD]))
    line, echo = order.encode(PROFILE), order.echo(PROFILE)

    def conversation() -> Conversation[bool]:
        yield Write(PROFILE.line(PROFILE.sites_query))
        yield Read()
        yield Write(line)
        same = (yield Read()) == echo
        yield Write(PROFILE.answer(PROFILE.echo_ok))
        return same

    while await port.service_request() == READY and await port.run(conversation()):
        yield
