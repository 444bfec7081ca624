"""A loop that lets its ports' threads run though it is never idle.

A thread that wants the GIL asks for it only after one undisturbed switch interval. A saturated loop lets go
of the GIL in every `select(0)`, which restarts that wait, and takes it back before the waiter is awake: the
waiter starves for seconds. One nap a millisecond ends that; a loop that sleeps never naps.
"""

import asyncio
import selectors
import time

NAP_EVERY_S = 1e-3
NAP_S = 1e-6  # the kernel makes some 60 us of it, long enough for a waiter to wake
SWITCH_INTERVAL_S = 5e-4
"""What `sys.setswitchinterval` should be told beside this loop: how long a thread keeps the interpreter."""


class FairSelector(selectors.DefaultSelector):
    """The platform's selector, with a nap where the loop has not slept for a millisecond."""

    _slept = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout != 0:
            ready = super().select(timeout)
            self._slept = time.perf_counter()
            return ready
        if time.perf_counter() - self._slept > NAP_EVERY_S:
            time.sleep(NAP_S)  # noqa: TID251 - the one way to let another thread have the GIL
            self._slept = time.perf_counter()
        return super().select(0)


class _FairLoop(asyncio.SelectorEventLoop):
    time = staticmethod(time.monotonic)
    """What asyncio's own method returns, without the method: ports look at the clock six times a query."""


def fair_loop() -> asyncio.SelectorEventLoop:
    """Make the event loop of a cell with real equipment."""
    return _FairLoop(FairSelector())
