"""Finished jobs of ports on their way to the loop: many finish, one wake-up, as cheap as the system has it.

`call_soon_threadsafe` costs three system calls beside the selection, each of which lets another thread have
the interpreter: a byte into a socket, a read of it, and one in vain. An eventfd costs two, and no exception.
"""

import asyncio
import os
import sys
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from drivers.transports.runner import RunnerSource


class Finished(ABC):
    """What a port's thread has done with."""

    __slots__ = ()

    @abstractmethod
    def report(self, now: float) -> None:
        """Hand the outcome to who waits for it, on the loop's thread, whose time it is `now`."""


class Completions:
    """The jobs of all workers of one loop."""

    _of_loop: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Completions]" = (
        weakref.WeakKeyDictionary()
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._finished: deque[Finished] = deque()
        self._rung = False
        self._bell = _bell(loop)
        if self._bell is not None:
            loop.add_reader(self._bell, self._answer, self._bell, loop.time)
            weakref.finalize(self, os.close, self._bell).atexit = False  # threads may still ring then

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Completions":
        """Return the one of this loop."""
        if (completions := cls._of_loop.get(loop)) is None:
            completions = cls._of_loop[loop] = cls(loop)
        return completions

    def post(self, job: Finished, loop: asyncio.AbstractEventLoop) -> None:
        """Take what a port's thread has finished; a loop that is closed has nobody left to tell."""
        self._finished.append(job)
        if self._rung:
            return
        self._rung = True
        if self._bell is not None and sys.platform == "linux":
            os.eventfd_write(self._bell, 1)
            return
        try:  # noqa: SIM105 - `suppress` costs as much as the rest of this
            loop.call_soon_threadsafe(self._drain, loop.time)
        except RuntimeError:
            pass

    def _answer(self, bell: int, now: Callable[[], float]) -> None:
        if sys.platform == "linux":
            os.eventfd_read(bell)
        self._drain(now)

    def _drain(self, now: Callable[[], float]) -> None:
        self._rung = False  # before the deque is read, else a report could be left behind
        finished = self._finished
        while finished:
            finished.popleft().report(now())


def _bell(loop: asyncio.AbstractEventLoop) -> int | None:
    """Make an eventfd where the system has one, and where the loop selects among real descriptors."""
    if sys.platform != "linux" or isinstance(loop, RunnerSource):
        return None
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
