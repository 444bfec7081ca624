"""One lot on one cell, from its folder to its report: what `hardbin run` does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeAlias

from msgspec import json, structs

from drivers.errors import EquipmentError
from station import assemble, binding, cell_record, commands, instruments, lot_file, second_pass
from station.cell_record import Quarantine
from station.config import StationConfig
from station.custody.journal import Journal, read
from station.datalog.rebuild import OpenRun
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.engine.averages import averaging
from station.engine.bound import Bound
from station.engine.bus import Bus, Subscription
from station.engine.cell import Cell
from station.engine.history import History, history_of
from station.engine.lot_journal import LotJournal
from station.engine.plan import Examined, Folder, Plan
from station.engine.records import Records
from station.engine.recount import Counters, Recount
from station.engine.resumed_cell import ResumedCell
from station.engine.states import State
from station.errors import ConfigError, CustodyError, StorageError
from station.golden_check import GOLDEN, GoldenWatch, golden_codes, golden_watch
from station.guard import guarded
from station.life import Life, Worn, worn
from station.lot_folder import STORE, VAULT
from station.lot_order import Attendance, LotOrder, RefusedError, started_here
from station.lot_vault import LotVault
from station.model import ENGINEERING, PRODUCTION, LotInfo
from station.open_lot import JOURNAL, PREVIOUS, besides, must_agree
from station.past_of_lot import past_of_lot
from station.production import must_be_released
from station.recipe.selection import with_recipe
from station.report import LotReport, claimed, written
from station.reporting import Ended, read_again, report_of
from station.sequence import Sequence as TestSequence
from station.set_up import Averaging
from station.stop import StopRequest, either, stopped, unless_stopped
from station.study import engineered, studied
from station.surroundings import Surroundings
from station.vault.client import VaultClient
from station.vault_watch import Tell

Watch: TypeAlias = Callable[[Subscription], Awaitable[None]]
"""Follows the events of the lot until there are no more."""


log = logging.getLogger(__name__)


class LotSession:
    """Everything that lives for one lot: vault, machines, cell and files."""

    def __init__(
        self,
        config: StationConfig,
        order: LotOrder,
        surroundings: Surroundings,
        real_s: Callable[[], float],
        attendance: Attendance | None = None,
        of_vault: Tell | None = None,
    ) -> None:
        """`of_vault` is told what the lot's vault says by itself, on a loop of its own."""
        self._config = config
        self._order = order
        self._attendance = attendance or started_here(order)
        self._surroundings = surroundings
        self._real_s, self._of_vault = real_s, of_vault
        named = assemble.sequence_named(config.cell.sequence)
        if isinstance(surroundings, assemble.Hardware):
            must_be_released(config, named)
        sequence, self._recipe, self._tempered = with_recipe(config, named, order.recipe, order.temperature)
        self._sequence = sequence if order.study is None else studied(sequence, order.study.trials)
        if order.second is not None:
            self._sequence = second_pass.rules_of(sequence)
        if self._mode == ENGINEERING:
            self._sequence = engineered(self._sequence)
        self._past = past_of_lot(order, config)
        self._golden, self._not_golden = self._golden_watch(sequence)
        self._golden_codes = golden_codes(config) if order.study is None else {}
        self._bus = Bus()
        self._folder: Folder | None = None
        self._inventory = instruments.Inventory()
        self._life = Life(config.assets, None, order.lot, Worn())
        self._ordered_as = ""
        self._unexported: CustodyError | None = None

    async def run(self, watches: Iterable[Watch], stop: StopRequest) -> LotReport:
        """Run the lot; whatever happens, the outputs are off and the files closed when this returns."""
        began = self._real_s()
        async with AsyncExitStack() as stack:
            stack.callback(self._surroundings.close)
            self._surroundings.start()
            stack.push_async_callback(self._surroundings.settle)
            at_vault = self._at_vault()
            needed = binding.needs_vault(self._sequence) and self._mode != ENGINEERING
            vault = await stack.enter_async_context(at_vault.opened(needed=needed))
            self._ordered_as = at_vault.ordered_as
            made = assemble.equipment(self._config, self._surroundings)
            bound = binding.bound(self._config, made.machines, self._sequence, vault, self._tempered)
            bound = replace(
                bound, quarantine=self._quarantine(made), golden=self._golden_codes, past=self._past.of
            )
            stack.push_async_callback(made.aclose)
            await unless_stopped(self._connected(made), stop)
            plan = self._plan(made, bound, vault)
            cell: Cell[Any] = ResumedCell(plan) if self._order.again else Cell(plan)
            for watch in watches:
                watching = asyncio.get_running_loop().create_task(_watched(watch, self._bus.subscribe()))
                stack.push_async_callback(asyncio.wait, [watching])
            stack.push_async_callback(cell.aclose)
            await stack.enter_async_context(guarded(cell, made.resources, self._bus))
            loop_began = asyncio.get_running_loop().time()
            stack.push_async_callback(self._kept, cell)
            state = await self._through(cell, stop)
            took = asyncio.get_running_loop().time() - loop_began
            await self._leave_evidence(cell, state, vault)
        report = self._report(cell, state, took, self._real_s() - began)
        written(report, self._order.folder)
        if self._unexported is not None:
            raise self._unexported
        return report

    @property
    def _mode(self) -> str:
        began = self._order.began
        return (self._order.mode if began is None else began.mode) or PRODUCTION

    def _golden_watch(self, sequence: TestSequence[Any]) -> tuple[GoldenWatch | None, str]:
        """Return the watch, or what is wrong with its last check if somebody is there to answer for it."""
        if self._order.study is not None:
            return None, ""
        try:
            return golden_watch(self._config, sequence), ""
        except ConfigError as error:
            if self._attendance.unattended:
                raise
            return None, str(error)

    def _quarantine(self, made: assemble.Equipment) -> Quarantine:
        """Put out of use what earlier lots have left so."""
        hardware = isinstance(self._surroundings, assemble.Hardware)
        path = cell_record.place(self._config, self._order.folder.parent, hardware=hardware)
        self._life = Life(self._config.assets, path, self._order.lot, worn(path))
        found = Quarantine(path, self._surroundings.clock, made.resources)
        found.begin()
        return found

    async def _connected(self, made: assemble.Equipment) -> None:
        """Open the machines; of a lot that was left open, one that does not answer makes the cell unsafe."""
        try:
            await made.connect()
        except EquipmentError as error:
            if not self._order.again:
                raise
            log.warning("%s", error)
        self._inventory = await instruments.read(self._config, made.machines)

    def _at_vault(self) -> LotVault:
        order = self._order
        return LotVault(
            self._config,
            self._sequence,
            self._surroundings.clock,
            order.lot,
            order.devices,
            order.folder / VAULT,
            None if order.again else order.seed,
            self._of_vault,
        )

    def _plan(self, made: assemble.Equipment, bound: Bound[Any], vault: VaultClient | None) -> Plan[Any]:
        bound.handler.landed_before = self._life.landed
        self._life.cleanings = lambda: bound.handler.cleanings
        return Plan(
            bound=bound,
            resources=made.resources,
            sequence=self._sequence,
            describe=self._describe,
            open_folder=self._open_folder,
            reopen_folder=self._reopen_folder,
            vault=vault,
            clock=self._surroundings.clock,
            bus=self._bus,
            examine=self._examined,
            overdue=self._overdue,
            assets=[one.name for one in self._config.assets],
            greeting=None if vault is None else vault.greeting,
        )

    async def _kept(self, cell: Cell[Any]) -> None:
        """Count the touchdowns; a record that cannot be written costs no lot."""
        try:
            await self._life.keep(cell.landings, self._surroundings.clock.unix())
        except StorageError as error:
            log.warning("touchdowns are not counted: %s", error)

    def _examined(self, at: float) -> Examined:
        """Look at the machines, and at what somebody may answer for."""
        found = self._life.examined(instruments.examined(self._config, self._inventory, at), at)
        more = {GOLDEN: self._not_golden, PREVIOUS: self._left_before()}
        waivable = {name: seen for name, seen in more.items() if seen}
        return replace(found, waivable={**found.waivable, **waivable})

    def _left_before(self) -> str:
        """Say which lots of a real cell are open besides this one."""
        if not isinstance(self._surroundings, assemble.Hardware):
            return ""
        return besides(self._order.folder, self._config.station.name)

    def _overdue(self, now: float, landings: int, waived: Collection[str]) -> str:
        needed = self._golden is not None and GOLDEN not in waived
        golden = self._golden.overdue(now, landings) if needed and self._golden is not None else ""
        return "; ".join(filter(None, (golden, self._life.overdue(landings))))

    def _averaging(self) -> Averaging | None:
        """Return how part averages are made; in a second pass they are those of the passes before."""
        found, second = averaging(self._sequence), self._order.second
        if found is None or second is None:
            return found
        out = self._order.folder.parent
        return second_pass.going_on(found, out, second, self._sequence.definitions(), self._config.sites)

    def _describe(self, command: commands.Load) -> LotInfo:
        config, sequence, study = self._config, self._sequence, self._order.study
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
            mode=self._mode,
            tests=sequence.definitions(),
            bins=sequence.all_bins(),
            pins=lot_file.pins(sequence),
            set_up=self._surroundings.clock.unix(),
            version=version("hardbin"),
            handler=handler.driver,
            handler_id=handler.name,
            limit_set=self._recipe,
            flow=config.cell.insertion,
            wafers=config.wafer,
            offsets=sequence.offsets,
            temperature="" if self._tempered is None else f"{self._tempered.celsius:g}",
            tempered=self._tempered,
            instruments=self._inventory.instruments,
            bindings=instruments.bindings(config),
            software=instruments.software(),
            averaging=self._averaging(),
            second_pass=self._order.second,
            study=study,
            operator="" if study is None else study.operator,
            earlier=self._past.runs,
            traced=self._past.traced,
            datalog=lot_file.datalog(config, sequence),
        )

    def _open_folder(self, info: LotInfo) -> Folder:
        folder = self._order.folder
        journal = Journal(folder / JOURNAL)
        journal.open()
        store = Store(folder / STORE)
        records = Records(store, StdfFile(folder, info), OpenRun(store, info, folder))
        self._folder = Folder(folder, LotJournal(journal, self._bus, self._surroundings.clock), records)
        return self._folder

    def _reopen_folder(self) -> tuple[Folder, History]:
        happened = list(read(self._order.folder / JOURNAL))
        counters = Counters.of(self._sequence, self._order.devices)
        history = history_of(happened, Recount(counters, self._sequence.all_bins()))
        load = commands.Load(id="", actor="", lot=history.info.lot, quantity=history.info.quantity)
        now = self._describe(load)
        must_agree(history.info, now)
        self._refit(history, now)
        history.past_lost = self._past.gone
        folder = self._open_folder(history.info)
        folder.journal.recall(happened)
        return folder, history

    def _refit(self, history: History, now: LotInfo) -> None:
        """Note what the lot has from here on: machines that were replaced, other software."""
        was, since = history.info, history.seq + 1
        heard = [one for one in now.instruments if one.name not in self._inventory.silent]
        history.info = structs.replace(
            was,
            instruments=instruments.followed(was.instruments, heard, since),
            software=instruments.followed(was.software, now.software, since),
        )
        history.refitted = history.info != was

    # -- the run of the lot
    async def _through(self, cell: Cell[Any], stop: StopRequest) -> State:
        there = self._attendance
        if isinstance(cell, ResumedCell):
            await self._taken_up(cell, there)
        if cell.state is not State.ABORTED:
            await _opened(cell, there.opening)
        there.loaded(cell)
        if cell.state is State.ABORTED:
            await either(cell.paused.wait(), stop.changed.wait())
            if cell.state is State.ABORTED:
                return cell.state
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(stopped(cell, stop))
            state = await cell.run_lot(unattended=there.unattended)
            stopping.cancel()
        return state

    async def _taken_up(self, cell: ResumedCell[Any], there: Attendance) -> None:
        """RefusedError unless the lot can go on: somebody must look at the cell, or has not said enough.

        If somebody is there, it is left ABORTED, and waits for him.
        """
        recover = there.recover
        await cell.take_up(looked_at=recover is not None and bool(recover.found or recover.cleared))
        if cell.state is State.ABORTED and (there.unattended or recover is not None):
            unlooked = commands.Receipt(False, "wrong_state", f"{cell.reason}: cell.recover is needed")
            receipt = unlooked if recover is None else await cell.request(recover)
            if not receipt.ok:
                raise RefusedError(receipt)

    async def _leave_evidence(self, cell: Cell[Any], state: State, vault: VaultClient | None) -> None:
        """Have the vault put the lot's evidence into its folder."""
        if vault is None or self._folder is None or cell.info is None or state is State.EMPTY:
            return
        claim = claimed(cell.info, self._folder.journal.balance, state.value, cell.retested)
        try:
            await vault.export(self._order.lot, self._order.folder, report=json.encode(claim))
        except CustodyError as error:
            if state is State.CLOSED:  # else there is a reason already, and the lot is not for the customer
                self._unexported = CustodyError(self._without(error))

    def _without(self, error: CustodyError) -> str:
        folder = self._order.folder
        later = f"; `hardbin evidence export {folder}` makes it" if (folder / VAULT).is_dir() else ""
        return f"lot {self._order.lot} is closed without evidence: {error}{later}"

    def _report(self, cell: Cell[Any], state: State, took_s: float, wall_s: float) -> LotReport:
        if self._folder is None or cell.info is None:
            raise StorageError("the lot was never loaded")
        world, folder = self._surroundings, self._order.folder
        knows = self._past.knows if self._past.runs or self._past.gone else None
        withheld = self._mode == ENGINEERING and binding.needs_vault(self._sequence)
        truth = () if withheld else world.truth()  # no device of it can be complete
        again = read_again(folder / JOURNAL, truth, self._sequence, knows)
        balance = self._folder.journal.balance
        ended = Ended(state, balance, self._ordered_as, took_s, wall_s, world.simulated_s)
        return report_of(cell, cell.info, folder, ended, again)


async def _opened(cell: Cell[Any], opening: Iterable[commands.Any]) -> None:
    for command in opening:
        receipt = await cell.request(command)
        if not receipt.ok:
            raise RefusedError(receipt)


async def _watched(watch: Watch, subscription: Subscription) -> None:
    """Whoever watches may be gone, as a closed pipe is: the lot goes on."""
    with suppress(OSError):
        await watch(subscription)
