"""One thread per port: jobs run in order; a cancelled job is aborted and cleaned up before it is reported."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar, TypeVarTuple, Unpack

from drivers.errors import DeviceLost, DutError, InstrumentError
from drivers.transports.completions import Completions, Finished
from drivers.transports.runner import runner_of_port

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass
class Load:
    """What a port's jobs have cost so far, in seconds of the loop's clock."""

    jobs: int = 0
    queued_s: float = 0.0
    worst_queued_s: float = 0.0
    running_s: float = 0.0
    worst_running_s: float = 0.0
    worst_delivery_s: float = 0.0
    """From the end of a job on its thread to its report on the loop: how late a busy loop is."""

    def ran(self, queued_s: float, running_s: float) -> None:
        """A job has left the port."""
        self.jobs += 1
        self.queued_s += queued_s
        self.running_s += running_s
        if queued_s > self.worst_queued_s:
            self.worst_queued_s = queued_s
        if running_s > self.worst_running_s:
            self.worst_running_s = running_s

    def delivered(self, delivery_s: float) -> None:
        """The loop knows of its end."""
        if delivery_s > self.worst_delivery_s:
            self.worst_delivery_s = delivery_s


_QUEUED, _RUNNING, _RAN, _DROPPED = range(4)
"""Where a job is; RAN: off the port, though the loop may not know yet. No Enum: each query looks at it."""


class _Job(Finished):
    """One call, from its queue to its report; what it returns is the business of the subclass."""

    __slots__ = ("abortable", "ended", "error", "grace_s", "load", "quiet", "reported", "state", "submitted")

    abortable: bool
    ended: float
    error: BaseException | None
    grace_s: float
    load: Load
    quiet: "asyncio.Future[None] | None"
    reported: bool
    state: int
    submitted: float

    def run(self) -> None:
        """Do it, on the port's thread."""

    def report(self, now: float) -> None:
        """Hand the outcome to the caller, on the loop's thread; one who was cancelled wants it no more."""

    def refuse(self, error: DeviceLost, now: float) -> None:
        """Fail before it ran, on the loop's thread."""
        self.error, self.ended = error, now
        self.report(now)


class _Call(_Job, Generic[T]):
    __slots__ = ("_arguments", "_function", "_result", "future")

    def __init__(
        self,
        function: Callable[..., T],
        arguments: tuple[object, ...],
        loop: asyncio.AbstractEventLoop,
        load: Load,
        grace_s: float = 0.0,
        *,
        abortable: bool = False,
    ) -> None:
        self.grace_s = grace_s
        self.load = load
        self.abortable = abortable
        self.state = _QUEUED
        self.quiet = None
        self.reported = False
        self.submitted = self.ended = loop.time()
        self.error = None
        self.future: asyncio.Future[T] = loop.create_future()
        self._function = function
        self._arguments = arguments
        self._result: T | None = None

    def run(self) -> None:
        try:
            self._result = self._function(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, on another thread
            self.error = error

    def report(self, now: float) -> None:
        self.load.delivered(now - self.ended)
        self.reported = True
        if self.quiet is not None and not self.quiet.done():
            self.quiet.set_result(None)
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self._result)  # type: ignore[arg-type]  # a cast costs a call in each query
        else:
            self.future.set_exception(_raisable(self.error))


class Worker:
    """The owner of one port. It is made and awaited on the loop's thread; jobs run on the port's thread."""

    def __init__(
        self,
        name: str,
        *,
        abort: Callable[[], None] | None = None,
        recover: Callable[[], None] | None = None,
        grace_s: float = 0.1,
    ) -> None:
        """Take `abort`, which ends the transfer under way: thread-safe, never blocking.

        `recover` makes the port clean again, on its thread, after a failure or an abort; from a cancel until
        it has ended at most `grace_s` may pass, else the port is lost.
        """
        self.name = name
        self.load = Load()
        self._abort = abort
        self._recover = recover
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._completions = Completions.of(self._loop)
        self._runner = runner_of_port(f"port {name}")
        self._lock = threading.Lock()  # states of jobs, and `abort`; never held during a transfer
        self._queued: deque[_Job] = deque()
        self._running: _Job | None = None
        self._interrupted = False
        self._soiled = False
        self._closing = False
        self._lost: str | None = None

    @property
    def lost(self) -> bool:
        """Whether the port may not be used again, but by a new worker after it was reopened."""
        return self._lost is not None

    # -- on the loop's thread
    def call(self, fn: Callable[[Unpack[Ts]], T], /, *args: *Ts) -> Coroutine[None, None, T]:
        """Run fn(*args) on the port's thread, after the calls before it.

        A cancelled call is dropped if it is still queued, else aborted and cleaned up; CancelledError comes
        when the port is quiet again, or after the grace, when it is lost. DeviceLost once it is lost.
        """
        return self._ended(_Call(fn, args, self._loop, self.load, self._grace_s, abortable=True))

    async def settle(self, fn: Callable[[Unpack[Ts]], T], /, *args: *Ts, bound_s: float = 2.0) -> T:
        """As `call`, for something short: a cancel aborts nothing and waits for the end, up to `bound_s`."""
        return await self._ended(_Call(fn, args, self._loop, self.load, bound_s))

    async def aclose(self, close: Callable[[], object] | None = None, *, timeout_s: float = 2.0) -> bool:
        """Drop what is queued, abort what runs, run `close` on the port's thread; tell if that ended in time.

        `close` still runs when a thread that was lost comes back later.
        """
        if self._closing:
            return False
        last = _Call[object](close or _nothing, (), self._loop, self.load)
        last.future.add_done_callback(_look_at)  # nobody else does, and asyncio complains of that
        with self._lock:
            self._closing = True
            self._drop_queued("closed")
            self._queued.append(last)
            away = self.lost and self._running is not None
            if self._running is not None:
                self._interrupt()
        self._runner.submit(self._run)
        self._runner.close()
        if not away:
            await asyncio.wait([last.future], timeout=timeout_s)
        return last.future.done()

    async def _ended(self, job: _Call[T]) -> T:
        if self._lost is not None or self._closing:
            raise DeviceLost(f"{self.name}: {self._lost or 'closed'}")
        self._queued.append(job)
        self._runner.submit(self._run)
        try:
            return await job.future
        except asyncio.CancelledError:
            await self._withdraw(job)
            raise

    async def _withdraw(self, job: _Job) -> None:
        with self._lock:  # the thread cannot start the next job meanwhile, so `abort` hits no other
            if job.state is _QUEUED:
                job.state = _DROPPED
                return
            if job.state is _RUNNING and job.abortable:
                self._interrupt()
        if not job.reported:
            job.quiet = self._loop.create_future()
            await self._outlast(job.quiet, job.grace_s)
            if not job.quiet.done():
                self._lose(f"its thread did not come back within {job.grace_s:g} s")

    async def _outlast(self, quiet: "asyncio.Future[None]", grace_s: float) -> None:
        deadline = self._loop.time() + grace_s
        while not quiet.done() and (left := deadline - self._loop.time()) > 0:
            with suppress(asyncio.CancelledError):  # a second cancel does not shorten the grace
                await asyncio.wait([quiet], timeout=left)

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._abort is not None:
            self._abort()
        self._runner.wake()

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self._lost is None:
                self._lost = reason
            self._drop_queued(self._lost)

    def _drop_queued(self, reason: str) -> None:
        for job in self._queued:
            if job.state is _QUEUED:
                job.state = _DROPPED
                job.refuse(DeviceLost(f"{self.name}: {reason}"), self._loop.time())

    # -- on the port's thread
    @property
    def interrupted(self) -> bool:
        """Whether the job that runs was cancelled: it should start nothing more. For the job to ask."""
        return self._interrupted

    def soil(self) -> None:
        """The job that runs leaves the port unclean though it does not fail: recover after it."""
        self._soiled = True

    def pause(self, seconds: float) -> None:
        """Block the job that runs, on the port's own clock; a cancel ends it early."""
        if not self._interrupted and seconds > 0:
            self._runner.pause(seconds)

    def _run(self) -> None:
        """Run the job that is next, unless it was dropped."""
        with self._lock:
            job = self._queued.popleft()
            if job.state is _DROPPED:
                return
            job.state = _RUNNING
            refused = self._lost is not None and not self._closing
            self._running = None if refused else job
            self._interrupted = self._soiled = False
        if refused:
            job.error, job.ended = DeviceLost(f"{self.name}: {self._lost}"), self._loop.time()
        else:
            self._work(job)
        self._completions.post(job, self._loop)

    def _work(self, job: _Job) -> None:
        """Run it, note what it cost, and clean up after it if it leaves the port unclean."""
        began = self._loop.time()
        job.run()
        with self._lock:
            job.state, self._running = _RAN, None
            dirty = self._interrupted or self._soiled or (job.error is not None and _leaves_dirt(job.error))
        job.ended = ended = self._loop.time()
        self.load.ran(began - job.submitted, ended - began)
        if job.error is None and not dirty:
            return
        if isinstance(job.error, DeviceLost):
            self._lost = self._lost or str(job.error).removeprefix(f"{self.name}: ")
        elif dirty and self._recover is not None and not self.lost:
            self._clean(self._recover)
            job.ended = self._loop.time()

    def _clean(self, recover: Callable[[], None]) -> None:
        try:
            recover()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the port is lost
            self._lost = f"it could not be made clean again: {error}"


def _leaves_dirt(error: BaseException) -> bool:
    """Whether an answer may still be on its way: not so when the instrument or the device has spoken."""
    return not isinstance(error, InstrumentError | DutError)


def _raisable(error: BaseException) -> BaseException:
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("a job raised StopIteration, which a future cannot carry")
    wrapped.__cause__ = error
    return wrapped


def _look_at(future: "asyncio.Future[object]") -> None:
    if not future.cancelled():
        future.exception()


def _nothing() -> None:
    pass
