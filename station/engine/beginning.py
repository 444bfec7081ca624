"""What is asked of a lot before its first touchdown: its checks, a start, or that it is put back."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from drivers.uninterrupted import uninterrupted
from station import commands
from station.engine.stops import Aborted, Unloaded

T = TypeVar("T")
GOOD_FOR_S = 12 * 3600.0
"""A lot that was checked so long ago is checked again when it is started."""


class Beginning:
    """Of one lot; asked in the order of its commands."""

    def __init__(self) -> None:
        self._asked, self._aborted = asyncio.Event(), asyncio.Event()
        self._start = self._unload = False
        self._passed: float | None = None

    def abort(self) -> None:
        """Have whoever waits, or is being looked after, look at what else has happened."""
        self._aborted.set()
        self._asked.set()

    async def unless_aborted(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what has outputs on; Aborted, with them off again, as soon as that is asked."""
        loop = asyncio.get_running_loop()
        task, asked = loop.create_task(work), loop.create_task(self._aborted.wait())
        try:
            await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Aborted
            return task.result()
        finally:
            asked.cancel()
            task.cancel()
            await uninterrupted(asyncio.wait([task, asked]))

    def start(self) -> None:
        """The lot is to be tested."""
        self._start = True
        self._asked.set()

    def take(self, command: commands.Start | commands.Check | commands.Unload) -> None:
        """The lot is to be tested, only to be checked, or to be put back."""
        self._start = self._start or isinstance(command, commands.Start)
        self._unload = self._unload or isinstance(command, commands.Unload)
        self._asked.set()

    async def asked(self) -> bool:
        """Wait until something is asked; tell whether it is a start. Unloaded if the lot is put back."""
        await self._asked.wait()
        self._asked.clear()
        if self._unload:
            raise Unloaded
        start, self._start = self._start, False
        return start

    def passed(self, now: float) -> None:
        """The checks have passed."""
        self._passed = now

    def holds(self, now: float) -> bool:
        """Whether checks that have passed still count."""
        return self._passed is not None and 0 <= now - self._passed <= GOOD_FOR_S
