"""What a lot does for its temperature: nothing comes into contact before it is there, nor while it is not."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from drivers.uninterrupted import uninterrupted
from station import events
from station.engine.arrivals import Arrivals
from station.engine.climate import Climate
from station.engine.lot_journal import LotJournal
from station.engine.stops import Aborted, Ended, Wish

T = TypeVar("T")
RULE = "temperature"


class Tempering:
    """Of one lot; of one without a temperature it does nothing."""

    def __init__(
        self,
        climate: Climate | None,
        arrivals: Arrivals,
        journal: LotJournal,
        asked: asyncio.Event,
        wish: Callable[[], Wish],
        lift: Callable[[], Awaitable[None]],
    ) -> None:
        """`asked` is set when `wish` may have changed; `lift` brings the machine to rest."""
        self._climate = climate
        self._arrivals = arrivals
        self._journal = journal
        self._asked = asked
        self._wish = wish
        self._lift = lift
        self.waived: Callable[[], bool] = lambda: False
        """Whether somebody answers for the temperature."""

    @property
    def needed(self) -> bool:
        """Whether the lot has a temperature."""
        return self._climate is not None

    async def begin(self) -> None:
        """Bring the devices to their temperature; Aborted, Ended if that is asked meanwhile."""
        if self._climate is not None and self.waived():
            now, seen = self._journal.now, f"{self._climate.wanted.celsius:g} degrees are not waited for"
            told = events.RuleTripped(at=now, rule=RULE, site=0, action="waived", seen=seen)
            await self._journal.commit(told)
        elif self._climate is not None:
            began = asyncio.get_running_loop().time()
            await self._told(await self._unless_stopped(self._climate.reach()), began)

    async def may_test(self) -> bool:
        """Wait until the temperature is in its window; false if what had come was lifted, and comes again."""
        if self._climate is None or self.waived() or not (seen := await self._climate.left()):
            return True
        began, rests = asyncio.get_running_loop().time(), self._arrivals.rests
        now = self._journal.now
        await self._journal.commit(events.RuleTripped(at=now, rule=RULE, site=0, action="wait", seen=seen))
        if rests:
            await self._lift()
        await self._told(await self._climate.back(self._wait), began)
        if rests:
            await self._arrivals.go_on()
        return not rests

    async def _told(self, celsius: float, began: float) -> None:
        assert self._climate is not None  # noqa: S101 - the callers have looked
        took_s = round(asyncio.get_running_loop().time() - began, 3)
        wanted = self._climate.wanted.celsius
        await self._journal.commit(
            events.TemperatureReached(at=self._journal.now, wanted=wanted, celsius=celsius, took_s=took_s)
        )

    async def _wait(self, seconds: float) -> None:
        self._asked.clear()
        if self._wish() is not Wish.ABORT:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._asked.wait()
        if self._wish() is Wish.ABORT:
            raise Aborted

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.get_running_loop().create_task(work)
        try:
            while not task.done():
                self._asked.clear()
                if self._wish() in (Wish.ABORT, Wish.END):
                    raise Aborted if self._wish() is Wish.ABORT else Ended
                asked = asyncio.get_running_loop().create_task(self._asked.wait())
                try:
                    await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    asked.cancel()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await uninterrupted(asyncio.wait([task]))
