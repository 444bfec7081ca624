"""A cell that takes up the lot that it was left with: made safe first, then looked at, then paused."""

import asyncio

from station import commands, events
from station.authority import releasing
from station.engine import prelot
from station.engine.cell import Cell
from station.engine.history import UNKNOWN
from station.engine.interlocks import why_open
from station.engine.lot_run import LotRun
from station.engine.plan import Plan
from station.engine.recovery import Recovery
from station.engine.resumed_run import ResumedRun
from station.engine.safe_state import make_safe
from station.engine.states import State
from station.engine.stepping import steps_of
from station.engine.stops import Aborted, Cause
from station.engine.waivers import Waivers
from station.errors import CustodyError
from station.sequence import S

LOOKED_AT = tuple(tuple(sorted(seat)) for seat in releasing(Cause.EQUIPMENT, secure=False))
"""Who says that he has looked at a cell, unless what held its lot takes others."""


class ResumedCell(Cell[S]):
    """Takes no command before `take_up` is done."""

    def __init__(self, plan: Plan[S]) -> None:
        super().__init__(plan)
        self._recovery: Recovery[S] | None = None
        self._is_settled = False
        """Files and vault agree with the journal."""
        self._earlier: dict[str, commands.Receipt] = {}
        self._inventory = asyncio.Lock()

    async def request(self, command: commands.Any) -> commands.Receipt:
        """As of every cell; the receipt of an id that came before the stop is given again."""
        if (receipt := self._earlier.get(command.id)) is not None:
            return receipt
        return await super().request(command)

    async def _taken(self, command: commands.Any) -> commands.Receipt:
        if not isinstance(command, commands.Recover):
            return await super()._taken(command)
        async with self._inventory:  # another one is judged by what this one leaves
            return await super()._taken(command)

    # -- at the start
    async def take_up(self, *, looked_at: bool = False) -> None:
        """Make the cell safe, then bring what was left in order; it is PAUSED after this, or ABORTED.

        ABORTED if somebody must have looked at it, or wants to say that he has (`looked_at`). Nothing moves
        before a command. ConfigError, StorageError: there is no lot that can be taken up.
        """
        took, failed = await make_safe(self._plan.resources)
        folder, history = self._plan.reopen_folder()
        self.alarms = folder.journal.alarms
        self._folder, self.info, self.state = folder, history.info, State.RECOVERING
        self._says = history.says
        self._steps = steps_of(history.info, self._plan.sequence, folder.journal, self._plan.clock)
        self._earlier, self._was_held = dict(history.receipts), history.held
        self._held.takes = history.takes or LOOKED_AT
        self._waivers = Waivers(history.waived)
        old = history.state.value
        await self._commit(events.StateChanged(at=self.now, old=old, new=State.RECOVERING.value))
        await self._safety.came_to(took, failed)
        if history.refitted:
            info = history.info
            await self._commit(
                events.Refitted(at=self.now, instruments=info.instruments, software=info.software)
            )
        if history.past_lost:
            await self._commit(events.PastLost(at=self.now, reason=history.past_lost))
        self._recovery = Recovery(history, folder, self._plan.sequence, self._plan.vault)
        if why := await self._settled(self._recovery):
            await self.shift(State.ABORTED, why)
            return
        why = f"{old} when the station stopped" + (f": {history.reason}" if history.reason else "")
        await self._stand(self._recovery, why, unknown=looked_at or history.state in UNKNOWN)

    async def _settled(self, recovery: Recovery[S]) -> str:
        """Bring files and vault in order; return why that cannot be, empty if it is done."""
        try:
            await recovery.settle()
        except CustodyError as error:
            return f"the lot cannot be taken up: {error}"
        self._is_settled = True
        self._beginning.start()
        return ""

    async def _stand(self, recovery: Recovery[S], why: str, *, unknown: bool = False) -> None:
        doubt = recovery.history.in_doubt
        unsafe = bool(self._safety.lacks)
        if unsafe:
            why = self._safety.why
        elif opened := await why_open(self._plan.resources):
            why, unknown = opened, True
        elif doubt:
            why = f"nobody knows whether these were sorted: devices {doubt}"
        if unsafe or doubt or unknown:
            await self.shift(State.ABORTED, why)
            self.reason = why
        else:
            self._run = await self._resumed(recovery)
            self._requests.begin(self._run)
            await self.shift(State.PAUSED, why)

    async def _resumed(self, recovery: Recovery[S]) -> ResumedRun[S]:
        assert self._folder is not None  # noqa: S101 - opened by `take_up`
        plan, folder = self._plan, self._folder
        landing = self._landing(recovery.history.info, folder)
        if landing.remembers:
            await folder.records.recall(landing.seen)
        run = ResumedRun(
            recovery, plan.bound, plan.sequence, landing, folder.records, folder.journal, self.shift
        )
        self._belongs(run)
        return run

    # -- commands
    def _objection(self, name: str, command: commands.Any) -> tuple[str, str] | None:
        if objection := super()._objection(name, command):
            return objection
        match command:
            case commands.Recover():
                return self._unrecoverable(command) or self._held.unseated(command)
            case commands.End() if self.state is State.PAUSED and self._waiting():
                return "unsettled", f"{name}: devices {self._waiting()} are in contact: resume the lot first"
            case _:
                return None

    def _waiting(self) -> str:
        if self._folder is None:
            return ""
        return ", ".join(map(str, self._folder.journal.balance.unsorted()))

    def _unrecoverable(self, command: commands.Recover) -> tuple[str, str] | None:
        if not command.reason:
            return "bad_arguments", "cell.recover needs a reason"
        if self._recovery is None:
            return "integrity", self.reason
        if wrong := self._recovery.objection(command.found):
            return "bad_arguments", f"cell.recover: {wrong}"
        history = self._recovery.history
        sites = [history.in_contact[part].site for part in history.ordered]
        if unnamed := sorted(set(sites) - command.found.keys()):
            return "unsettled", (
                f"cell.recover: say where the devices are: {history.in_doubt}; for sites {unnamed} one of "
                "socket, sorted, error bin, missing"
            )
        return None

    async def _effect(self, command: commands.Any) -> None:
        if isinstance(command, commands.Recover) and self._recovery is not None:
            await self._safety.make()
            if not self._is_settled and (why := await self._settled(self._recovery)):
                self.reason = why
                return
            await self._recovery.find(command)
            await self._vouched(command)
            await self._stand(self._recovery, command.reason)
        elif not (isinstance(command, commands.Abort) and self.state is State.ABORTED):
            await super()._effect(command)

    async def _vouched(self, command: commands.Recover) -> None:
        """What the cleared sites need can be used again, in this lot and the next."""
        bound = self._plan.bound
        if bound.quarantine is not None and command.cleared:
            who = events.Cleared(at=self.now, resource="", actor=command.actor, reason=command.reason)
            await bound.quarantine.clear(command.cleared & bound.resources.keys(), bound.resources, who)

    async def _done(self, command: commands.Any) -> commands.Receipt:
        if isinstance(command, commands.Recover) and self.state is State.ABORTED:
            return commands.Receipt(False, "equipment", self.reason)
        return await super()._done(command)

    # -- the lot
    async def _begun(self, *, unattended: bool) -> LotRun[S]:
        del unattended
        await self._beginning.asked()
        if self._run is None or self.info is None or self._recovery is None:
            raise Aborted
        if not self._recovery.history.seq:  # it was never begun: nothing of it was looked at, or long ago
            around = self._record, self._waivers.checks, self._beginning.unless_aborted
            await prelot.checked(self._plan, self.info, self._says, *around, self._requests.off)
            return self._run
        prelot.must_be_reversible(self._plan, self.info)
        differs = prelot.lot_data(self.info, self._says, self._plan.assets)
        await prelot.machines(self._plan, self._record, self._waivers.checks, differs)
        return self._run
