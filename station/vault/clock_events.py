"""What happens to the clock of a vault's machine, told to its ledger: nobody sets it unseen."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from station.clock import follows_a_time_server, steady
from station.custody.ledger import Fact
from station.vault.journal import JournalError
from station.vault.times import STEP_S

log = structlog.get_logger()

LOOK_S = 1.0


class ClockEvents:
    """Tells each step of the clock, and whenever it begins or ceases to follow a time server."""

    def __init__(
        self,
        tell: Callable[[Fact, float], Awaitable[None]],
        wall: Callable[[], float],
        *,
        runs: Callable[[], float] = steady,
        follows: Callable[[], bool] = follows_a_time_server,
    ) -> None:
        """`wall` is the time that can be set, `runs` the one that cannot; Unix and any seconds."""
        self._tell, self._wall, self._runs, self._follows = tell, wall, runs, follows
        self._apart = wall() - runs()
        self._followed: bool | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled; what cannot be told now is told later."""
        while True:
            try:
                await self.look()
            except JournalError as error:
                log.error("clock events", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Tell what is new since the last look."""
        now = self._wall()
        step = now - self._runs() - self._apart
        if abs(step) > STEP_S:
            await self._tell(Fact("clock.step", data={"ms": round(step * 1000)}), now)
            self._apart += step
        if (follows := self._follows()) != self._followed:
            await self._tell(Fact("clock.offset", data={"follows_server": follows}), now)
            self._followed = follows
