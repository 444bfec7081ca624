"""The time of the simulated machines: the real clock, or the virtual one of `sim.time`."""

import asyncio
import time
from collections.abc import Callable
from threading import Condition
from typing import Protocol


class Clock(Protocol):
    """What machine models and simulated ports block and plan by; no other time exists for them."""

    def time(self) -> float:
        """Seconds, monotonic."""

    def sleep(self, seconds: float) -> None:
        """Block the calling port thread."""

    def wait(self, condition: Condition, deadline: float | None) -> None:
        """Block until `notify(condition)` or `deadline` (None: for ever); the caller holds the condition."""

    def notify(self, condition: Condition) -> None:
        """Wake all who wait for the condition; the caller holds it."""

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> None:
        """Plan what a machine does next; it runs on the loop's thread."""


class RealClock:
    """The machine's clock, for simulated machines beside an ordinary loop.

    What is planned runs on the loop's thread, perhaps while a port's thread is inside the same model.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def time(self) -> float:
        return self._loop.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: TID251 - a port's thread, and this is its clock

    def wait(self, condition: Condition, deadline: float | None) -> None:
        condition.wait(None if deadline is None else max(0.0, deadline - self.time()))

    def notify(self, condition: Condition) -> None:
        condition.notify_all()

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> None:
        when = self.time() + seconds
        self._loop.call_soon_threadsafe(self._loop.call_at, when, function, *args)


_simulated: set[int] = set()


def mark_simulated(fd: int) -> None:
    """Let a virtual loop watch this descriptor: only the simulator makes it readable, never the outside."""
    _simulated.add(fd)


def unmark_simulated(fd: int) -> None:
    """Forget a descriptor, before it is closed."""
    _simulated.discard(fd)


def is_simulated(fd: int) -> bool:
    """Whether `mark_simulated` was called for it."""
    return fd in _simulated
