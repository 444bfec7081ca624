"""Taking turns at a resource that several sites share."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Protocol

from drivers.errors import EquipmentError

LOCK_TIMEOUT_S = 60.0


class Waiting(Protocol):
    """Whoever must know that a task waits for its turn: the row's timer, which stands still meanwhile."""

    def suspend(self) -> None:
        """The wait begins."""

    def resume(self) -> None:
        """The wait is over."""

    def expired(self) -> bool:
        """Tell whether the row has run past its time."""


waiting: ContextVar[Waiting | None] = ContextVar("waiting", default=None)
"""Set by the engine in the task of a site."""

_held: ContextVar["Turn | None"] = ContextVar("held", default=None)


class Turn:
    """A fair lock of one resource: first come first served, held per block, and poisonable.

    It costs nothing until the resource is shared. A task that holds one shared resource may not ask for
    a second: two sites doing that in opposite order would wait for each other for ever.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.shared = False
        self._busy = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._poison: str | None = None

    def poison(self, reason: str) -> None:
        """Quarantine: every waiter gets EquipmentError now, and so does everyone who comes later."""
        self._poison = reason
        for waiter in self._queue:
            if not waiter.done():
                waiter.set_exception(EquipmentError(f"{self.name} is quarantined: {reason}"))
        self._queue.clear()

    def heal(self) -> None:
        """A named person has cleared the resource."""
        self._poison = None

    @property
    def poisoned(self) -> str | None:
        """Why the resource is quarantined; None when it is not."""
        return self._poison

    @asynccontextmanager
    async def taken(self) -> AsyncGenerator[None, None]:
        """The resource is this task's alone inside the block."""
        if self._poison is not None:
            raise EquipmentError(f"{self.name} is quarantined: {self._poison}")
        if not self.shared:
            yield
            return
        if (other := _held.get()) is not None:
            raise EquipmentError(f"{self.name} asked for while {other.name} is held: take both at once")
        await self._acquire()
        token = _held.set(self)
        try:
            yield
        finally:
            _held.reset(token)
            self._release()

    async def _acquire(self) -> None:
        if not self._busy:
            self._busy = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        timer = waiting.get()
        if timer is not None:
            timer.suspend()
        try:
            async with asyncio.timeout(LOCK_TIMEOUT_S):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release()  # the turn came in the moment of giving up
            if isinstance(error, asyncio.CancelledError):
                raise
            raise EquipmentError(f"no turn at {self.name} within {LOCK_TIMEOUT_S:g} s") from None
        finally:
            if turn in self._queue:
                self._queue.remove(turn)
            if timer is not None:
                timer.resume()

    def _release(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False
