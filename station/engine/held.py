"""What holds a lot: who may let it go on, where that leads, and what is refused meanwhile."""

import asyncio
from collections.abc import Collection

from station import authority, commands
from station.engine import receipts
from station.engine.states import State
from station.engine.stops import Hold

NO_END = {
    State.LOADED: "nothing of the lot was tested: release it, and unload it",
    State.CLOSING: "the lot has ended: release it, and it is tried again, or sign for it by lot.close",
}
"""Why a held lot is not ended, by where a release of it leads."""


class Held:
    """Of one lot, one hold after the other."""

    def __init__(self, *, secure: bool) -> None:
        """`secure`: the vault has a part in the lot."""
        self._secure = secure
        self._released = asyncio.Event()
        self._to: State | None = None
        self.takes: tuple[tuple[str, ...], ...] = ()
        """Whom it takes to let the lot go on."""
        self.signed: commands.Close | None = None
        """Who answers for the difference with which the lot is closed."""
        self.ended = False
        """Somebody has ended it instead."""

    def begin(self, to: State) -> None:
        """The lot is held, and a release leads to a state."""
        self._released.clear()
        self._to = to

    def over(self) -> None:
        """It is not, or no release helps."""
        self._to = None

    def by(self, hold: Hold) -> None:
        """Take note of what holds it."""
        seats = authority.releasing(hold.cause, secure=self._secure)
        self.takes = tuple(tuple(sorted(seat)) for seat in seats)

    # -- what persons say
    def take(self, command: commands.Release | commands.Close | commands.End) -> None:
        """Let it go on, or end."""
        self.ended = self.ended or isinstance(command, commands.End)
        if isinstance(command, commands.Close):
            self.signed = command
        self._released.set()

    def wake(self) -> None:
        """Have whoever waits look at what else has happened."""
        self._released.set()

    async def released(self) -> None:
        """Wait for somebody."""
        await self._released.wait()
        self._released.clear()

    # -- refused
    def objection(
        self, command: commands.Any, reason: str, unsorted: Collection[int]
    ) -> tuple[str, str] | None:
        """Return why a release, an end or a signature cannot be, as code and reason."""
        name = receipts.name_of(command)
        if isinstance(command, commands.Close) and self._to is not State.CLOSING:
            return "wrong_state", f"{name}: it is not its balance that holds this lot: {reason}"
        if isinstance(command, commands.End) and self._to in NO_END:
            return "wrong_state", f"{name}: {NO_END[self._to]}"
        if self._to is None:
            return "wrong_state", f"{name}: this hold has ended the run of the lot: {reason}"
        if unsorted:  # the lot would meet the same ones again
            devices = ", ".join(map(str, unsorted))
            return "unsettled", f"{name}: nobody knows yet where these devices are: {devices}"
        return self.unseated(command)

    def unseated(self, command: commands.Any) -> tuple[str, str] | None:
        """What holds the lot decides who lets it go on."""
        if not isinstance(command, commands.Seconded) or not self.takes:
            return None
        seats: Collection[Collection[str]] = self.takes
        if isinstance(command, commands.Close):
            seats = authority.closing(secure=self._secure)
        action = authority.Action(receipts.name_of(command))
        return authority.unseated(action, seats, command.persons)
