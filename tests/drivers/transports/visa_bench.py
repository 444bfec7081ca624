"""One simulated instrument and the port to it, for the tests of VISA ports."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from drivers.transports import Conversation, Read, Write
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.clock import Clock, RealClock
from sim.instrument import Instrument
from sim.time import VirtualLoop, new_loop
from sim.visa import worlds

Make = Callable[[], asyncio.AbstractEventLoop]
T = TypeVar("T")
_worlds = itertools.count()
KINDS = ["GPIB0::7::INSTR", "TCPIP0::192.0.2.5::5025::SOCKET", "ASRL3::INSTR"]


class Meter(Instrument):
    """Answers at once, after a while, or never; asks for service."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.log: list[bytes] = []

    def handle(self, message: bytes) -> None:
        self.log.append(message)
        match message.split():
            case [b"SLOW?"]:
                self.respond(b"SLOW-ANSWER\n", after_s=5.0)
            case [b"BLOCK?", size]:
                self.respond(b"x" * int(size) + b"\n")
            case [b"SRQ", after_ms, *statuses]:
                for status in statuses:
                    self.clock.call_later(int(after_ms) / 1e3, self.request_service, int(status))
            case [b"NOTHING", *_]:
                pass
            case _:
                self.respond(b"ANSWER-TO-" + message + b"\n", after_s=0.001)

    def request_unheard(self, status: int) -> None:
        """Pull the line though the event gets lost."""
        listeners, self.on_service_request = self.on_service_request, []
        self.request_service(status)
        self.on_service_request = listeners

    def cleared(self) -> None:
        self.log.append(b"<cleared>")

    def triggered(self) -> None:
        self.log.append(b"<triggered>")


@dataclass
class Bench:
    """One port, and the instrument at its far end."""

    port: VisaPort
    meter: Meter
    library: VisaLibrary


def clock_here() -> Clock:
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, VirtualLoop) else RealClock(loop)


@asynccontextmanager
async def bench(resource: str = KINDS[0], *, grace_s: float = 0.1) -> AsyncIterator[Bench]:
    world = f"test-visa-{next(_worlds)}"
    instruments = worlds.register(world)
    library = VisaLibrary(f"{world}@hardbin")
    meter = Meter(clock_here())
    instruments[resource] = meter
    async with AsyncExitStack() as stack:
        stack.callback(worlds.unregister, world)
        stack.callback(library.close)
        port = VisaPort(f"visa:{resource}", resource, library, grace_s=grace_s)
        await stack.enter_async_context(port)
        yield Bench(port, meter, library)


def query(text: str, *, timeout_s: float = 2.0, size: int = 65536) -> Conversation[str]:
    yield Write(text.encode() + b"\n")
    reply = yield Read(timeout_s, size=size)
    assert isinstance(reply, bytes)
    return reply.decode().rstrip("\n")


def say(text: str) -> Conversation[None]:
    yield Write(text.encode() + b"\n")


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    make: Make = lambda: new_loop(None),
) -> T:
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(main())
