"""Machines on a bus that end what they do with a service request, whose status byte says how it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from drivers.errors import Silent
from drivers.links.wire import PortWire
from drivers.transports import Port

DRAIN_S = 0.005
"""Time for the port to fetch a service request that is pulled already."""
MOST_STALE = 64
"""Requests that are looked at before one command; a line that never rests must not keep it back."""
RQS = 0x40

Noticed = Callable[[int], Awaitable[None]]
"""Told of each status byte that was not waited for; raises if it forbids to go on."""


class Deadline:
    """When waiting is over; it can be stopped, while an operator has the machine."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = asyncio.get_running_loop().time() + seconds

    @property
    def left_s(self) -> float | None:
        """Return how many seconds are left, 0 or more; None while it is stopped."""
        return None if self._end is None else max(0.0, self._end - asyncio.get_running_loop().time())

    def stop(self) -> None:
        """Wait for ever from here on."""
        self._end = None

    def restart(self) -> None:
        """Count from the beginning."""
        self._end = asyncio.get_running_loop().time() + self._seconds


class Requests:
    """The service requests of one machine: each is taken once, in order."""

    def __init__(self, port: Port, *, sends: bytes, ask_again_s: float) -> None:
        """`ask_again_s`: how often the machine itself is asked, for a request that was lost."""
        self.wire = PortWire(port, sends=sends)
        self.stale = 0
        """How many requests came that nobody waited for."""
        self.lost = 0
        """How many requests did not come though the machine had done what it was told."""
        self.deadline: Deadline | None = None
        """Of the command that is waited for now."""
        self._port = port
        self._ask_again_s = ask_again_s

    async def drain(self, noticed: Noticed) -> None:
        """Look at the requests that have come since the last command."""
        for _ in range(MOST_STALE):
            if (status := await self._next(DRAIN_S)) is None:
                return
            await self._unexpected(status, noticed)

    async def done(
        self,
        command: str,
        ends: Collection[int],
        *,
        timeout_s: float,
        noticed: Noticed,
        check: Callable[[], Awaitable[int | None]] | None = None,
    ) -> int:
        """Send a command, once, and return the status byte that ends it; Silent if none comes in time.

        `check` asks the machine for the status byte that it should have sent, None if it is not there yet.
        """
        await self.drain(noticed)
        await self.wire.say(command)
        return await self.ended(command, ends, timeout_s=timeout_s, noticed=noticed, check=check)

    async def ended(
        self,
        command: str,
        ends: Collection[int],
        *,
        timeout_s: float,
        noticed: Noticed,
        check: Callable[[], Awaitable[int | None]] | None = None,
    ) -> int:
        """Wait for the status byte that ends a command."""
        self.deadline = deadline = Deadline(timeout_s)
        try:
            while (left_s := deadline.left_s) is None or left_s > 0:
                wait_s = self._ask_again_s if left_s is None else min(left_s, self._ask_again_s)
                status = await self._next(wait_s)
                if status is None:
                    status = await self._missed(check)
                if status is None:
                    continue
                if status in ends:
                    return status
                await self._unexpected(status, noticed)
        finally:
            self.deadline = None
        wanted = " or ".join(map(str, sorted(ends)))
        raise Silent(f"{self.wire.name}: {command!r} did not end with {wanted} within {timeout_s:g} s")

    async def _missed(self, check: Callable[[], Awaitable[int | None]] | None) -> int | None:
        """Ask whether a request was lost; not while an operator has the machine."""
        paused = self.deadline is not None and self.deadline.left_s is None
        status = None if check is None or paused else await check()
        self.lost += status is not None
        return status

    async def _unexpected(self, status: int, noticed: Noticed) -> None:
        self.stale += 1
        if status & RQS:
            await noticed(status)

    async def _next(self, within_s: float) -> int | None:
        try:
            async with asyncio.timeout(within_s):
                return await self._port.service_request()
        except TimeoutError:
            return None
