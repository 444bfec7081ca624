"""How fast ports are, each figure beside its floor from the same run: `hardbin bench drivers`."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median

from msgspec import Struct

from drivers.transports import Port, Stream
from drivers.transports.fair_selector import SWITCH_INTERVAL_S, fair_loop
from drivers.transports.usb import UsbPort
from station.equip.ends import (
    Ask,
    Bare,
    EchoProcess,
    Ends,
    SerialEnds,
    UsbEnds,
    VisaEnds,
    asker,
    opened,
    unasked,
)
from station.equip.handoff import Handoff

INSTRUMENTS = (1, 4, 16, 32)
MOST = max(INSTRUMENTS)
OPENINGS = 8
"""So often ports are opened and threads made anew: the system leaves a thread on its core for long, and one
that has the loop's is quicker than others."""
ROUNDS = 3
"""With the same threads."""
CHAIN = 10
LOAD_S = 2e-4
"""What the loaded loop works between two looks at its ports: it never sleeps."""


class Figures(Struct, frozen=True):
    """What a query costs at one transport with so many instruments at once, in µs of the wall."""

    instruments: int
    call_us: float
    """Through the port, one query a call."""
    bare_us: float
    """The library alone, blocking, a thread for each instrument."""
    handoff_us: float
    """The same bare query, made by the best bare hand-off to a thread for each instrument."""
    chain10_us: float
    """Ten queries as one conversation."""
    p99_us: float
    """99 of 100 queries take less while the loop is never idle."""
    call_cpu_us: float
    """Of the processor, for a query through the port."""
    handoff_cpu_us: float
    """The same for the bare hand-off."""


class Unasked(Struct, frozen=True):
    """From a line that nobody asked for to the coroutine that waits for it, in ms, 99 of 100."""

    idle_ms: float
    loaded_ms: float


class Report(Struct, frozen=True):
    """Everything that the bench measures."""

    transports: dict[str, list[Figures]]
    unsolicited: dict[str, Unasked]


class Rounds:
    """What some rounds took, each for so many queries, in µs a query: of the wall, and of all cores."""

    def __init__(self) -> None:
        self._walls: dict[str, list[float]] = {}
        self._cores: dict[str, list[float]] = {}

    @contextmanager
    def timing(self, what: str, queries: int) -> Iterator[None]:
        """Time one round."""
        wall, core = time.perf_counter(), time.process_time()
        yield
        core, wall = time.process_time() - core, time.perf_counter() - wall
        for times, took in (self._walls, wall), (self._cores, core):
            times.setdefault(what, []).append(took / queries * 1e6)

    def wall(self, what: str) -> float:
        """Return the wall's time in the middle round: the quickest tells how luckily threads were placed."""
        return round(median(self._walls[what]), 1)

    def cores(self, what: str) -> float:
        """Return the processor's time in the middle round, which others on the machine change least."""
        return round(median(self._cores[what]), 1)


async def _each(asks: Sequence[Ask], times: int) -> None:
    async def one(ask: Ask) -> None:
        for _ in range(times):
            await ask()

    async with asyncio.TaskGroup() as group:
        for ask in asks:
            group.create_task(one(ask))


def _alone(bare: Sequence[Bare], times: int) -> None:
    def one(query: Bare) -> None:
        for _ in range(times):
            query()

    if len(bare) == 1:
        one(bare[0])
        return
    threads = [threading.Thread(target=one, args=(query,)) for query in bare]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _handed(handoff: Handoff, bare: Sequence[Bare]) -> list[Ask]:
    def asking(number: int, query: Bare) -> Ask:
        async def ask() -> None:
            await handoff.call(number, query)

        return ask

    return [asking(number, query) for number, query in enumerate(bare)]


@contextmanager
def _busy() -> Iterator[None]:
    """Keep the loop busy in the block."""
    loop = asyncio.get_running_loop()
    wanted = True

    def work() -> None:
        until = time.perf_counter() + LOAD_S
        while time.perf_counter() < until:
            pass
        if wanted:
            loop.call_soon(work)

    loop.call_soon(work)
    try:
        yield
    finally:
        wanted = False


async def _latencies(asks: Sequence[Ask], times: int) -> list[float]:
    taken = list[float]()

    def timed(ask: Ask) -> Ask:
        async def one() -> None:
            began = time.perf_counter()
            await ask()
            taken.append((time.perf_counter() - began) * 1e6)

        return one

    with _busy():
        await _each([timed(ask) for ask in asks], times)
    return taken


def _p99(values: Sequence[float]) -> float:
    return round(sorted(values)[min(len(values) - 1, len(values) * 99 // 100)], 1)


async def _figures(ends: Ends, count: int, queries: int) -> Figures:
    times, rounds, loaded = max(1, queries // count), Rounds(), list[float]()
    for _ in range(OPENINGS):
        loaded += await _opening(ends, count, times, rounds)
    wall, cores = rounds.wall, rounds.cores
    walls = wall("call"), wall("bare"), wall("handoff"), wall("chain")
    return Figures(count, *walls, _p99(loaded), cores("call"), cores("handoff"))


async def _opening(ends: Ends, count: int, times: int, rounds: Rounds) -> list[float]:
    """Time some rounds with ports that are opened for them; return what queries take at a loaded loop."""
    with ExitStack() as stack:
        bare = [ends.bare(number, stack) for number in range(count)]
        handoff = Handoff(count)
        stack.callback(handoff.close)
        handed = _handed(handoff, bare)
        async with opened(ends, count) as ports:
            singly = [asker(port, 1) for port in ports]
            chained = [asker(port, CHAIN) for port in ports]
            for _ in range(ROUNDS):
                with rounds.timing("bare", times * count):
                    _alone(bare, times)
                with rounds.timing("handoff", times * count):
                    await _each(handed, times)
                with rounds.timing("call", times * count):
                    await _each(singly, times)
                few = max(1, times // CHAIN)
                with rounds.timing("chain", few * count):
                    await _each(chained, few)
            return await _latencies(singly, max(times // OPENINGS, 10))


async def _unasked(ends: Ends, events: int) -> Unasked:
    async def waited(port: Port | Stream) -> float:
        sent = await unasked(port)
        return (time.monotonic_ns() - sent) / 1e6

    async with opened(ends, 1) as (port,):
        idle = [await waited(port) for _ in range(events)]
        with _busy():
            loaded = [await waited(port) for _ in range(events)]
    return Unasked(_p99(idle), _p99(loaded))


def measured(queries: int, events: int, progress: Callable[[str], None]) -> Report:
    """Measure everything; each figure is that of its middle round, between rounds of the floors."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=fair_loop) as runner:
        return runner.run(_measured(queries, events, progress))


async def _measured(queries: int, events: int, progress: Callable[[str], None]) -> Report:
    transports, unsolicited = dict[str, list[Figures]](), dict[str, Unasked]()
    echo = EchoProcess(2 * MOST)
    gc.freeze()
    try:
        ends: Mapping[str, Ends] = {
            "visa": VisaEnds(MOST, echo),
            "serial": SerialEnds(MOST, echo),
            "usb": UsbEnds(MOST),
        }
        for name, kind in ends.items():
            transports[name] = []
            for count in INSTRUMENTS:
                progress(f"{name}, {count}")
                transports[name].append(await _figures(kind, count, queries))
            if isinstance(kind.our(0), Stream | UsbPort):
                unsolicited[name] = await _unasked(kind, events)
            kind.close()
    finally:
        echo.close()
    return Report(transports, unsolicited)
