"""The only place that knows the time."""

import asyncio
import time
from concurrent.futures import Future
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Wall time, and waiting for those whose time is not ours."""

    def unix(self) -> float:
        """Seconds since 1970, UTC."""

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        """Wait for an answer that another process is working on.

        Under virtual time it arrives `latency_s` after it was asked for, and the clock waits there for the
        real answer; on the real clock it arrives when it arrives.
        """


class RealClock:
    """The machine's clock."""

    def unix(self) -> float:
        return time.time()  # noqa: TID251 - this is the place

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        del latency_s
        return await asyncio.wrap_future(future)
