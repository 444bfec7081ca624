"""The only place that knows the time."""

import asyncio
import ctypes
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")
DOUBT_S = 2.0
"""A clock that was set by more is doubted."""
UNSYNCHRONISED = 5
"""What adjtimex returns while the kernel's clock follows nothing (adjtimex(2))."""
NANOSECONDS = 0x2000
"""The bit of its status that says in what offsets are told, else microseconds."""


class Timex(ctypes.Structure):
    """The beginning of what adjtimex tells, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("error_max", ctypes.c_long),
        ("error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


class Clock(Protocol):
    """Wall time, and waiting for those whose time is not ours."""

    def unix(self) -> float:
        """Seconds since 1970, UTC."""

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        """Wait for an answer that another process is working on.

        Under virtual time it arrives `latency_s` after it was asked for, and the clock waits there for the
        real answer; on the real clock it arrives when it arrives.
        """

    def attended(self) -> AbstractContextManager[None]:
        """Around a wait for a person: inside, simulated time passes no faster than his."""


class RealClock:
    """The machine's clock."""

    def unix(self) -> float:
        return time.time()  # noqa: TID251 - this is the place

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        del latency_s
        return await asyncio.wrap_future(future)

    def attended(self) -> AbstractContextManager[None]:
        return nullcontext()


def follows_a_time_server() -> bool:
    """Whether the kernel's clock does; false where that cannot be told."""
    return kernel_offset_s() is not None


def kernel_offset_s() -> float | None:
    """How far the kernel's clock is off, by the word of what follows a time server; None: nothing does."""
    if sys.platform != "linux":
        return None
    told = Timex()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(told)) in (UNSYNCHRONISED, -1):
        return None
    return float(told.offset) * (1e-9 if told.status & NANOSECONDS else 1e-6)


def steady() -> float:
    """Seconds of a clock that nobody sets, since whenever."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockWatch:
    """Sees that somebody sets the clock: from then on nobody knows which of the two times is right."""

    def __init__(
        self,
        now: Callable[[], float],
        runs: Callable[[], float] = steady,
        believed: Callable[[], bool] = follows_a_time_server,
    ) -> None:
        """`believed`: whether the clock follows a time server, which then is who has set it."""
        self._now, self._runs, self._believed = now, runs, believed
        self._apart = now() - runs()

    def doubt(self) -> str:
        """Say why the time is not believed; empty if it is."""
        off = self._now() - self._runs() - self._apart
        if abs(off) <= DOUBT_S:
            return ""
        if self._believed():
            self._apart += off
            return ""
        return f"the station's clock was set by {off:+.1f} s since its start, and follows no time server"
