"""One test cell: its state, the one door for commands, and the life of a lot."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Generic, Protocol

from drivers.roles import Resource
from station import commands, events
from station.clock import Clock
from station.engine.bus import Bus
from station.engine.landing import Landing
from station.engine.lot_journal import LotJournal
from station.engine.lot_run import Aborted, Bound, Hold, LotRun, Wish
from station.engine.records import Records
from station.engine.safe_state import make_safe
from station.engine.states import LEGAL, State, may_follow
from station.errors import CustodyError, StorageError
from station.model import LotInfo
from station.sequence import S
from station.sequence import Sequence as TestSequence

WISHES: dict[type[commands.Command], Wish] = {
    commands.Pause: Wish.PAUSE,
    commands.Resume: Wish.GO_ON,
    commands.End: Wish.END,
    commands.Abort: Wish.ABORT,
}


class LotVault(Protocol):
    """The vault as a lot sees it."""

    async def open_lot(self, lot: str, *, product: str, quantity: int) -> None:
        """Tell the vault of the lot."""

    async def close_lot(self, lot: str) -> object:
        """Close it there; CustodyError while a unit of it is in work."""


@dataclass(frozen=True)
class Folder:
    """What a lot's results go into, opened when the lot is loaded."""

    path: Path
    journal: LotJournal
    records: Records


@dataclass(frozen=True)
class Plan(Generic[S]):
    """What a cell is made of: everything is bound, nothing is open but the equipment."""

    bound: Bound[S]
    resources: Sequence[Resource]
    sequence: TestSequence[S]
    describe: Callable[[commands.Load], LotInfo]
    open_folder: Callable[[LotInfo], Folder]
    vault: LotVault | None
    clock: Clock
    bus: Bus


class Cell(Generic[S]):
    """Runs one lot at a time. Everything that changes it comes in by `request`."""

    def __init__(self, plan: Plan[S]) -> None:
        self._plan = plan
        self.info: LotInfo | None = None
        self._folder: Folder | None = None
        self._run: LotRun[S] | None = None
        self._receipts: dict[str, commands.Receipt] = {}
        self._started = asyncio.Event()
        self._released = asyncio.Event()
        self._ended = self._aborted = self._was_held = False
        self.state = State.EMPTY
        self.reason = ""
        """Why the cell is in its state, where that needs a reason."""
        self.safe = True
        """False while an output may be on and nobody can tell."""
        self.stdf: Path | None = None
        self.time_to_safe_s = 0.0
        """How long the last safe state took, read-back included."""
        self.paused = asyncio.Event()
        """Set while the lot is paused at a touchdown boundary."""

    # -- the one door
    async def request(self, command: commands.Any) -> commands.Receipt:
        """Take a command: journal its receipt, then let it have its effect, once per id."""
        if (known := self._receipts.get(command.id)) is not None:
            return known
        name = str(command.__struct_config__.tag)
        receipt = await self._admit(name, command)
        self._receipts[command.id] = receipt
        if receipt.ok:
            await self._effect(command)
        return receipt

    async def _admit(self, name: str, command: commands.Any) -> commands.Receipt:
        if self.state not in LEGAL[name]:
            allowed = ", ".join(sorted(state.value for state in LEGAL[name]))
            reason = f"{name} in state {self.state.value}: it is legal in {allowed}"
            return await self._refuse(name, command, "wrong_state", reason)
        if isinstance(command, commands.Release) and not command.reason:
            return await self._refuse(name, command, "bad_arguments", "hold.release needs a reason")
        if isinstance(command, commands.Load):
            await self._load(command)
        await self._commit(
            events.CommandAccepted(
                at=self._now,
                id=command.id,
                command=name,
                actor=command.actor,
                source=command.source,
                reason=command.reason,
            )
        )
        return commands.Receipt(ok=True, code="ok")

    async def _refuse(self, name: str, command: commands.Any, code: str, reason: str) -> commands.Receipt:
        refused = events.CommandRefused(
            at=self._now, id=command.id, command=name, actor=command.actor, code=code, reason=reason
        )
        await self._commit(refused)
        return commands.Receipt(ok=False, code=code, reason=reason)

    async def _effect(self, command: commands.Any) -> None:
        match command:
            case commands.Load():
                await self.shift(State.LOADED)
            case commands.Start():
                self._started.set()
            case commands.Release():
                self._released.set()
            case commands.End() if self.state is State.HELD:
                self._ended = True
                self._released.set()
            case commands.Pause() | commands.Resume() | commands.End() | commands.Abort():
                if isinstance(command, commands.Pause):
                    await self.shift(State.PAUSING, command.reason)
                if isinstance(command, commands.Abort):
                    self._aborted = True
                    self._started.set()
                    self._released.set()
                self._wish(WISHES[type(command)])

    def _wish(self, wish: Wish) -> None:
        if self._run is not None:
            self._run.ask(wish)

    async def _load(self, command: commands.Load) -> None:
        info = self._plan.describe(command)
        self._folder = self._plan.open_folder(info)
        self.info = info
        self.state = State.LOADING
        await self._commit(events.LotLoaded(at=self._now, info=info))

    # -- the life of a lot
    async def run_lot(self, *, unattended: bool) -> State:
        """Run the lot until it is closed, aborted or, if `unattended`, held; return the state."""
        await self._started.wait()
        try:
            await self._lot(unattended=unattended)
        except Hold as hold:
            await self._hold(hold)
        except Aborted:
            await self._abort("asked for")
        except (StorageError, CustodyError) as error:
            await self._hold(Hold(str(error)))
        except asyncio.CancelledError:
            await self._abort("the station is being stopped")
            raise
        except BaseException as error:
            await self._abort(f"{type(error).__name__}: {error}")
            raise
        return self.state

    async def _lot(self, *, unattended: bool) -> None:
        if self.info is None or self._folder is None or self._aborted:
            raise Aborted
        await self.shift(State.CHECKING)
        await self._check(self.info)
        await self._folder.records.open(self.info)
        self._run = self._make_run(self.info, self._folder)
        await self.shift(State.RUNNING)
        while True:
            try:
                await self._run.run()
                break
            except Hold as hold:
                if unattended or hold.unsafe:
                    raise
                await self._wait_for_release(hold)
                if self._ended:
                    break
        await self._close(self.info, self._folder)

    def _make_run(self, info: LotInfo, folder: Folder) -> LotRun[S]:
        plan = self._plan
        landing = Landing(plan.bound.sites, plan.sequence, folder.journal, plan.clock, plan.bus)
        return LotRun(info, plan.bound, plan.sequence, landing, folder.records, folder.journal, self.shift)

    async def _check(self, info: LotInfo) -> None:
        """Whatever can be found out before a device is touched."""
        await self._make_safe()
        if not self.safe:
            raise Hold(f"the cell is not safe: {self.reason}", unsafe=True)
        hard = {bin_.hard for bin_ in info.bins}
        if missing := hard - self._plan.bound.handler.hard_bins:
            raise Hold(f"the handler cannot sort to hard bin {', '.join(map(str, sorted(missing)))}")
        if self._plan.vault is not None:
            await self._plan.vault.open_lot(info.lot, product=info.product, quantity=info.quantity)

    async def _wait_for_release(self, hold: Hold) -> None:
        await self._hold(hold)
        self._released.clear()
        await self._released.wait()
        if self._run is not None and not self._ended:
            self._run.ask(Wish.PAUSE)
            await self.shift(State.PAUSED)

    async def _hold(self, hold: Hold) -> None:
        self._was_held = True
        reason = str(hold)
        await self._make_safe()
        await self.shift(State.HELD, reason)

    async def _abort(self, reason: str) -> None:
        await self.shift(State.ABORTING, reason)
        await self._make_safe()
        await self.shift(State.ABORTED, reason)

    async def _close(self, info: LotInfo, folder: Folder) -> None:
        await self.shift(State.ENDING)
        await self._make_safe()
        await self.shift(State.CLOSING)
        self.stdf = await folder.records.finish(self._now)
        if self._plan.vault is not None:
            await self._plan.vault.close_lot(info.lot)
        balance = folder.journal.balance
        if "in contact" in balance.accounts():
            raise Hold(f"the balance is open: {balance.accounts()}")
        accounts = balance.accounts()
        await self._commit(
            events.LotClosed(
                at=self._now,
                lot=info.lot,
                outcome="FAILED" if self._was_held else "PASSED",
                tested=balance.tested(),
                good=accounts.get("good", 0),
                accounts=accounts,
                stdf_sha256=sha256(self.stdf.read_bytes()).hexdigest(),
            )
        )
        await self.shift(State.CLOSED)

    async def _make_safe(self) -> None:
        took, failed = await make_safe(self._plan.resources)
        self.safe, self.time_to_safe_s = not failed, took
        if failed:
            self.reason = "; ".join(f"{name}: {why}" for name, why in sorted(failed.items()))
        await self._commit(
            events.MadeSafe(at=self._now, time_to_safe_s=took, unverified=tuple(sorted(failed)))
        )

    # -- telling
    @property
    def retested(self) -> int:
        """How many contacts were second or later ones."""
        return 0 if self._run is None else self._run.retested

    @property
    def _now(self) -> float:
        return self._plan.clock.unix()

    async def shift(self, new: State, reason: str = "") -> None:
        """Go into another state of the life cycle, journalled before it counts."""
        old = self.state
        if old is new:
            return
        if not may_follow(old, new):
            raise AssertionError(f"{old.value} -> {new.value} is not a transition of the table")
        self.state, self.reason = new, reason or self.reason
        if new is State.PAUSED:
            self.paused.set()
        else:
            self.paused.clear()
        await self._commit(events.StateChanged(at=self._now, old=old.value, new=new.value, reason=reason))

    async def _commit(self, *happened: events.Any) -> None:
        """Journal what happened; a journal that fails cannot keep a cell from becoming safe."""
        if self._folder is None:
            for event in happened:
                self._plan.bus.publish(event)
            return
        try:
            await self._folder.journal.commit(*happened)
        except StorageError as error:
            self.reason = str(error)

    async def aclose(self) -> None:
        """Close the lot's files; a lot that is not closed may be taken up again later."""
        if self._folder is not None:
            await self._folder.records.close()
            self._folder.journal.close()
        self._plan.bus.close()
