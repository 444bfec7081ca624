"""The scheduler of virtual time: who runs next, and when the clock may move."""

import heapq
import itertools
import math
import selectors
import threading
import time as real_time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from sim.baton import BatonThread

Ready: TypeAlias = list[tuple[selectors.SelectorKey, int]]


class Loop(Protocol):
    """What the server needs of the event loop."""

    def due(self) -> float:
        """When the next timer is due: minus infinity when callbacks wait, infinity when none is set."""

    def readable(self) -> bool:
        """Whether a descriptor is ready."""

    def plan(self, when: float, function: Callable[..., None], *args: object) -> None:
        """Plan a timer."""

    def poll(self, timeout_s: float | None) -> Ready:
        """Wait in real time for descriptors."""


class _NoLoop:
    """In place of the loop while there is none."""

    def due(self) -> float:
        raise RuntimeError("this time server has no loop: make both with sim.time.new_loop")

    def readable(self) -> bool:
        return False

    def plan(self, when: float, function: Callable[..., None], *args: object) -> None:
        self.due()

    def poll(self, timeout_s: float | None) -> Ready:
        return []


@dataclass(slots=True)
class _Parked:
    """A thread that waits; not live once it has its turn."""

    runner: BatonThread
    condition: threading.Condition | None
    live: bool = True


@dataclass(slots=True)
class _Awaited:
    """An answer from outside at which the clock waits, and whom to tell."""

    ready: Callable[[], bool]
    tell: Callable[[], None]


@dataclass(slots=True)
class _Pace:
    """Virtual time tied to real time: from a common start, so that what waits round up does not add up."""

    speed: float
    virtual: float
    real: float = field(default_factory=real_time.monotonic)

    def now(self) -> float:
        return self.virtual + (real_time.monotonic() - self.real) * self.speed

    def left_s(self, target: float) -> float:
        return max(0.0, (target - self.now()) / self.speed)


class TimeServer:
    """The clock of simulated ports and machine models (`sim.clock.Clock`), and the scheduler behind it."""

    def __init__(self, start: float = 0.0, speed: float | None = None) -> None:
        """Begin at `start` seconds; `speed` None jumps, 1 is real time, 60 sixty times as fast."""
        if speed is not None and not 0 < speed < math.inf:
            raise ValueError(f"speed {speed}: write a number above 0, or None to jump")
        self._now = start
        self._speed = speed
        self._pace: _Pace | None = None
        self._loop: Loop = _NoLoop()
        self._loop_gate = threading.Lock()
        self._loop_gate.acquire()
        self._owner = threading.get_ident()
        self._runners: list[BatonThread] = []
        self._holder: BatonThread | None = None
        self._ready: deque[BatonThread] = deque()
        self._deadlines: list[tuple[float, int, _Parked]] = []
        self._waiting: dict[int, list[_Parked]] = {}
        self._sequence = itertools.count()
        self._holds = 0
        self._awaited: deque[_Awaited] = deque()

    def serve(self, loop: Loop) -> None:
        """Become the clock of `loop`, which runs on the calling thread."""
        self._loop = loop
        self._owner = threading.get_ident()

    # -- the clock, for whoever holds the baton; planning also for the loop
    def time(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        deadline = self._now + seconds
        while self._now < deadline:
            self.wait(None, deadline)

    def pause(self, condition: threading.Condition, seconds: float) -> None:
        """Block until the time has passed or the condition is notified; the caller holds it."""
        self.wait(condition, self._now + seconds)

    def wait(self, condition: threading.Condition | None, deadline: float | None) -> None:
        runner = self._runner_of_caller()
        if deadline is not None and deadline <= self._now:
            return
        parked = _Parked(runner, condition)
        if deadline is not None:
            heapq.heappush(self._deadlines, (deadline, next(self._sequence), parked))
        if condition is None:
            runner.park()
            return
        self._waiting.setdefault(id(condition), []).append(parked)
        condition.release()
        try:
            runner.park()
        finally:
            condition.acquire()

    def notify(self, condition: threading.Condition) -> None:
        self._check_inside()
        for parked in self._waiting.pop(id(condition), ()):
            if parked.live:
                parked.live = False
                self._ready.append(parked.runner)

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> None:
        self._check_inside()
        self._loop.plan(self._now + seconds, function, *args)

    # -- for the run
    @contextmanager
    def hold(self) -> Iterator[None]:
        """Around awaits on real I/O: inside, time passes one to one, and the outside may come in."""
        self._holds += 1
        self._pace = None
        try:
            yield
        finally:
            self._holds -= 1
            self._pace = None

    @property
    def held(self) -> bool:
        """Whether a `hold` is open."""
        return self._holds > 0

    @property
    def jumps(self) -> bool:
        """Whether time passes as fast as the machine can."""
        return self._speed is None

    def new_runner(self, name: str) -> BatonThread:
        """Make a driver thread."""
        self._runners = [runner for runner in self._runners if not runner.ended]
        runner = BatonThread(self, name)
        self._runners.append(runner)
        return runner

    def runnable(self, runner: BatonThread) -> None:
        """Give the runner a turn after those that wait already."""
        self._ready.append(runner)

    def stand_still(self, ready: Callable[[], bool], tell: Callable[[], None]) -> None:
        """Let no time pass until `ready`; then, with nothing else left to do at this instant, `tell`."""
        self._awaited.append(_Awaited(ready, tell))

    def is_holder(self, ident: int) -> bool:
        """Whether this thread is the driver thread that runs now."""
        return self._holder is not None and self._holder.ident == ident

    def is_inside(self, ident: int) -> bool:
        """Whether this thread is the loop's, or the driver thread that runs now."""
        return ident == self._owner or self.is_holder(ident)

    def end(self) -> None:
        """End all driver threads, wherever they wait; the loop is about to close."""
        for runner in self._runners:
            self._holder = runner
            runner.kill()
        self._holder = None
        self._runners.clear()
        self._ready.clear()

    # -- the scheduler
    def idle(self, poll: Callable[[float | None], Ready]) -> Ready:
        """Do what comes next until the loop has work: threads, answers, then time. The idle loop calls it."""
        loop = self._loop
        while True:
            if (runner := self._next_runner()) is not None:
                self._holder = runner
                runner.take()
                self._loop_gate.acquire()
                continue
            if (events := poll(0)) or (timer := loop.due()) <= self._now:
                return events
            if self._awaited:
                return self._answer(poll)
            thread = self._next_deadline()
            target = min(timer, thread)
            if target == math.inf:
                return poll(None)  # nothing is planned: only the outside can wake us
            if events := self._advance(target, poll):
                return events
            if timer <= thread:
                return []
            self._wake_next()

    def pass_on(self, runner: BatonThread, *, to_loop: bool = False) -> bool:
        """Give the baton to whoever is next, or to the loop; False if that is `runner` itself."""
        self._holder = following = None if to_loop else self._next_runner()
        if following is None:
            self._loop_gate.release()
        elif following is not runner:
            following.take()
        return following is not runner

    def _next_runner(self) -> BatonThread | None:
        """Decide who has the next turn; None if the loop has work, or must wait for something."""
        due = self._loop.due()
        if due <= self._now or self._loop.readable():
            return None
        if not self._ready:
            deadline = self._next_deadline()
            if due <= deadline or self._awaited or self._holds or self._speed is not None:
                return None
            self._now = deadline
            self._wake_next()
        return self._ready.popleft()

    def _answer(self, poll: Callable[[float | None], Ready]) -> Ready:
        if not self._awaited[0].ready():
            return poll(None)
        self._awaited.popleft().tell()
        return []

    def _advance(self, target: float, poll: Callable[[float | None], Ready]) -> Ready:
        """Let the time pass until `target`, or until the outside speaks."""
        speed = 1.0 if self._holds else self._speed
        events: Ready = []
        if speed is not None and target > self._now:
            if self._pace is None:
                self._pace = _Pace(speed, self._now)
            if events := poll(self._pace.left_s(target)):
                target = min(target, self._pace.now())
        self._now = max(self._now, target)
        return events

    def _next_deadline(self) -> float:
        while self._deadlines and not self._deadlines[0][2].live:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def _wake_next(self) -> None:
        parked = heapq.heappop(self._deadlines)[2]
        parked.live = False
        if parked.condition is not None:
            waiting = self._waiting[id(parked.condition)]
            waiting.remove(parked)
            if not waiting:
                del self._waiting[id(parked.condition)]
        self._ready.append(parked.runner)

    # -- a thread that waits
    def _runner_of_caller(self) -> BatonThread:
        ident = threading.get_ident()
        if self._holder is None or self._holder.ident != ident:
            raise RuntimeError(
                "simulated I/O that blocks belongs on a port's thread: on the loop's it would wait for ever"
                if ident == self._owner
                else "a thread that virtual time does not know waits for it: use a runner of the loop"
            )
        return self._holder

    def _check_inside(self) -> None:
        if self._holder is None and threading.get_ident() != self._owner:
            raise RuntimeError("a thread that virtual time does not know moves a simulated machine")
