"""Taking turns at a resource that several sites share."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from itertools import count
from typing import Protocol

from drivers.errors import EquipmentError

LOCK_TIMEOUT_S = 60.0
"""How long a task waits for its turn since the one who has it was last heard to get on."""


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

_held: ContextVar[frozenset["Turn"]] = ContextVar("held", default=frozenset())
"""What the task holds."""
_numbers = count()


class Turn:
    """A fair lock of one resource: first come first served, held per block, and poisonable.

    It costs nothing until the resource is shared. A task that holds one shared resource may not ask for
    a second: two sites doing that in opposite order would wait for each other for ever. Whoever needs two
    takes both at once (`taking`), and what he holds he may take again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = next(_numbers)
        """Its place in the one order in which several are taken."""
        self.shared = False
        self._busy = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._bounds: set[asyncio.Timeout] = set()
        """Until when each that waits has patience."""
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

    def prolong(self) -> None:
        """Whoever waits has the whole time again: the one whose turn it is gets on with it."""
        until = asyncio.get_running_loop().time() + LOCK_TIMEOUT_S
        for bound in self._bounds:
            if not bound.expired():
                bound.reschedule(until)

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
        if self in (held := _held.get()):
            yield
            return
        if held:
            others = ", ".join(turn.name for turn in in_order(held))
            raise EquipmentError(f"{self.name} asked for while {others} is held: take both at once by taking")
        async with self.alone():
            token = _held.set(frozenset({self}))
            try:
                yield
            finally:
                _held.reset(token)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None, None]:
        """As `taken`, for whoever keeps account himself of what he holds."""
        if self._poison is not None:
            raise EquipmentError(f"{self.name} is quarantined: {self._poison}")
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    def must_be_mine(self) -> None:
        """EquipmentError in the task of a site that uses a shared resource without having its turn."""
        if self.shared and waiting.get() is not None and self not in _held.get():
            raise EquipmentError(
                f"{self.name} serves several sites: use it inside `async with taking(...)`, or what another "
                "site has set would count"
            )

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
            async with asyncio.timeout(LOCK_TIMEOUT_S) as bound:
                self._bounds.add(bound)
                try:
                    await turn
                finally:
                    self._bounds.discard(bound)
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


def progress() -> None:
    """Say, in a wait that may be long, that there is an answer: those who wait for this task are patient."""
    for turn in _held.get():
        turn.prolong()


class HasTurn(Protocol):
    """What may be shared."""

    turn: Turn


def in_order(turns: Iterable[Turn]) -> list[Turn]:
    """Return turns in the one order in which everybody takes them."""
    return sorted(turns, key=lambda turn: turn.number)


@asynccontextmanager
async def taking(*resources: HasTurn) -> AsyncGenerator[None, None]:
    """Have all of these alone inside the block, so that what is set in it stays set.

    They are taken in one order, the same for all tasks, so no two wait for each other. Inside another such
    block only what that holds may be taken.
    """
    wanted = {resource.turn for resource in resources if resource.turn.shared}
    held = _held.get()
    if held and (more := wanted - held):
        names = ", ".join(turn.name for turn in in_order(more))
        others = ", ".join(turn.name for turn in in_order(held))
        raise EquipmentError(f"{names} asked for while {others} is held: take all at once")
    async with AsyncExitStack() as stack:
        for turn in in_order(wanted - held):
            await stack.enter_async_context(turn.alone())
        token = _held.set(held | wanted)
        try:
            yield
        finally:
            _held.reset(token)
