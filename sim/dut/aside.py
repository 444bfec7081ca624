"""Signatures of simulated chips, made on another core while the cell goes on.

A chip takes a hundred times as long for one as this machine does. So the thread that waits for it spends
part of that time at once, lets the others go on, and takes the signature when it is there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sim.clock import Clock

LONGEST_S = 0.5
"""The most that is spent at once: far below the waiting time after which a chip must ask for more."""


class Aside:
    """One thread for all chips of a world; until it is opened whoever asks does the work."""

    def __init__(self) -> None:
        self._clock: Clock | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="chips")

    def open(self, clock: Clock) -> None:
        """Begin; the thread is started here, before virtual time keeps new threads on one core."""
        self._pool.submit(_nothing).result()
        self._clock = clock

    def do(self, work: Callable[[], bytes], free_s: float) -> bytes:
        """Return the result of `work`, spending `free_s` of the caller's time meanwhile; a port's thread."""
        if self._clock is None or free_s <= 0.0:
            return work()
        future = self._pool.submit(work)
        self._clock.sleep(free_s)
        return future.result()

    def close(self) -> None:
        """End the thread; whoever asks does the work again."""
        self._clock = None
        self._pool.shutdown(wait=False, cancel_futures=True)


def _nothing() -> None:
    pass
