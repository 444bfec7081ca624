"""Driver threads of virtual time: real ones, of which one at most runs, and only while the loop does not."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

JOIN_S = 2.0


class Ended(BaseException):
    """The virtual loop was closed while this thread waited: leave, whatever you do."""


class Scheduler(Protocol):
    """What a baton thread needs of the time server."""

    def runnable(self, runner: "BatonThread") -> None:
        """Give the runner a turn after those that wait already."""

    def pause(self, condition: threading.Condition, seconds: float) -> None:
        """Block the thread that runs until the time has passed or the condition is notified."""

    def notify(self, condition: threading.Condition) -> None:
        """Wake who waits for the condition."""

    def pass_on(self, runner: "BatonThread", *, to_loop: bool = False) -> bool:
        """Give the baton to whoever is next, or to the loop; False if that is `runner` itself."""


class BatonThread:
    """A thread that runs only while it holds the baton."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        self._scheduler = scheduler
        self._bodies: deque[Callable[[], None]] = deque()
        self._asleep = True
        self._closing = False
        self._killed = False
        self._done = False
        self._nap = threading.Condition(threading.Lock())
        self._gate = threading.Lock()
        self._gate.acquire()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self.ident = self._thread.ident

    # -- for the worker of a port
    def submit(self, body: Callable[[], None]) -> None:
        self._bodies.append(body)
        self._arouse()

    def pause(self, seconds: float) -> None:
        with self._nap:
            self._scheduler.pause(self._nap, seconds)

    def wake(self) -> None:
        with self._nap:
            self._scheduler.notify(self._nap)

    def close(self) -> None:
        self._closing = True
        self._arouse()

    def _arouse(self) -> None:
        if self._asleep:
            self._asleep = False
            self._scheduler.runnable(self)

    # -- for the scheduler
    def take(self) -> None:
        """Go on: the baton is yours."""
        self._gate.release()

    def kill(self) -> None:
        """End the thread: whatever it waits for raises `Ended`, and nothing that is queued runs."""
        self._killed = True
        if self._thread.is_alive():
            self.take()
            self._thread.join(JOIN_S)

    @property
    def ended(self) -> bool:
        """Whether it was closed and has run all that was queued."""
        return self._done

    # -- on its own thread
    def park(self) -> None:
        """Pass the baton on; returns when it comes again."""
        if not self._killed and self._scheduler.pass_on(self):
            self._gate.acquire()
        if self._killed:
            raise Ended

    def _main(self) -> None:
        self._gate.acquire()
        try:
            with suppress(Ended):
                while not self._killed and self._next():
                    self.park()
        finally:
            self._done = True
            if not self._killed:
                self._scheduler.pass_on(self, to_loop=True)

    def _next(self) -> bool:
        """Run one body, one only, so that no runner starves the others; tell whether more may come."""
        if self._bodies:
            self._bodies.popleft()()
        elif self._closing:
            return False
        if self._bodies or self._closing:
            self._scheduler.runnable(self)
        else:
            self._asleep = True
        return True
