"""How a cell takes commands: each once, judged, and journalled before it has its effect."""

import asyncio
from abc import abstractmethod

from drivers.uninterrupted import uninterrupted
from station import commands
from station.clock import Clock
from station.engine import receipts
from station.engine.bus import Bus
from station.engine.standing import Standing

UNDER_WAY_S = 5.0
"""How long commands that were taken may take to have their effect, before the files are closed."""


class Taking(Standing):
    """The one door of a cell; what a command may not do, and what it does, is for the cell to say."""

    def __init__(self, clock: Clock, bus: Bus) -> None:
        super().__init__(clock, bus)
        self._receipts: dict[str, asyncio.Task[commands.Receipt]] = {}

    async def request(self, command: commands.Any) -> commands.Receipt:
        """Take a command: journal its receipt, then let it have its effect, once per id."""
        if (taken := self._receipts.get(command.id)) is None:
            taken = asyncio.get_running_loop().create_task(self._taken(command))
            self._receipts[command.id] = taken
        return await uninterrupted(taken)

    async def _taken(self, command: commands.Any) -> commands.Receipt:
        name = receipts.name_of(command)
        if self._over:
            return commands.Receipt(False, "wrong_state", f"{name}: the files of this lot are being closed")
        if objection := self._objection(name, command) or await self._prepared(command):
            return await self._refuse(command, *objection)
        if isinstance(command, commands.CutOff):  # it waits for no disk
            await self._effect(command)
            await self._accept(command)
            return await self._done(command)
        await self._accept(command)
        overtaken = None if isinstance(command, commands.Load) else self._objection(name, command)
        if overtaken is not None:  # the state has changed while the receipt was written
            return await self._refuse(command, *overtaken)
        await self._effect(command)
        return await self._done(command)

    @abstractmethod
    def _objection(self, name: str, command: commands.Any) -> tuple[str, str] | None:
        """Return why a command cannot be taken now, as code and reason."""

    @abstractmethod
    async def _prepared(self, command: commands.Any) -> tuple[str, str] | None:
        """Do what its receipt needs; return why it cannot be taken after all, as code and reason."""

    @abstractmethod
    async def _effect(self, command: commands.Any) -> None:
        """Do what is asked, or have it done."""

    async def _done(self, command: commands.Any) -> commands.Receipt:
        """Return the receipt of a command that had its effect."""
        del command
        return commands.Receipt(ok=True, code="ok")

    async def _accept(self, command: commands.Any) -> None:
        stopping = isinstance(command, commands.Pause | commands.Abort)
        await (self._commit if stopping else self._record)(receipts.accepted(command, self.now))

    async def _refuse(self, command: commands.Any, code: str, reason: str) -> commands.Receipt:
        await self._commit(receipts.refused(command, self.now, code, reason))
        return commands.Receipt(ok=False, code=code, reason=reason)

    async def _no_more(self) -> None:
        """Take no further command, and let those under way have their effect."""
        self._over = True
        if under_way := [taken for taken in self._receipts.values() if not taken.done()]:
            await asyncio.wait(under_way, timeout=UNDER_WAY_S)
