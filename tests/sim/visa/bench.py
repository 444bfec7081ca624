"""What a query costs, layer by layer: `python -m tests.sim.visa.bench`.

It prints microseconds, best of five: on the wall, and of the processor, which counts where others work too.
The first lines are the floor: the model alone, and the library without worker, trace and conversation.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pyvisa
from pyvisa.resources import MessageBasedResource

from drivers.transports import Conversation, Read, Write
from drivers.transports.fair_selector import SWITCH_INTERVAL_S, fair_loop
from drivers.transports.visa import VisaLibrary, VisaPort
from drivers.transports.worker import Worker
from sim.clock import RealClock
from sim.instrument import Instrument
from sim.time import VirtualLoop, new_loop
from sim.visa import worlds

QUERIES = 4800
ROUNDS = 5
Jobs = Callable[[int], Coroutine[Any, Any, None]]


class Meter(Instrument):
    """Answers; in virtual time after 5 ms."""

    after_s = 0.0

    def handle(self, message: bytes) -> None:
        self.respond(b"+1.23456E+00\n", after_s=self.after_s)


def query() -> Conversation[None]:
    """Hold the shortest conversation."""
    yield Write(b"READ?\n")
    yield Read()


class Watch:
    """The best of some rounds, on the wall and of the processor."""

    def __init__(self) -> None:
        self._rounds: list[tuple[float, float]] = []

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self._rounds.append((time.perf_counter() - self._began[0], time.process_time() - self._began[1]))

    def report(self, what: str) -> None:
        """Print one line."""
        wall, processor = (min(times) / QUERIES * 1e6 for times in zip(*self._rounds, strict=True))
        print(f"{what:44} {wall:7.1f} {processor:7.1f}")  # noqa: T201 - its output


def best(what: str, call: Callable[[], object]) -> None:
    """Time QUERIES calls."""
    watch = Watch()
    for _ in range(ROUNDS):
        with watch:
            for _ in range(QUERIES):
                call()
    watch.report(what)


async def best_of(what: str, jobs: Jobs, tasks: int) -> None:
    """Time QUERIES jobs, spread over so many tasks."""
    watch = Watch()
    for _ in range(ROUNDS):
        with watch:
            async with asyncio.TaskGroup() as group:
                for number in range(tasks):
                    group.create_task(jobs(number))
    watch.report(what)


def floor(meter: Meter, name: str) -> None:
    """Measure without any thread."""

    def model() -> None:
        meter.bus_write(b"READ?\n", end=True)
        meter.bus_read(65536, None, None)

    manager = pyvisa.ResourceManager(name)
    resource = manager.open_resource("GPIB0::1", read_termination="\n", write_termination="\n")
    assert isinstance(resource, MessageBasedResource)  # noqa: S101 - for the type
    session, library = resource.session, resource.visalib

    def bare() -> None:
        library.write(session, b"READ?\n")
        library.read(session, 65536)

    best("model alone", model)
    best("library, write and read", bare)
    best("PyVISA Resource.query", lambda: resource.query("READ?"))
    resource.close()


async def ports() -> None:
    """Measure hops and queries at 1, 4 and 16 ports."""
    loop = asyncio.get_running_loop()
    virtual = isinstance(loop, VirtualLoop)
    clock = loop.clock if isinstance(loop, VirtualLoop) else RealClock(loop)
    name = f"bench-{virtual}"
    world = worlds.register(name)
    library = VisaLibrary(f"{name}@hardbin")
    for number in range(16):
        world[f"GPIB0::{number + 1}::INSTR"] = Meter(clock)
    if not virtual:
        floor(Meter(clock), f"{name}@hardbin")
    for meter in world.values():
        assert isinstance(meter, Meter)  # noqa: S101 - for the type
        meter.after_s = 0.005 if virtual else 0.0
    kind = "virtual time" if virtual else "threads"
    worker = Worker("bench")

    async def hops(number: int) -> None:
        for _ in range(QUERIES):
            await worker.call(len, "")

    await best_of(f"{kind}: a hop that does nothing", hops, 1)
    await worker.aclose()
    async with AsyncExitStack() as stack:
        stack.callback(library.close)
        opened = [VisaPort(resource, resource, library) for resource in world]
        for port in opened:
            await stack.enter_async_context(port)
        for count in (1, 4, 16):

            async def queries(number: int, count: int = count) -> None:
                for _ in range(QUERIES // count):
                    await opened[number].run(query())

            await best_of(f"{kind}: one query a hop, {count} ports", queries, count)

            async def chains(number: int, count: int = count) -> None:
                def ten() -> Conversation[None]:
                    for _ in range(10):
                        yield from query()

                for _ in range(QUERIES // count // 10):
                    await opened[number].run(ten())

            await best_of(f"{kind}: ten queries a hop, {count} ports", chains, count)


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    for make in (fair_loop, lambda: new_loop(None)):
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(ports())
