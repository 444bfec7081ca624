"""Virtual time: an event loop, and driver threads, whose clock jumps to the next thing that is planned.

At any instant either the loop runs or exactly one driver thread does, the one that holds the baton. Time
moves only when neither has anything to do. So a run is the same every time, whatever the machine does.
"""

import asyncio
import heapq
import itertools
import math
import select
import selectors
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, suppress
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, TypeVarTuple, Unpack

from sim.affinity import OneCore
from sim.baton import BatonThread, Ended
from sim.clock import is_simulated
from sim.tcp.hosts import TcpHosts
from sim.timeserver import Ready, TimeServer

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
V = TypeVar("V")
Ts = TypeVarTuple("Ts")
FILE_S = 0.02
"""Virtual time of a job for an executor: what a disk takes to have a record, while others write to it too.

The real one is rarely slower, so the clock need not wait for it (`docs/explanation/virtual-time.md`).
"""


class _Selector(selectors.DefaultSelector):
    """Where the loop waits: here the threads get their turns, and the clock moves."""

    def __init__(self, server: TimeServer) -> None:
        super().__init__()
        self._server = server
        self._peek = select.poll()
        self._peek.register(self.fileno(), select.POLLIN)
        self.guarded = False

    def register(
        self, fileobj: "FileDescriptorLike", events: int, data: object = None
    ) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if self.guarded and not is_simulated(fd) and not self._server.held:
            raise RuntimeError(
                f"descriptor {fd} leads outside, where no virtual time passes: "
                "use it on the io thread, or inside hold()"
            )
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> Ready:
        ready = self.poll(0)
        return ready if ready or timeout == 0 else self._server.idle(self.poll)

    def poll(self, timeout_s: float | None) -> Ready:
        """Wait in real time for descriptors; those that are ready, by number."""
        if timeout_s == 0 and not self.readable():
            return []
        return sorted(super().select(timeout_s), key=_number)

    def readable(self) -> bool:
        """Whether a descriptor is ready: a tenth of the price of a selection, and asked at each wait."""
        return bool(self._peek.poll(0))


def _number(event: tuple[selectors.SelectorKey, int]) -> int:
    return event[0].fd


class _Timer(asyncio.TimerHandle):
    """Timers of one instant go off in the order in which they were set; asyncio's own do not promise it."""

    __slots__ = ("_place",)

    def __init__(
        self,
        number: int,
        when: float,
        callback: Callable[..., object],
        args: Sequence[object],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self._place = when, number
        self._scheduled = True  # in the loop's heap: a cancel is counted there

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        return self._place < other._place if isinstance(other, _Timer) else super().__lt__(other)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a TimeServer; its default executor is driver threads.

    Executors of others are what they are: their threads work while the simulation goes on, and virtual time
    waits for them where their job is due.
    """

    _ready: deque[asyncio.Handle]  # asyncio's own, as are the next and `_clock_resolution`, `_check_thread`
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, server: TimeServer) -> None:
        self.clock = server
        """The clock for simulated ports and machine models."""
        self.hosts = TcpHosts(self)
        """What `asyncio.open_connection` reaches."""
        self._core = OneCore()
        self._idle_runners: list[BatonThread] = []
        self._names = itertools.count(1)
        self._virtual_selector = _Selector(server)
        server.serve(self)
        super().__init__(self._virtual_selector)
        self._virtual_selector.guarded = True

    def time(self) -> float:
        return self.clock.time()

    def hold(self) -> AbstractContextManager[None]:
        """Around awaits on real I/O: inside, time passes one to one, and the outside may come in."""
        return self.clock.hold()

    def new_runner(self, name: str) -> BatonThread:
        """Make the thread of one port; while time jumps, the loop's thread and all ports' share a core.

        So does whatever else the loop's thread starts after the first port, until the loop is closed.
        """
        if self.clock.jumps:
            self._core.keep()
        return self.clock.new_runner(name)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any,  # noqa: ANN401 - as asyncio has it
        port: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """Connect to a simulated machine; inside `hold()` also to whatever else is there."""
        if self.clock.held and not self.hosts.knows(host, port):
            return await super().create_connection(protocol_factory, host, port, **options)
        return self.hosts.connect(protocol_factory, host, port)

    def run_forever(self) -> None:
        self.clock.serve(self)
        super().run_forever()

    def close(self) -> None:
        if not self.is_closed() and not self.is_running():
            self.clock.end()
        super().close()
        self._core.free()

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self.is_closed():
            raise RuntimeError("the loop is closed")
        if self.get_debug():
            self._check_thread()
        timer = _Timer(next(self._names), when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        return timer

    @property
    def _clock_resolution(self) -> float:  # a timer is due at its time, never before, however late it is
        return 2 * math.ulp(self.clock.time())

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """Asyncio sets that of the real clock."""

    # -- what the time server asks
    def due(self) -> float:
        """When the next timer is due: minus infinity when callbacks wait, infinity when none is set."""
        if self._ready:
            return -math.inf
        return self._scheduled[0].when() if self._scheduled else math.inf

    def readable(self) -> bool:
        """Whether a descriptor is ready."""
        return self._virtual_selector.readable()

    def plan(self, when: float, function: Callable[..., None], *args: object) -> None:
        """Plan a timer."""
        self.call_at(when, function, *args)

    def poll(self, timeout_s: float | None) -> Ready:
        """Wait in real time for descriptors."""
        return self._virtual_selector.poll(timeout_s)

    # -- what driver threads and libraries call
    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if self.clock.is_holder(threading.get_ident()):  # the loop waits for us anyway: no wake-up needed
            return self.call_soon(callback, *args, context=context)
        return super().call_soon_threadsafe(callback, *args, context=context)

    def _check_thread(self) -> None:  # asyncio asks it in debug mode, for call_soon and timers
        if self.is_running() and not self.clock.is_inside(threading.get_ident()):
            raise RuntimeError("only the loop's thread, or the driver thread that runs now, may call this")

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        if executor is not None:
            return self.create_task(self.answered(executor.submit(func, *args), FILE_S))
        runner = self._idle_runners.pop() if self._idle_runners else self._new_executor()
        work = _Work(self, lambda: func(*args))

        def body() -> None:
            work.run()
            self._idle_runners.append(runner)

        runner.submit(body)
        return work.future

    def _new_executor(self) -> BatonThread:
        return self.clock.new_runner(f"executor {next(self._names)}")

    async def answered(self, future: Future[T], latency_s: float) -> T:
        """Return what others work on `latency_s` of virtual time from now; there the clock waits for them.

        Answers that are due at one instant come in the order in which they became due, when nothing else
        is left to do at that instant. Cancelling this cancels the future.
        """
        told = self.create_future()
        try:
            await asyncio.sleep(latency_s)
            self._expect(future, told)
            await told
        except asyncio.CancelledError:
            future.cancel()
            told.cancel()
            raise
        if future.cancelled():
            raise asyncio.CancelledError
        return future.result()

    def _expect(self, future: Future[T], told: asyncio.Future[None]) -> None:
        def ready() -> bool:
            return told.done() or future.done()

        def tell() -> None:
            if not told.done():
                told.set_result(None)

        self.clock.stand_still(ready, tell)
        future.add_done_callback(self._prod)

    def _prod(self, future: Future[T]) -> None:
        del future
        with suppress(RuntimeError):  # the loop is closed
            self.call_soon_threadsafe(_nothing)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        pass


class _Work(Generic[T]):
    """A function on its way through a driver thread, at no virtual time; as a context it takes its error."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> None:
        self.future: asyncio.Future[T] = loop.create_future()
        self._loop = loop
        self._function = function

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None and not isinstance(error, Ended):
            self._loop.call_soon(self._finish, self.future.set_exception, error)
        return not isinstance(error, Ended)

    def run(self) -> None:
        """Call it, on the driver thread."""
        with self:
            result = self._function()
            self._loop.call_soon(self._finish, self.future.set_result, result)

    def _finish(self, settle: Callable[[V], None], outcome: V) -> None:
        if not self.future.done():
            settle(outcome)


class VirtualClock:
    """The station's clock in a simulated cell: its epoch plus virtual time."""

    def __init__(self, loop: VirtualLoop, *, epoch: float) -> None:
        """Let virtual time 0 of `loop` be `epoch`, in seconds since 1970, UTC."""
        self._loop = loop
        self._epoch = epoch

    def unix(self) -> float:
        """Seconds since 1970, UTC."""
        return self._epoch + self._loop.time()

    async def answered(self, future: Future[T], *, latency_s: float) -> T:
        """Return the answer `latency_s` of virtual time from now; there the clock stands until it is real."""
        return await self._loop.answered(future, latency_s)

    def attended(self) -> AbstractContextManager[None]:
        """Around a wait for a person: time does not jump."""
        return self._loop.hold()


def new_loop(speed: float | None, *, start: float = 0.0) -> VirtualLoop:
    """Make a virtual loop: `speed` None jumps, 1 runs in real time, n that many times as fast.

    Its `clock` is what simulated ports and machine models are given.
    """
    return VirtualLoop(TimeServer(start, speed))


def _nothing() -> None:
    pass
