"""The time that a row may take: it stands still while the site waits for its turn at a shared resource."""

import asyncio
from types import TracebackType


class RowTimer:
    """One per device; a block of it is one attempt of one row."""

    def __init__(self) -> None:
        self._timeout: asyncio.Timeout | None = None
        self._runs = False
        self._left_s = 0.0
        self._began = 0.0
        self._limit_s = 0.0
        self.wait_s = 0.0
        """How long this device has waited for shared resources so far."""

    def limited(self, seconds: float) -> "RowTimer":
        """Set the limit of the block that follows."""
        self._limit_s = seconds
        return self

    async def __aenter__(self) -> "RowTimer":
        self._timeout = asyncio.timeout(self._limit_s)
        await self._timeout.__aenter__()
        self._runs = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runs = False
        if self._timeout is not None:
            await self._timeout.__aexit__(kind, error, trace)

    def expired(self) -> bool:
        """Tell whether the row has run past its limit."""
        return self._timeout is not None and self._timeout.expired()

    def suspend(self) -> None:
        """A wait for a turn begins."""
        self._began = asyncio.get_running_loop().time()
        if (timeout := self._running()) is not None and (when := timeout.when()) is not None:
            self._left_s = when - self._began
            timeout.reschedule(None)

    def resume(self) -> None:
        """The wait is over."""
        now = asyncio.get_running_loop().time()
        self.wait_s += now - self._began
        if (timeout := self._running()) is not None:
            timeout.reschedule(now + self._left_s)

    def _running(self) -> asyncio.Timeout | None:
        """Return the limit that still runs; None between blocks, as when a condition is being undone."""
        return self._timeout if self._runs and not self.expired() else None
