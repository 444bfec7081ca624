"""A circuit breaker: who waits for something broken is told at once, and it is left in peace for a while."""

from collections import deque
from collections.abc import Callable

FAILURES = 3
"""In a row."""
SLOW_S = 2.0
"""95 of 100 calls are answered within this, else it is broken."""
PAUSE_S = 30.0
WINDOW, WINDOW_MIN = 100, 20
PERCENTILE = 0.95


class Breaker:
    """Open after three failures in a row, or when answers get slow; after a pause one call may try."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._opened: float | None = None
        self._trying = False
        self._seconds: deque[float] = deque(maxlen=WINDOW)

    @property
    def open(self) -> bool:
        """Whether calls are refused."""
        return self._opened is not None

    def admits(self) -> bool:
        """Whether a call may go; while open, one after the pause."""
        if self._opened is None:
            return True
        if self._trying or self._now() - self._opened < PAUSE_S:
            return False
        self._trying = True
        return True

    def wait_s(self) -> float:
        """How long until the next call may try."""
        return 0.0 if self._opened is None else max(0.0, self._opened + PAUSE_S - self._now())

    def answered(self, seconds: float | None) -> None:
        """A call was answered after so long; of those that were under way when it opened, none closes it.

        None: it waited for the other side to start, which tells nothing of how fast that answers.
        """
        if self._opened is not None and not self._trying:
            return
        self._failures, self._opened, self._trying = 0, None, False
        if seconds is None:
            return
        self._seconds.append(seconds)
        if len(self._seconds) >= WINDOW_MIN and self._p95() > SLOW_S:
            self._open()

    def _open(self) -> None:
        """Forget what was measured: after the pause it begins anew."""
        self._seconds.clear()
        self._opened = self._now()

    def _p95(self) -> float:
        ranked = sorted(self._seconds)
        return ranked[int(PERCENTILE * (len(ranked) - 1))]

    def failed(self) -> None:
        """A call was not answered."""
        self._failures += 1
        if self._trying or self._failures >= FAILURES:
            self._open()
        self._trying = False

    def let_go(self) -> None:
        """A call was given up by its caller, which tells nothing of the other side."""
        self._trying = False
