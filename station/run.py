"""One lot on one cell, from its folder to its report: what `hardbin run` does."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import json

from station import assemble, commands
from station.authority import OPERATOR
from station.clock import Clock
from station.config import StationConfig
from station.custody.balance import Balance, balance_of
from station.custody.journal import Journal, read
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.engine.bus import Bus, Subscription
from station.engine.cell import Cell
from station.engine.lot_journal import LotJournal
from station.engine.lot_run import Bound
from station.engine.plan import Folder, Plan
from station.engine.records import Records
from station.engine.states import State
from station.errors import ConfigError, CustodyError, StoppedError, StorageError
from station.evidence.bundle import BUNDLE
from station.guard import guarded
from station.io_thread import IoThread
from station.model import LotInfo
from station.recipe.selection import with_recipe
from station.report import LotReport, bin_counts, claimed, compared, written
from station.rules import StopRules
from station.sequence import Retest, Sequence
from station.surroundings import Surroundings
from station.vault.client import ClientTls, VaultClient, VaultProcess
from station.vault.desk import development_order
from station.vault.desk.client import DeskClient

STOP_GRACE_S = 10.0
"""How long a touchdown under way may take to end after the first request to stop."""
ACTOR = "operator"
"""Whoever started the run: he stands at the machine."""
JOURNAL, STORE = "journal", "results.db"

Watch: TypeAlias = Callable[[Subscription], Awaitable[None]]
"""Follows the events of the lot until there are no more."""


@dataclass(frozen=True)
class LotOrder:
    """What is asked for; the folder is the lot's own and must not exist."""

    lot: str
    devices: int
    folder: Path
    seed: int
    recipe: Path | None = None
    trials: int = 1
    """How often each device is landed and tested, whatever its bin: more than once in a study."""


@dataclass(frozen=True)
class Attendance:
    """Who begins a lot and is there while it runs."""

    opening: tuple[commands.Any, ...]
    """The commands that are given first; the lot is not run if one of them is refused."""
    unattended: bool
    """Nobody is there who could release a hold: it ends the run."""
    loaded: Callable[[Cell[Any]], None] = lambda cell: None
    """Told of the cell when it has its lot."""


class RefusedError(ConfigError):
    """The cell has refused to begin the lot."""

    def __init__(self, receipt: commands.Receipt) -> None:
        super().__init__(receipt.reason)
        self.receipt = receipt


class StopRequest:
    """Somebody wants the run to stop: once at the next touchdown boundary, twice at once."""

    def __init__(self) -> None:
        self.times = 0
        self.changed = asyncio.Event()

    def ask(self) -> None:
        """Called by a signal handler on the loop."""
        self.times += 1
        self.changed.set()


def make_folder(folder: Path) -> None:
    """Make the lot's folder; ConfigError if there is one: a lot is never overwritten."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        reason = "a lot is never overwritten, choose another --lot or --out"
        raise ConfigError(f"{folder} exists: {reason}") from None
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error


def remove_if_never_loaded(folder: Path) -> None:
    """Remove the folder of a lot that never began: nothing half-written stays, the name is free again."""
    journal = folder / JOURNAL
    if not journal.exists() or journal.stat().st_size == 0:
        shutil.rmtree(folder, ignore_errors=True)


def studied(sequence: Sequence[Any], trials: int) -> Sequence[Any]:
    """Return a sequence for a study: each device is tested so often, no rule stops it, nothing is moved."""
    return replace(sequence, retest=Retest(always=trials - 1), rules=StopRules(), outliers=None, quality=None)


class LotSession:
    """Everything that lives for one lot: vault, machines, cell and files."""

    def __init__(
        self,
        config: StationConfig,
        order: LotOrder,
        surroundings: Surroundings,
        real_s: Callable[[], float],
        attendance: Attendance | None = None,
    ) -> None:
        self._config = config
        self._order = order
        self._attendance = attendance or started_here(order)
        self._surroundings = surroundings
        self._real_s = real_s
        named = assemble.sequence_named(config.cell.sequence)
        sequence, self._recipe = with_recipe(config, named, order.recipe)
        self._sequence = sequence if order.trials == 1 else studied(sequence, order.trials)
        self._bus = Bus()
        self._folder: Folder | None = None
        self._ordered_as = ""
        self._unexported: CustodyError | None = None

    async def run(self, watches: Iterable[Watch], stop: StopRequest) -> LotReport:
        """Run the lot; whatever happens, the outputs are off and the files closed when this returns."""
        began = self._real_s()
        async with AsyncExitStack() as stack:
            stack.callback(self._surroundings.close)
            self._surroundings.start()
            stack.push_async_callback(self._surroundings.settle)
            vault = await stack.enter_async_context(self._vault())
            made = assemble.equipment(self._config, self._surroundings)
            bound = assemble.bound(self._config, made, self._sequence, vault)
            stack.push_async_callback(made.aclose)
            await unless_stopped(made.connect(), stop)
            cell: Cell[Any] = Cell(self._plan(made, bound, vault))
            for watch in watches:
                watching = asyncio.get_running_loop().create_task(_watched(watch, self._bus.subscribe()))
                stack.push_async_callback(asyncio.wait, [watching])
            stack.push_async_callback(cell.aclose)
            await stack.enter_async_context(guarded(cell, made.resources, self._bus))
            loop_began = asyncio.get_running_loop().time()
            state = await self._through(cell, stop)
            took = asyncio.get_running_loop().time() - loop_began
            await self._leave_evidence(cell, state, vault)
        report = self._report(cell, state, took, self._real_s() - began)
        written(report, self._order.folder)
        if self._unexported is not None:
            raise self._unexported
        return report

    @asynccontextmanager
    async def _vault(self) -> AsyncGenerator[VaultClient | None, None]:
        """The vault that the station file names; by default one for development, of this lot's own."""
        if self._config.vault.mode == "none" or not assemble.needs_vault(self._sequence):
            yield None
            return
        if self._config.vault.mode == "running":
            async with reached(self._config, self._surroundings.clock) as client:
                yield client
            return
        clock = self._surroundings.clock
        async with AsyncExitStack() as stack:
            folder = self._order.folder / "vault"
            process = VaultProcess.start(folder, epoch=clock.unix(), seed=self._order.seed)
            stack.callback(process.stop)
            io = IoThread()
            stack.callback(io.stop)
            io.start()
            client = VaultClient(process.socket, clock=clock, io=io, station=self._config.station.name)
            stack.push_async_callback(client.aclose)
            if await client.connect() == "development" and self._sequence.personalises:
                client.order = await clock.answered(io.submit(self._ordered(process)), latency_s=0.0)
                self._ordered_as = f"{client.order}, development: its signers stand for nobody"
            yield client

    async def _ordered(self, process: VaultProcess) -> str:
        """A development vault has an order for exactly this lot made for it; in another, persons sign one."""
        now = self._surroundings.clock.unix()
        lot = development_order.Lot(
            name=self._order.lot,
            product=self._config.cell.product,
            quantity=self._order.devices,
            fingerprint=self._sequence.fingerprint(),
            station=self._config.station.name,
            now=now,
        )
        return await development_order.order(DeskClient(process.desk, told_time=now), lot)

    def _plan(self, made: assemble.Equipment, bound: Bound[Any], vault: VaultClient | None) -> Plan[Any]:
        return Plan(
            bound=bound,
            resources=made.resources,
            sequence=self._sequence,
            describe=self._describe,
            open_folder=self._open_folder,
            vault=vault,
            clock=self._surroundings.clock,
            bus=self._bus,
        )

    def _describe(self, command: commands.Load) -> LotInfo:
        config, sequence = self._config, self._sequence
        handler = next(placed for placed in config.equipment if placed.name == config.cell.handler)
        return LotInfo(
            lot=command.lot,
            sublot=command.sublot,
            product=config.cell.product,
            sequence=sequence.name,
            sequence_version=sequence.version,
            fingerprint=sequence.fingerprint().hex(),
            station=config.station.name,
            station_number=config.station.number,
            plant=config.station.plant,
            floor=config.station.floor,
            sites=tuple(config.sites),
            quantity=command.quantity,
            tests=sequence.definitions(),
            bins=sequence.all_bins(),
            pins=_pins(sequence),
            set_up=self._surroundings.clock.unix(),
            version=version("hardbin"),
            handler=handler.driver,
            handler_id=handler.name,
            limit_set=self._recipe,
            flow=config.cell.insertion,
            wafers=config.wafer,
        )

    def _open_folder(self, info: LotInfo) -> Folder:
        folder = self._order.folder
        journal = Journal(folder / JOURNAL)
        journal.open()
        records = Records(Store(folder / STORE), StdfFile(folder, info))
        self._folder = Folder(folder, LotJournal(journal, self._bus, self._surroundings.clock), records)
        return self._folder

    # -- the run of the lot
    async def _through(self, cell: Cell[Any], stop: StopRequest) -> State:
        there = self._attendance
        for command in there.opening:
            receipt = await cell.request(command)
            if not receipt.ok:
                raise RefusedError(receipt)
        there.loaded(cell)
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(_stopped(cell, stop))
            state = await cell.run_lot(unattended=there.unattended)
            stopping.cancel()
        return state

    async def _leave_evidence(self, cell: Cell[Any], state: State, vault: VaultClient | None) -> None:
        """Have the vault put the lot's evidence into its folder."""
        if vault is None or self._folder is None or cell.info is None:
            return
        claim = claimed(cell.info, self._folder.journal.balance, state.value, cell.retested)
        try:
            await vault.export(self._order.lot, self._order.folder, report=json.encode(claim))
        except CustodyError as error:
            if state is State.CLOSED:  # else there is a reason already, and the lot is not for the customer
                self._unexported = CustodyError(f"lot {self._order.lot} is closed without evidence: {error}")

    def _from_journal(self) -> Balance:
        """The balance once more, from the disk: what is compared is what was written."""
        return balance_of(read(self._order.folder / JOURNAL), identities=True)

    def _report(self, cell: Cell[Any], state: State, took_s: float, wall_s: float) -> LotReport:
        if self._folder is None or cell.info is None:
            raise StorageError("the lot was never loaded")
        balance = self._folder.journal.balance
        folder = self._order.folder
        return LotReport(
            lot=self._order.lot,
            state=state.value,
            reason="" if state is State.CLOSED else cell.reason,
            tested=balance.tested(),
            good=balance.accounts().get("good", 0),
            secured=balance.secured(),
            bins=bin_counts(cell.info, balance),
            retested=cell.retested,
            accounts=balance.accounts(),
            units_per_hour=round(balance.tested() * 3600 / took_s, 1) if took_s > 0 else 0.0,
            wall_s=round(wall_s, 3),
            simulated_s=round(self._surroundings.simulated_s, 6),
            time_to_safe_s=round(cell.time_to_safe_s, 6),
            stdf="" if cell.stdf is None else str(cell.stdf),
            store=str(folder / STORE),
            journal=str(folder / JOURNAL),
            order=self._ordered_as,
            vault_open="" if cell.vault_closing is None else cell.vault_closing.open,
            evidence=str(folder / BUNDLE) if (folder / BUNDLE).exists() else "",
            truth=compared(self._from_journal(), self._surroundings.truth()),
        )


def started_here(order: LotOrder) -> Attendance:
    """Whoever starts a run loads the lot, starts it, and does not stay."""
    load = commands.Load(id="load", actor=ACTOR, roles=OPERATOR, lot=order.lot, quantity=order.devices)
    start = commands.Start(id="start", actor=ACTOR, roles=OPERATOR)
    return Attendance((load, start), unattended=True)


def _pins(sequence: Sequence[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pin for definition in sequence.definitions() for pin in definition.pins))


async def _watched(watch: Watch, subscription: Subscription) -> None:
    """Whoever watches may be gone, as a closed pipe is: the lot goes on."""
    with suppress(OSError):
        await watch(subscription)


async def _stopped(cell: Cell[Any], stop: StopRequest) -> None:
    """First request: pause, and abort when that is reached or the grace is over; second: abort at once."""
    await stop.changed.wait()
    stop.changed.clear()
    receipt = await cell.request(commands.Pause(id="stop-pause", actor=ACTOR, reason="stop requested"))
    if receipt.ok:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await _first(cell.paused.wait(), stop.changed.wait())
    await cell.request(commands.Abort(id="stop-abort", actor=ACTOR, reason="stop requested"))


@asynccontextmanager
async def reached(config: StationConfig, clock: Clock) -> AsyncGenerator[VaultClient, None]:
    """A client of a vault that runs; ConfigError for wrong files, CustodyError if it does not answer."""
    table, here = config.vault, config.source.parent
    files = [here / one for one in (table.certificate, table.key, table.authority) if one]
    tls = ClientTls.read(*files) if files else None
    io = IoThread()
    io.start()
    try:
        client = VaultClient(table.address, clock=clock, io=io, station=config.station.name, tls=tls)
        client.order = table.order
        try:
            await client.connect()
            yield client
        finally:
            await client.aclose()
    finally:
        io.stop()


async def unless_stopped(work: Coroutine[Any, Any, None], stop: StopRequest) -> None:
    """Await `work`; StoppedError if somebody wants to stop meanwhile: without grace, nothing has begun."""
    task = asyncio.get_running_loop().create_task(work)
    await _first(asyncio.wait([task]), stop.changed.wait())
    if stop.times:
        task.cancel()
        await asyncio.wait([task])
        raise StoppedError("stopped before the lot began")
    task.result()


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.get_running_loop().create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
