"""One test cell: its state, the one door for commands, and the life of a lot."""

import asyncio
from pathlib import Path
from typing import Generic

from drivers.uninterrupted import uninterrupted
from station import authority, commands, events
from station.engine import closing, prelot, receipts
from station.engine.beginning import Beginning
from station.engine.held import Held
from station.engine.interlocks import why_open
from station.engine.landing import Landing
from station.engine.lot_run import LotRun
from station.engine.plan import Folder, Plan
from station.engine.requests import Requests
from station.engine.safety import Safety
from station.engine.states import State
from station.engine.stepping import Steps, steps_of
from station.engine.stepping import objection as no_step
from station.engine.stops import Aborted, Adjourned, Cause, Hold, Unloaded, Wish
from station.engine.taking import Taking
from station.engine.waivers import Waivers
from station.errors import CustodyError
from station.model import LotInfo
from station.sequence import S
from station.set_up import Traveller
from station.vault_answers import LotClosing


class Cell(Taking, Generic[S]):
    """Runs one lot at a time. Everything that changes it comes in by `request`."""

    def __init__(self, plan: Plan[S]) -> None:
        super().__init__(plan.clock, plan.bus)
        self._plan = plan
        self._safety = Safety(plan.resources, self._tell_safety)
        self.info: LotInfo | None = None
        self._says: Traveller | None = None
        self._why = "asked for"
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget the lot before."""
        self._run: LotRun[S] | None = None
        self._steps: Steps | None = None
        self.stdf: Path | None = None
        self.vault_closing: LotClosing | None = None
        self._requests = Requests(self._plan.bound.resources)
        self._beginning, self._held = Beginning(), Held(secure=self._plan.vault is not None)
        self._waivers = Waivers()
        self._aborted = self._was_held = self._leaves = False

    # -- what commands do
    def _objection(self, name: str, command: commands.Any) -> tuple[str, str] | None:
        denied = authority.objection(authority.Action(name), command.roles, self.state)
        if objection := denied or receipts.unreasoned(command):
            return objection
        if isinstance(command, commands.Seconded) and (objection := self._stood_otherwise(name, command)):
            return objection
        if isinstance(command, commands.Waive | commands.Load):
            return receipts.denied(command)
        if isinstance(command, commands.Step | commands.Shmoo):
            return no_step(self._steps, command)
        if isinstance(command, commands.Acknowledge | commands.Shelve):
            return self._unknown_alarm(name, command.alarm)
        if isinstance(command, commands.SetSite | commands.Clean | commands.Retest):
            return self._requests.objection(command)
        if self.state is State.HELD and isinstance(command, commands.Release | commands.Close | commands.End):
            unsorted = () if self._folder is None else self._folder.journal.balance.unsorted()
            return self._held.objection(command, self.reason, unsorted)
        return None

    def _stood_otherwise(self, name: str, command: commands.Seconded) -> tuple[str, str] | None:
        """What persons consent to is for the lot and the state of it that they saw."""
        lot = "" if self.info is None else self.info.lot
        line = 0 if self._folder is None else self._folder.journal.changed_in
        if command.lot in ("", lot) and command.line in (0, line):
            return None
        return "wrong_state", f"{name}: the cell stands otherwise than when it was asked"

    def _unknown_alarm(self, name: str, alarm: str) -> tuple[str, str] | None:
        if alarm not in self.alarms:
            return "not_found", f"{name}: there is no alarm {alarm!r}"
        return None

    async def _prepared(self, command: commands.Any) -> tuple[str, str] | None:
        if isinstance(command, commands.Resume) and (why := await why_open(self._plan.resources)):
            return "equipment", why
        if isinstance(command, commands.CutOff):
            self._safety.cut_off()
        if isinstance(command, commands.Load):
            await self._load(command)
        return None

    async def _effect(self, command: commands.Any) -> None:
        match command:
            case commands.Load():
                await self.shift(State.LOADED)
            case commands.Start() | commands.Check() | commands.Unload():
                self._begins(command)
            case commands.Release() | commands.Close():
                self._held.take(command)
            case commands.End() if self.state is State.HELD:
                self._held.take(command)
            case commands.Pause():
                self._wish(Wish.PAUSE)
                await self.shift(State.PAUSING, command.reason)
            case commands.Resume():
                self._wish(Wish.GO_ON)
            case commands.End():
                self._wish(Wish.END)
            case commands.Abort():
                self._aborted, self._why = True, command.reason or "asked for"
                self._beginning.abort()
                self._held.wake()
                self._wish(Wish.ABORT, at_once=isinstance(command, commands.CutOff))
            case _:
                await self._said(command)

    def _begins(self, command: commands.Start | commands.Check | commands.Unload) -> None:
        """Take what is asked of a lot that does not run."""
        if isinstance(command, commands.Check) and self.state is State.PAUSED:
            self._requests.take(command)
        elif self.state is State.CLOSED:
            self.state = State.EMPTY
            self._bus.publish(events.StateChanged(at=self.now, old="CLOSED", new="EMPTY"))
        else:
            self._beginning.take(command)

    async def _said(self, command: commands.Any) -> None:
        """Journal what a person says, and pass on what the run is to do."""
        if (event := receipts.said(command, self.now)) is not None:
            await self._record(event)
        if isinstance(command, commands.Waive):
            self._waivers.take(command)
        if isinstance(command, commands.SetSite | commands.Clean | commands.Retest):
            self._requests.take(command)
        if isinstance(command, commands.Step | commands.Shmoo) and self._steps is not None:
            self._steps.take(command)

    def _wish(self, wish: Wish, *, at_once: bool = False) -> None:
        if self._run is not None:
            self._run.ask(wish, at_once=at_once)

    async def _load(self, command: commands.Load) -> None:
        self.state = State.LOADING
        try:
            await self._close_folder()
            self._begin_anew()
            self._says = command.says
            info = self._plan.describe(command)
            self._folder = self._plan.open_folder(info)
            self.alarms = self._folder.journal.alarms
            self.info = info
            self._steps = steps_of(info, self._plan.sequence, self._folder.journal, self._plan.clock)
            await self._record(events.LotLoaded(at=self.now, info=info, says=command.says))
            await prelot.first_seen(self._plan, self._record)
        except BaseException:
            self.state, self.info = State.EMPTY, None
            await self._close_folder()
            raise

    # -- the life of a lot
    async def run_lot(self, *, unattended: bool) -> State:
        """Run the lot until it is closed, put back, aborted, left or, if `unattended`, held."""
        try:
            await self._lot(unattended=unattended)
        except Unloaded:
            await uninterrupted(self.shift(State.EMPTY))
        except Aborted:
            await uninterrupted(self._abort(self._why))
        except Adjourned:
            await uninterrupted(self._leave())
        except (Hold, CustodyError) as error:
            hold = error if isinstance(error, Hold) else Hold(str(error), cause=Cause.CUSTODY)
            stopped = self._abort(f"{self._why}, after: {hold}") if self._aborted else self._hold(hold)
            await uninterrupted(stopped)
        except asyncio.CancelledError:
            await uninterrupted(self._abort("the station is being stopped"))
            raise
        except BaseException as error:
            await uninterrupted(self._abort(f"{type(error).__name__}: {error}"))
            raise
        return self.state

    async def _lot(self, *, unattended: bool) -> None:
        run = self._run = await self._begun(unattended=unattended)
        if self.info is None or self._folder is None:
            raise Aborted
        while True:
            try:
                await run.run()
                break
            except Hold as hold:
                if unattended or hold.unsafe:
                    raise
                await self._wait_for_release(hold, State.PAUSED)
                if self._held.ended:
                    break
        await self._closed(self.info, self._folder, unattended=unattended)

    async def _begun(self, *, unattended: bool) -> LotRun[S]:
        """Wait for the start, check all that can be checked, and return the run of the lot."""
        while not await self._may_begin(unattended=unattended):
            pass
        if self.info is None or self._folder is None:
            raise Aborted
        await self._folder.records.open(self.info)
        self._go_on()
        run = self._run = self._make_run(self.info, self._folder)
        self._requests.begin(run)
        await self.shift(State.RUNNING)
        return run

    async def _may_begin(self, *, unattended: bool) -> bool:
        """Wait for what is asked of the lot, and check it; false if that was not a start, or it was held."""
        beginning = self._beginning
        start = await beginning.asked()
        self._go_on()
        if self.info is None:
            raise Aborted
        fresh = start and self.state is State.READY and beginning.holds(self.now)
        try:
            await self.shift(State.CHECKING)
            await self._must_be_shut()
            if not fresh:
                around = self._record, self._waivers.checks, beginning.unless_aborted
                await prelot.checked(self._plan, self.info, self._says, *around, self._requests.off)
            beginning.passed(self.now)
            if not start:
                await self.shift(State.READY)
        except Hold as hold:
            if unattended or hold.unsafe:
                raise
            await self._wait_for_release(hold, State.LOADED)
            return False
        return start

    def _go_on(self) -> None:
        """An abort that came where no touchdown is under way takes effect here."""
        if self._aborted:
            raise Aborted

    def _make_run(self, info: LotInfo, folder: Folder) -> LotRun[S]:
        plan, landing = self._plan, self._landing(info, folder)
        run = LotRun(info, plan.bound, plan.sequence, landing, folder.records, folder.journal, self.shift)
        self._belongs(run)
        return run

    def _landing(self, info: LotInfo, folder: Folder) -> Landing[S]:
        plan = self._plan
        around = plan.sequence, folder.journal, plan.clock, plan.bus
        return Landing(plan.bound.sites, *around, info.averaging, self._steps)

    def _belongs(self, run: LotRun[S]) -> None:
        """Tell a run what it asks of the cell, and who speaks by it."""
        run.overdue = lambda now, landings: self._plan.overdue(now, landings, self._waivers.checks)
        run.boundary.check = self._check_again
        run.heed(lambda: self._waivers.checks)
        self._waivers.told_by(run.boundary.note)
        if self._steps is not None:
            self._steps.say = run.boundary.note

    async def _must_be_shut(self) -> None:
        """Nothing is on, and every interlock is closed."""
        await self._safety.must_be()
        if why := await why_open(self._plan.resources):
            await self._record(prelot.docking(self.now, why))
            self._why = why
            raise Aborted

    async def _check_again(self) -> None:
        """Check a lot that is paused, with nothing in contact."""
        if self.state is State.PAUSED:
            await self.shift(State.CHECKING)
            await self._must_be_shut()
            await prelot.machines(self._plan, self._record, self._waivers.checks)
            await self.shift(State.PAUSED)

    async def _wait_for_release(self, hold: Hold, to: State) -> None:
        """Hold the lot until a person lets it go on `to` a state, and the cell is verified as safe."""
        if self._aborted:  # before it was held: nobody needs to release it for that
            raise hold
        self._held.begin(to)
        try:
            await self._safety.make()
            if self._leaves and self.state is State.PAUSED:  # the next start comes upon it again
                raise Adjourned from hold
            await self._stand_held(hold)
            await self._released_and_safe()
        finally:
            self._held.over()
        if self._held.ended:
            return
        if self._run is not None and to is State.PAUSED:
            self._run.ask(Wish.PAUSE)
        await self.shift(to)

    async def _released_and_safe(self) -> None:
        while True:
            await self._held.released()
            self._go_on()
            safe = await self._safety.make()
            self._go_on()
            if safe:
                return

    async def _hold(self, hold: Hold) -> None:
        await self._safety.make()
        await self._stand_held(hold)

    async def _stand_held(self, hold: Hold) -> None:
        self._was_held = True
        self._held.by(hold)
        reason, takes = self._safety.said_after(str(hold)), self._held.takes
        await self.shift(State.HELD, reason, cause=hold.cause.value, takes=takes)

    @property
    def pausing(self) -> bool:
        """Whether the lot comes to a pause by itself: it is on its way there, or is checked in one."""
        checked = self.state is State.CHECKING and self._run is not None
        return checked or self.state is State.PAUSING

    def leave(self) -> bool:
        """Have the run end with its lot open and paused, for the next start; false if it is not paused."""
        self._leaves = self.state is State.PAUSED
        if self._leaves:
            self._wish(Wish.LEAVE)
        return self._leaves

    async def _leave(self) -> None:
        if not await self._safety.make():
            await self._abort("the station is being stopped")

    async def _abort(self, reason: str) -> None:
        if self.state is State.CLOSED:  # it came while the last word was being written
            return
        await self.shift(State.ABORTING, reason)
        await self._safety.make()
        await self.shift(State.ABORTED, self._safety.said_after(reason))

    async def _closed(self, info: LotInfo, folder: Folder, *, unattended: bool) -> None:
        """Close the lot; one that cannot be closed is held there, until it can or somebody signs for it."""
        await self._end(folder)
        while True:
            try:
                await self._close(info, folder)
                return
            except (Hold, CustodyError) as error:
                hold = error if isinstance(error, Hold) else Hold(str(error), cause=Cause.CUSTODY)
                if unattended or hold.unsafe:
                    raise
                await self._wait_for_release(hold, State.CLOSING)

    async def _end(self, folder: Folder) -> None:
        """Be safe, with every device where it belongs."""
        self._go_on()
        await self.shift(State.ENDING)
        await self._safety.must_be()
        closing.must_be_settled(folder.journal)
        if self._run is not None:
            await self._run.tell()
        self._go_on()
        await self.shift(State.CLOSING)

    async def _close(self, info: LotInfo, folder: Folder) -> None:
        journal = folder.journal
        if self.stdf is None:
            self.stdf = await folder.records.finish(self.now)
        self.vault_closing = await closing.closed_in(self._plan.vault, info, journal, self._held.signed)
        self._go_on()
        await self._over_with(closing.last_word(info, journal, self.stdf, was_held=self._was_held))

    @property
    def time_to_safe_s(self) -> float:
        """How long the last safe state took, read-back included."""
        return self._safety.took_s

    @property
    def retested(self) -> int:
        """How many contacts were second or later ones."""
        return 0 if self._run is None else self._run.retested

    @property
    def landings(self) -> int:
        """How often this run's lot has landed on devices so far; 0 before it runs."""
        return 0 if self._run is None else self._run.landings

    async def aclose(self) -> None:
        """Close the lot's files; a lot that is not closed may be taken up again later."""
        try:
            await self._safety.over()
            await self._no_more()
            await self._close_folder()
        finally:
            self._plan.bus.close()
