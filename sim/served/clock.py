"""The clock of machines that are served: real time, everything on the loop's thread."""

import asyncio
from threading import Condition
from weakref import WeakKeyDictionary

from sim.clock import RealClock


class ServedClock(RealClock):
    """Wakes coroutines, too, where a machine wakes those who wait for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._bells = WeakKeyDictionary[Condition, asyncio.Event]()

    def notify(self, condition: Condition) -> None:
        super().notify(condition)
        self.bell(condition).set()

    def bell(self, condition: Condition) -> asyncio.Event:
        """Return what is set whenever the condition is notified; who waits clears it."""
        if (bell := self._bells.get(condition)) is None:
            bell = self._bells[condition] = asyncio.Event()
        return bell
