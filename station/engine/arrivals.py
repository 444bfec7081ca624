"""What the machine presents, one contact after the other; the wait outlives what is asked meanwhile."""

import asyncio
from collections.abc import AsyncGenerator

from drivers.roles import Feeder, Touchdown


class Arrivals:
    """The touchdowns of one machine, while it is armed."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._touchdowns: AsyncGenerator[Touchdown, None] | None = None
        self._waiting: asyncio.Task[Touchdown | None] | None = None

    def arm(self) -> None:
        """Listen from here on; what was waited for is forgotten."""
        self._touchdowns = self._feeder.touchdowns()

    async def ready(self, *others: asyncio.Event) -> bool:
        """Wait for the machine or until one of the others is set; tell whether `take` has what arrived."""
        assert self._touchdowns is not None  # noqa: S101 - armed before anything waits
        loop = asyncio.get_running_loop()
        if self._waiting is None:
            self._waiting = loop.create_task(_next(self._touchdowns))
        wishes = [loop.create_task(other.wait()) for other in others]
        try:
            await asyncio.wait([self._waiting, *wishes], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wish in wishes:
                wish.cancel()
        return self._waiting.done()

    def take(self) -> Touchdown | None:
        """Return what has arrived, None when the machine says that the lot is over."""
        assert self._waiting is not None  # noqa: S101 - only after `ready`
        arrived, self._waiting = self._waiting, None
        return arrived.result()

    @property
    def rests(self) -> bool:
        """Whether the machine must be at rest while the lot waits."""
        return self._feeder.rests

    @property
    def moving(self) -> bool:
        """Whether the machine is on its way to the next contact."""
        return self._waiting is not None and not self._waiting.done()

    async def rest(self, wafer: str) -> bool:
        """Bring a machine that has come to its contact to rest: what has landed is lifted.

        Tells whether this wafer, on which the last contact was, is still there.
        """
        landed = None if self._waiting is None else self._waiting.result()
        there = self._waiting is None or (landed is not None and landed.wafer == wafer)
        await self.disarm()
        await self._feeder.pause()
        return there

    async def go_on(self) -> None:
        """End the rest; what was lifted is landed again."""
        await self._feeder.resume()
        self.arm()

    async def disarm(self) -> None:
        """Listen no longer."""
        waiting, self._waiting = self._waiting, None
        touchdowns, self._touchdowns = self._touchdowns, None
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                waiting.exception()
        if touchdowns is not None:
            await touchdowns.aclose()


async def _next(touchdowns: AsyncGenerator[Touchdown, None]) -> Touchdown | None:
    return await anext(touchdowns, None)
