"""One test cell: its state, the one door for commands, and the life of a lot."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from drivers.roles.uninterrupted import uninterrupted
from station import authority, commands, events
from station.alarms import Alarms
from station.custody.balance import Balance, binned
from station.engine import prelot, receipts
from station.engine.beginning import Beginning
from station.engine.cut_off import CutOff
from station.engine.held import Held
from station.engine.interlocks import why_open
from station.engine.landing import Landing
from station.engine.lot_run import LotRun
from station.engine.plan import Folder, Plan
from station.engine.requests import Requests
from station.engine.states import FORWARD, State, may_follow
from station.engine.stepping import Steps, steps_of
from station.engine.stepping import objection as no_step
from station.engine.stops import Aborted, Adjourned, Cause, Hold, Unloaded, Wish
from station.errors import CustodyError, StorageError
from station.model import ENGINEERING, LotClosing, LotInfo
from station.sequence import S

T = TypeVar("T")
REASONED = (
    commands.Release
    | commands.Close
    | commands.Apply
    | commands.Reason
    | commands.SetSite
    | commands.Retest
    | commands.Shelve
    | commands.Waive
)
"""Commands that take a reason."""
NOT_SAFE = "; not safe: "


class Cell(Generic[S]):
    """Runs one lot at a time. Everything that changes it comes in by `request`."""

    def __init__(self, plan: Plan[S]) -> None:
        self._plan = plan
        self.info: LotInfo | None = None
        self._folder: Folder | None = None
        self._run: LotRun[S] | None = None
        self._requests = Requests(plan.bound.resources)
        self._receipts: dict[str, asyncio.Task[commands.Receipt]] = {}
        self._beginning, self._held = Beginning(), Held(secure=plan.vault is not None)
        self._aborted = self._was_held = False
        self._why = "asked for"
        self.stdf: Path | None = None
        self.vault_closing: LotClosing | None = None
        self.state = State.EMPTY
        self.reason = ""
        """Why the cell is in its state, where that needs a reason."""
        self._steps: Steps | None = None
        """Of an engineering lot."""
        self._off = CutOff(plan.resources)
        self._waived = set[str]()
        """Checks that somebody answers for."""
        self._unsafe = ""
        self.safe = True
        """False while an output may be on and nobody can tell."""
        self.time_to_safe_s = 0.0
        """How long the last safe state took, read-back included."""
        self.paused = asyncio.Event()
        """Set while the lot is paused at a touchdown boundary."""
        self.alarms = Alarms()
        """Those of the lot."""

    def _begin_anew(self) -> None:
        """Forget the lot before."""
        self._beginning, self._held = Beginning(), Held(secure=self._plan.vault is not None)
        self._aborted = self._was_held = False
        self._waived = set()
        self._run = self._steps = self.stdf = self.vault_closing = None
        self._requests = Requests(self._plan.bound.resources)

    # -- the one door
    async def request(self, command: commands.Any) -> commands.Receipt:
        """Take a command: journal its receipt, then let it have its effect, once per id."""
        if (taken := self._receipts.get(command.id)) is None:
            taken = asyncio.get_running_loop().create_task(self._taken(command))
            self._receipts[command.id] = taken
        return await uninterrupted(_result_of(taken))

    async def _taken(self, command: commands.Any) -> commands.Receipt:
        name = receipts.name_of(command)
        if (objection := self._objection(name, command)) is not None:
            return await self._refuse(command, *objection)
        if isinstance(command, commands.Resume) and (why := await why_open(self._plan.resources)):
            return await self._refuse(command, "equipment", why)
        if isinstance(command, commands.CutOff):
            self._off.begin()
            await self._effect(command)
            await self._accept(command)
            return await self._done(command)
        if isinstance(command, commands.Load):
            await self._load(command)
        await self._accept(command)
        overtaken = None if isinstance(command, commands.Load) else self._objection(name, command)
        if overtaken is not None:  # the state has changed while the receipt was written
            return await self._refuse(command, *overtaken)
        await self._effect(command)
        return await self._done(command)

    async def _done(self, command: commands.Any) -> commands.Receipt:
        """Return the receipt of a command that had its effect."""
        del command
        return commands.Receipt(ok=True, code="ok")

    def _objection(self, name: str, command: commands.Any) -> tuple[str, str] | None:
        """Return why a command cannot be taken now, as code and reason."""
        if objection := authority.objection(authority.Action(name), command.roles, self.state):
            return objection
        if isinstance(command, REASONED) and not command.reason:
            return "bad_arguments", f"{name} needs a reason"
        if isinstance(command, commands.Load):
            return authority.not_an_engineer(command.mode, command.roles)
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

    def _unknown_alarm(self, name: str, alarm: str) -> tuple[str, str] | None:
        if alarm not in self.alarms:
            return "not_found", f"{name}: there is no alarm {alarm!r}"
        return None

    async def _accept(self, command: commands.Any) -> None:
        stopping = isinstance(command, commands.Pause | commands.Abort)
        await (self._commit if stopping else self._record)(receipts.accepted(command, self._now))

    async def _refuse(self, command: commands.Any, code: str, reason: str) -> commands.Receipt:
        await self._commit(receipts.refused(command, self._now, code, reason))
        return commands.Receipt(ok=False, code=code, reason=reason)

    async def _effect(self, command: commands.Any) -> None:
        match command:
            case commands.Load():
                await self.shift(State.LOADED)
            case commands.Start() | commands.Check() | commands.Unload():
                await self._begins(command)
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
                self._beginning.wake()
                self._held.wake()
                self._wish(Wish.ABORT, at_once=isinstance(command, commands.CutOff))
            case _:
                await self._said(command)

    async def _begins(self, command: commands.Start | commands.Check | commands.Unload) -> None:
        """What is asked of a lot that does not run."""
        match command:
            case commands.Start():
                self._beginning.start()
            case commands.Check() if self.state is State.PAUSED:
                self._requests.take(command)
            case commands.Check():
                self._beginning.check()
            case commands.Unload() if self.state is State.CLOSED:
                self.state, was = State.EMPTY, self.state.value
                self._plan.bus.publish(events.StateChanged(at=self._now, old=was, new=self.state.value))
            case commands.Unload():
                self._beginning.unload()

    async def _said(self, command: commands.Any) -> None:
        """Journal what a person says, and pass on what the run is to do."""
        if (event := receipts.said(command, self._now)) is not None:
            await self._record(event)
        if isinstance(command, commands.Waive):
            self._waived.add(command.check)
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
            info = self._plan.describe(command)
            self._folder = self._plan.open_folder(info)
            self.alarms = self._folder.journal.alarms
            self.info = info
            self._steps = steps_of(info, self._plan.sequence, self._folder.journal, self._plan.clock)
            await self._record(events.LotLoaded(at=self._now, info=info))
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
        fresh = start and self.state is State.READY and beginning.holds(self._now)
        try:
            await self.shift(State.CHECKING)
            await (self._must_be_shut() if fresh else self._check(self.info))
            beginning.passed(self._now)
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
        run.overdue, run.boundary.check = self._plan.overdue, self._check_again
        if self._steps is not None:
            self._steps.say = run.boundary.note

    async def _check(self, info: LotInfo) -> None:
        """Whatever can be found out before a device is touched."""
        await self._must_be_shut()
        await prelot.checked(self._plan, info, self._record, self._waived)

    async def _must_be_shut(self) -> None:
        """Nothing is on, and every interlock is closed."""
        await self._must_be_safe()
        if why := await why_open(self._plan.resources):
            self._why = why
            raise Aborted

    async def _check_again(self) -> None:
        """Check a lot that is paused, with nothing in contact."""
        if self.state is State.PAUSED:
            await self.shift(State.CHECKING)
            await self._must_be_shut()
            await prelot.machines(self._plan, self._record, self._waived)
            await self.shift(State.PAUSED)

    async def _wait_for_release(self, hold: Hold, to: State) -> None:
        """Hold the lot until a person lets it go on `to` a state, and the cell is verified as safe."""
        self._held.begin(to)
        try:
            await self._hold(hold)
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
            await self._make_safe()
            self._go_on()
            if self.safe:
                return

    async def _hold(self, hold: Hold) -> None:
        self._was_held = True
        reason = str(hold)
        await self._make_safe()
        known = self._unsafe.removeprefix(NOT_SAFE) in reason
        self._held.by(hold)
        await self.shift(State.HELD, reason if known else reason + self._unsafe, cause=hold.cause.value)

    def leave(self) -> bool:
        """Have the run end with its lot open and paused, for the next start; false if it is not paused."""
        if self.state is State.PAUSED:
            self._wish(Wish.LEAVE)
        return self.state is State.PAUSED

    async def _leave(self) -> None:
        await self._make_safe()
        if not self.safe:
            await self._abort("the station is being stopped")

    async def _abort(self, reason: str) -> None:
        if self.state is State.CLOSED:  # it came while the last word was being written
            return
        await self.shift(State.ABORTING, reason)
        await self._make_safe()
        await self.shift(State.ABORTED, reason + self._unsafe)

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
        await self._must_be_safe()
        balance = folder.journal.balance
        if unsorted := balance.unsorted():
            raise Hold(f"the balance is open: devices {', '.join(map(str, unsorted))} are in contact")
        if folder.journal.failed:
            raise Hold(folder.journal.failed)
        if self._run is not None:
            await self._run.tell()
        self._go_on()
        await self.shift(State.CLOSING)

    async def _close(self, info: LotInfo, folder: Folder) -> None:
        balance = folder.journal.balance
        if self.stdf is None:
            self.stdf = await folder.records.finish(self._now)
        await self._settle(info, balance)
        self._go_on()
        accounts = balance.accounts()
        await self._record(
            events.LotClosed(
                at=self._now,
                lot=info.lot,
                outcome=_outcome(info, was_held=self._was_held),
                tested=balance.tested(),
                good=accounts.get("good", 0),
                accounts=accounts,
                stdf_sha256=sha256(self.stdf.read_bytes()).hexdigest(),
            )
        )
        await self.shift(State.CLOSED)

    async def _settle(self, info: LotInfo, balance: Balance) -> None:
        """Have the vault close the lot; a difference is a fault of custody, unless somebody signs for it."""
        if self._plan.vault is None:
            return
        try:
            await self._plan.vault.claim(info.lot, binned(balance, info.lot))
            self.vault_closing = await self._plan.vault.close_lot(info.lot)
        except CustodyError as error:
            if (signed := self._held.signed) is None:
                raise
            await self._record(
                events.BalanceSigned(
                    at=self._now,
                    difference=str(error),
                    actor=signed.actor,
                    reason=signed.reason,
                    second=signed.second,
                )
            )

    async def _must_be_safe(self) -> None:
        await self._make_safe()
        if not self.safe:
            raise Hold(f"the cell could not be made safe: {self._unsafe.removeprefix(NOT_SAFE)}", unsafe=True)

    async def _make_safe(self) -> None:
        await self._made_safe(*await self._off.safe())

    async def _made_safe(self, took: float, failed: Mapping[str, str]) -> None:
        self.safe, self.time_to_safe_s = not failed, took
        unsafe = "; ".join(f"{name}: {why}" for name, why in sorted(failed.items()))
        self._unsafe = f"{NOT_SAFE}{unsafe}" if failed else ""
        await self._commit(
            events.MadeSafe(at=self._now, time_to_safe_s=took, unverified=tuple(sorted(failed)))
        )

    # -- telling
    async def hear(self, machine: str, what: str, text: str) -> None:
        """Journal what has become of a machine beside the lot."""
        await self._commit(events.MachineTold(at=self._now, machine=machine, what=what, text=text))

    @property
    def retested(self) -> int:
        """How many contacts were second or later ones."""
        return 0 if self._run is None else self._run.retested

    @property
    def landings(self) -> int:
        """How often this run's lot has landed on devices so far; 0 before it runs."""
        return 0 if self._run is None else self._run.landings

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._plan.clock.unix()

    _now = now

    async def shift(self, new: State, reason: str = "", *, cause: str = "") -> None:
        """Go into another state of the life cycle, journalled before it counts."""
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
        takes = self._held.takes if cause else ()
        changed = events.StateChanged(
            at=self._now, old=old.value, new=new.value, reason=reason, cause=cause, takes=takes
        )
        await (self._record if new in FORWARD else self._commit)(changed)

    async def _record(self, event: events.Any) -> None:
        """Journal what the lot may not go on without; StorageError if it cannot be."""
        if self._folder is None:
            self._plan.bus.publish(event)
        else:
            await self._folder.journal.commit(event)

    async def _commit(self, event: events.Any) -> None:
        """Journal what happened; a journal that fails cannot keep a cell from becoming safe."""
        with suppress(StorageError):
            await self._record(event)

    async def _close_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is None:
            return
        try:
            await folder.records.close()
        finally:
            folder.journal.close()

    async def aclose(self) -> None:
        """Close the lot's files; a lot that is not closed may be taken up again later."""
        try:
            await self._off.over()
            await self._close_folder()
        finally:
            self._plan.bus.close()


def _outcome(info: LotInfo, *, was_held: bool) -> str:
    """Nobody ships what engineers have had in hand, whatever it came to."""
    if info.mode == ENGINEERING:
        return "ENGINEERING"
    return "FAILED" if was_held else "PASSED"


async def _result_of(task: asyncio.Task[T]) -> T:
    return await task
