"""A clock for tests of one thread: whoever waits moves it on, and what was planned happens on the way."""

import heapq
from collections.abc import Callable
from itertools import count
from threading import Condition


class StepClock:
    """`sim.clock.Clock` without threads: nothing waits in real time, and waiting for nothing is an error."""

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds`, doing what is planned within them."""
        self._run_to(self._now + seconds)

    def wait(self, condition: Condition, deadline: float | None) -> None:
        """Move on to the next planned action or to `deadline`; the caller holds `condition`."""
        wakes = [self._planned[0][0]] if self._planned else []
        if deadline is not None:
            wakes.append(deadline)
        if not wakes:
            raise AssertionError("waits for ever: nothing is planned and there is no deadline")
        condition.release()
        try:
            self._run_to(min(wakes))
        finally:
            condition.acquire()

    def notify(self, condition: Condition) -> None:
        """Nobody else waits: there is one thread."""

    def call_later(self, seconds: float, function: Callable[..., None], *args: object) -> None:
        """Plan `function` for when the clock gets there."""
        heapq.heappush(self._planned, (self._now + seconds, next(self._order), lambda: function(*args)))

    def run_until(self, happened: Callable[[], bool], *, within_s: float = 600.0) -> bool:
        """Move on from plan to plan until `happened`; false when nothing is planned any more, or in time."""
        end = self._now + within_s
        while not happened():
            if not self._planned or self._planned[0][0] > end:
                return False
            self._run_to(self._planned[0][0])
        return True

    def _run_to(self, target: float) -> None:
        while self._planned and self._planned[0][0] <= target:
            at, _, action = heapq.heappop(self._planned)
            self._now = max(self._now, at)
            action()
        self._now = max(self._now, target)
