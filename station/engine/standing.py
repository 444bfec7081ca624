"""How a cell stands, and why: each change is journalled before it counts."""

import asyncio
from contextlib import suppress

from station import events
from station.alarms import Alarms
from station.clock import Clock
from station.engine.bus import Bus
from station.engine.plan import Folder
from station.engine.states import FORWARD, State, may_follow
from station.errors import StorageError


class Standing:
    """The state of a cell, and all that it tells."""

    def __init__(self, clock: Clock, bus: Bus) -> None:
        self._clock, self._bus = clock, bus
        self._folder: Folder | None = None
        """Of the lot, if there is one."""
        self._over = False
        """Whether the lot's files are closed, or about to be, for the last time."""
        self.state = State.EMPTY
        self.reason = ""
        """Why the cell is in its state, where that needs a reason."""
        self.paused = asyncio.Event()
        """Set while the lot is paused at a touchdown boundary."""
        self.alarms = Alarms()
        """Those of the lot."""

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.unix()

    async def hear(self, machine: str, what: str, text: str) -> None:
        """Journal what has become of a machine beside the lot."""
        await self._commit(events.MachineTold(at=self.now, machine=machine, what=what, text=text))

    async def shift(
        self, new: State, reason: str = "", *, cause: str = "", takes: tuple[tuple[str, ...], ...] = ()
    ) -> None:
        """Go into another state of the life cycle; of a hold: its cause, and whom its release takes."""
        old = self.state
        if old is new:
            return
        if not may_follow(old, new):
            raise AssertionError(f"{old.value} -> {new.value} is not a transition of the table")
        self.state, self.reason = new, reason
        if new is State.PAUSED:
            self.paused.set()
        else:
            self.paused.clear()
        changed = events.StateChanged(
            at=self.now, old=old.value, new=new.value, reason=reason, cause=cause, takes=takes
        )
        await (self._record if new in FORWARD else self._commit)(changed)

    async def _over_with(self, word: events.LotClosed) -> None:
        """Close the lot: its last word and its state are on disk together, or the lot is not closed."""
        before, self.state, self.reason = self.state, State.CLOSED, ""
        changed = events.StateChanged(at=self.now, old=before.value, new=State.CLOSED.value, reason="")
        try:
            await self._record(word, changed)
        except StorageError:
            self.state = before
            raise

    async def _tell_safety(self, took_s: float, unverified: tuple[str, ...]) -> None:
        await self._commit(events.MadeSafe(at=self.now, time_to_safe_s=took_s, unverified=unverified))

    async def _record(self, *happened: events.Any) -> None:
        """Journal what the lot may not go on without; StorageError if it cannot be."""
        if self._folder is not None:
            await self._folder.journal.commit(*happened)
        elif self._over:
            raise StorageError("the lot's journal is closed")
        else:
            for event in happened:
                self._bus.publish(event)

    async def _commit(self, event: events.Any) -> None:
        """Journal what happened; a journal that fails cannot keep a cell from becoming safe."""
        with suppress(StorageError):
            await self._record(event)

    async def _close_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            await folder.close()
