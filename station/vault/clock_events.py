"""What happens to the clock of a vault's machine, told to its ledger: nobody sets it unseen.

Each minute it is told how far the clock is off; beyond the limit nothing more is admitted.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from station.clock import follows_a_time_server, kernel_offset_s, steady
from station.custody.ledger import Fact
from station.vault.configuration import ClockTable
from station.vault.journal import JournalError
from station.vault.sntp import NoTimeError, Server, measured_s

log = structlog.get_logger()

LOOK_S, MEASURE_S = 1.0, 60.0
SILENT_S = 600.0
"""How long a time server that the file names may be silent before nothing more is admitted."""


class ClockEvents:
    """Tells each step of the clock, how far it is off, and whether it follows a time server."""

    def __init__(
        self,
        tell: Callable[[Fact, float], Awaitable[None]],
        wall: Callable[[], float],
        *,
        table: ClockTable | None = None,
        runs: Callable[[], float] = steady,
        follows: Callable[[], bool] = follows_a_time_server,
        offset: Callable[[], Awaitable[float | None]] | None = None,
    ) -> None:
        """`wall` is the time that can be set, `runs` the one that cannot; Unix and any seconds.

        `offset` measures how far the clock is off, None if nothing tells it; by default as the table says.
        """
        self._tell, self._wall, self._runs, self._follows = tell, wall, runs, follows
        self._table = ClockTable() if table is None else table
        self._offset = offset or self._measured
        self._apart = wall() - runs()
        self._followed: bool | None = None
        self._due = self._told_at = runs()
        self._why, self._told_unsafe = "", False

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
        if abs(step) * 1000 > self._table.step_event_ms:
            await self._tell(Fact("clock.step", data={"ms": round(step * 1000)}), now)
            self._apart += step
            self._due = self._runs()
        follows = self._follows()
        if self._runs() >= self._due or follows != self._followed:
            await self._measure(follows=follows)

    def unsafe(self) -> str:
        """Say why no time of this clock is to be in a certificate; empty if nothing is known against it."""
        return self._why

    async def _measure(self, *, follows: bool) -> None:
        try:
            offset, silent = await self._offset(), ""
        except NoTimeError as error:
            offset, silent = None, str(error)
            log.warning("time server", server=self._table.server, why=silent)
        told: dict[str, object] = {"follows_server": follows}
        if offset is not None:
            told["ms"] = round(offset * 1000)
        self._judge(offset, silent)
        if bool(self._why) is not self._told_unsafe:
            told["why"] = self._why
        if offset is not None or follows != self._followed or "why" in told:
            await self._tell(Fact("clock.offset", data=told), self._wall())
        self._followed, self._due = follows, self._runs() + MEASURE_S
        self._told_unsafe = bool(self._why)

    def _judge(self, offset: float | None, silent: str) -> None:
        """Stop or release; a server that was heard lately is believed while it is silent."""
        if not silent:
            self._told_at = self._runs()
        limit = self._table.offset_max_ms
        if offset is not None:
            off = f"the clock is off by {offset * 1000:+.0f} ms, {limit} are allowed"
            self._why = off if abs(offset) * 1000 > limit else ""
        elif silent and self._runs() - self._told_at > SILENT_S:
            self._why = f"nobody knows how far the clock is off: {self._table.server}: {silent}"

    async def _measured(self) -> float | None:
        if self._table.server:
            return await measured_s(Server.named(self._table.server), self._wall)
        return kernel_offset_s()
