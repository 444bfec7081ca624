"""A small run of several machines in virtual time, which prints the digest of all that happened, in order.

`python -m tests.sim.virtual_run [speed]`; speed 0 jumps. Used by test_determinism, in processes of its own.
"""

import asyncio
import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from random import Random

from drivers.errors import Silent
from drivers.transports import Conversation, Pause, Port, Read, Write
from drivers.transports.visa import VisaLibrary, VisaPort
from sim.clock import Clock
from sim.instrument import Instrument
from sim.time import VirtualClock, VirtualLoop, new_loop
from sim.visa import worlds

SITES = 6
TOUCHDOWNS = 8


class Meter(Instrument):
    """Takes 5 ms and some jitter for a reading; now and then it does not answer."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(clock)
        self._random = Random(f"1:{name}")  # noqa: S311 - simulated noise

    def handle(self, message: bytes) -> None:
        if self._random.random() > 0.05:
            after_s = 0.005 + self._random.random() * 0.001
            self.respond(b"%s %f\n" % (message, self._random.gauss(0, 1)), after_s=after_s)


class Handler(Instrument):
    """Asks for service 300 ms after it was told to sort."""

    def handle(self, message: bytes) -> None:
        self.clock.call_later(0.3, self.request_service, 0x01)


class Log:
    """What happened, when, in which order."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._lines: list[str] = []

    def note(self, *words: object) -> None:
        """Add one line."""
        self._lines.append(f"{self._loop.time()!r} {words!r}")

    def digest(self) -> str:
        """Return the hash of all lines, and their number."""
        return f"{hashlib.sha256(repr(self._lines).encode()).hexdigest()} {len(self._lines)}"


def reading(number: int) -> Conversation[bytes]:
    """Ask once more if there is no answer."""
    for _ in range(2):
        yield Pause(0.0005)
        yield Write(b"READ? %d\n" % number)
        try:
            answer = yield Read(0.05)
        except Silent:
            continue
        assert isinstance(answer, bytes)
        return answer
    return b"silent"


async def site(name: str, port: Port, log: Log) -> None:
    """Test one device: some readings, one of them under a time limit that strikes now and then."""
    for number in range(3):
        log.note(name, await port.run(reading(number)))
    try:
        async with asyncio.timeout(0.0062):
            log.note(name, await port.run(reading(9)))
    except TimeoutError:
        log.note(name, "too late")


async def lot(ports: Sequence[Port], handler: Port, log: Log, pool: ThreadPoolExecutor) -> None:
    """Touch down, test all sites, commit, ask the vault, sort."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock = VirtualClock(loop, epoch=1_700_000_000.0)

    def sort() -> Conversation[None]:
        yield Write(b"SORT\n")

    for touchdown in range(TOUCHDOWNS):
        await handler.run(sort())
        log.note("handler", await handler.service_request())
        async with asyncio.TaskGroup() as group:
            for number, port in enumerate(ports):
                group.create_task(site(f"site {number}", port, log))
        log.note("committed", await loop.run_in_executor(None, sum, range(touchdown * 1000)))
        answers = [clock.answered(pool.submit(sum, range(n * 20000)), latency_s=0.002) for n in range(3)]
        async with asyncio.TaskGroup() as group:
            for answer in [group.create_task(answer) for answer in answers]:
                log.note("vault", await answer, clock.unix())


async def main() -> None:
    """Build the cell, run the lot, print the digest."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    log = Log(loop)
    world = worlds.register("virtual-run")
    library = VisaLibrary("virtual-run@hardbin")
    world["GPIB0::30::INSTR"] = Handler(loop.clock)
    for number in range(SITES):
        world[f"GPIB0::{number + 1}::INSTR"] = Meter(loop.clock, f"meter {number}")
    async with AsyncExitStack() as stack:
        stack.callback(library.close)
        pool = stack.enter_context(ThreadPoolExecutor(2))
        ports = [VisaPort(f"visa:{resource}", resource, library) for resource in world]
        for port in ports:
            await stack.enter_async_context(port)
        await lot(ports[1:], ports[0], log, pool)
    print(log.digest())  # noqa: T201 - its answer


if __name__ == "__main__":
    speed = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    with asyncio.Runner(loop_factory=lambda: new_loop(speed or None)) as runner:
        runner.run(main())
