"""A station that stands ready: lots come by command, one after another, until it is told to stop.

A lot that is open, from an earlier start or since it was aborted, is taken up before another one may come.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import msgspec

from drivers.errors import EquipmentError, TransportError
from station import commands, config_shelf, events, key_releases
from station.assemble import sequence_named
from station.authority import SEATS, Action, unseated
from station.between import WORKS, between
from station.clock import ClockWatch, RealClock
from station.config import StationConfig
from station.console import outlet
from station.console.wire import Hello
from station.door import Door, Waiting
from station.engine.bus import Subscription
from station.engine.cell import Cell
from station.engine.history import History
from station.engine.states import State
from station.errors import AnalysisError, ConfigError, CustodyError, SequenceError, StoppedError, StorageError
from station.golden_check import keep_of_lot
from station.io_thread import beside
from station.lot_folder import make_folder, remove_if_never_loaded
from station.lot_order import Attendance, LotOrder, RefusedError, study_in
from station.model import ENGINEERING
from station.open_lot import JOURNAL, epoch_after, history_in, open_lots
from station.recipe.shelf import NotFoundError, Shelf
from station.remote.link import Broker
from station.remote.presence import Inside, Presence, Settings, present
from station.report import LotReport
from station.run import LotSession
from station.self_test import self_tested
from station.set_up import Temperature
from station.stop import StopRequest
from station.study import must_know
from station.surroundings import EPOCH, Surroundings, simulated_station_file
from station.vault_beside import VaultBeside

CODES: tuple[tuple[type[Exception], str], ...] = (
    (StoppedError, "interrupted"),
    (NotFoundError, "not_found"),
    (ConfigError, "invalid_config"),
    (SequenceError, "invalid_recipe"),
    (TransportError, "comm_lost"),
    (EquipmentError, "equipment"),
    (CustodyError, "integrity"),
)
"""The code of a lot that could not be loaded."""
ERRORS = tuple(kind for kind, _ in CODES)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """What a station is to do with the lots that come."""

    config: StationConfig
    out: Path
    seed: int
    world: Callable[[StationConfig, LotOrder, float], Surroundings]
    """Make the surroundings of a lot, from a moment on (seconds since 1970, of simulated time)."""
    recipe: Path | None = None
    """The signed recipe under which its lots run."""
    temperature: Temperature | None = None
    """At which its lots are tested, unless the recipe says it."""
    recover: commands.Recover | None = None
    """Somebody has looked at the cell before the station was started."""
    data: Path = Path("station-data")
    """Where the station keeps what is no lot's."""


@dataclass(frozen=True)
class ConsoleOffer:
    """Where a console finds this station, and what it is told first."""

    socket: Path
    hello: Hello


class Service:
    """One cell, on the network or before a console, lot after lot."""

    def __init__(
        self, standing: Standing, network: tuple[Settings, Broker] | None, console: ConsoleOffer | None
    ) -> None:
        self._standing, self._network, self._console = standing, network, console
        self._recover = standing.recover
        self._shelf = Shelf(standing.data, standing.config, RealClock().unix)
        self._followers: list[Callable[[Path, int, Subscription], Awaitable[None]]] = []
        self._door = Door()
        self._clock = ClockWatch(RealClock().unix)
        self._stop: StopRequest | None = None
        self._stopping = False
        self._stops = threading.Lock()
        self._told: Callable[[LotReport], None] = lambda report: None
        self._vault: VaultBeside | None = None

    def run(self, ready: Callable[[Presence | None], None], told: Callable[[LotReport], None]) -> None:
        """Serve until `stop`; tell when the station is there, and of each lot that is over.

        ConfigError, EquipmentError, CustodyError: the lot that is open cannot be taken up here.
        """
        self._told = told
        left = self._left_open()
        if left is not None:
            self._door.expect()
        with self._online() as presence:
            ready(presence)
            if left is not None:
                self._run(self._taken_up(*left))
                self._until_closed(left[0])
            while (waiting := self._door.next_load()) is not None:
                if isinstance(waiting, Waiting):
                    self._lot(waiting)
                elif waiting.done.set_running_or_notify_cancel():
                    waiting.done.set_result(self._done(waiting.command))

    def _left_open(self) -> tuple[Path, History] | None:
        """Return the open lot that was in the cell last; of others somebody is told."""
        standing = self._standing
        found = sorted(open_lots(standing.out, standing.config.station.name), key=lambda one: one[1].at)
        for folder, _ in found[:-1]:
            log.warning("lot %s is open too: hardbin run --resume, when the cell is free", folder.name)
        return found[-1] if found else None

    def stop(self) -> None:
        """Finish the touchdown under way and end; a second time, end at once. On any thread."""
        self._door.close()
        with self._stops:
            self._stopping = True
            if self._stop is not None:
                self._stop.ask()

    @contextmanager
    def _online(self) -> Iterator[Presence | None]:
        """Be on the network and offer the console, as far as either is wanted."""
        with ExitStack() as stack:
            presence = None
            kept = partial(between, self._standing.data, self._inside.now, self._shelf)
            notes = stack.enter_context(beside("between", kept))
            self._door.between, notes.work = notes, self._door.work
            if self._network is not None:
                online = partial(present, *self._network, self._inside)
                presence = stack.enter_context(beside("remote", online))
                self._followers.append(presence.herald.follow)
                notes.heard.append(partial(presence.herald.noted, notes.path))
            if self._console is not None:
                inside = outlet.Inside(self._door.request, lambda: self._door.state)
                hello = msgspec.structs.replace(self._console.hello, notes=str(notes.path), **self._files)
                offer = partial(outlet.offered, self._console.socket, hello, inside)
                offered = stack.enter_context(beside("console", offer))
                self._followers.append(offered.follow)
                notes.heard.append(offered.noted)
            self._vault = stack.enter_context(VaultBeside(notes))
            self._vault.follow(self._standing.config)
            yield presence

    @property
    def _files(self) -> dict[str, str]:
        """What a console on this machine reads by itself."""
        standing = self._standing
        places = {"station_file": standing.config.source, "data": standing.data, "lots": standing.out}
        return {name: str(path.absolute()) for name, path in places.items()}

    @property
    def _inside(self) -> Inside:
        return Inside(self._door.request, lambda: self._door.state, RealClock().unix, self._clock.doubt)

    # -- between lots
    def _done(self, command: WORKS) -> tuple[commands.Receipt, events.Any | None]:
        """Do what is done while there is no cell; ConfigError, EquipmentError and the like are receipts."""
        try:
            match command:
                case commands.Apply():
                    return commands.Receipt(True, "ok"), self._applied(command)
                case commands.Test():
                    return self._tested(command)
                case commands.ReleaseKeys():
                    return self._released(command)
        except RefusedError as refused:
            return refused.receipt, None
        except ERRORS as error:
            return _receipt(error), None
        except OSError as error:
            return commands.Receipt(False, "integrity", str(error)), None

    def _applied(self, command: commands.Apply) -> events.ConfigApplied:
        standing = self._standing
        path = config_shelf.named(standing.data, command.config)
        if standing.config.source == simulated_station_file():
            raise ConfigError("this station has no file of its own: start it with --station FILE")
        config = config_shelf.taken_for(path, standing.config)
        found = config_shelf.changes(standing.config, config)
        if keys := config_shelf.fixed(found):
            raise ConfigError(
                f"a station that runs cannot take {', '.join(keys)}: start it anew with that file"
            )
        if keys := config_shelf.guarded(found):
            wrong = unseated(Action.APPLY, SEATS[Action.APPLY], command.persons)
            if wrong is not None:
                raise RefusedError(commands.Receipt(False, wrong[0], f"{', '.join(keys)}: {wrong[1]}"))
        config_shelf.put(path, config)
        self._standing = replace(standing, config=config)
        self._shelf.config = config
        if self._vault is not None and any(one.key.startswith("vault.") for one in found):
            self._vault.follow(config)
        return events.ConfigApplied(
            at=RealClock().unix(),
            config=path.stem,
            changed=tuple(one.key for one in found),
            actor=command.actor,
            second=command.second,
        )

    def _released(self, command: commands.ReleaseKeys) -> tuple[commands.Receipt, events.Any | None]:
        standing = self._standing
        statement = key_releases.named(standing.data, command.release)
        receipt = asyncio.run(key_releases.carried(standing.config, statement))
        now, name = RealClock().unix(), sha256(statement).hexdigest()
        told = events.KeysReleased(at=now, release=name, actor=command.actor)
        return receipt, told if receipt.ok else None

    def _tested(self, command: commands.Test) -> tuple[commands.Receipt, events.SelfTested]:
        standing = self._standing
        with TemporaryDirectory() as folder:
            order = LotOrder("selftest", 1, Path(folder) / "selftest", standing.seed)
            surroundings = standing.world(standing.config, order, EPOCH)
            with asyncio.Runner(loop_factory=surroundings.loop_factory) as runner:
                found = runner.run(self_tested(standing.config, surroundings, standing.out))
        told = events.SelfTested(
            at=RealClock().unix(),
            machines=found.machines,
            time_to_safe_s=found.time_to_safe_s,
            failed=dict(found.failed),
            actor=command.actor,
        )
        return commands.Receipt(not found.failed, "equipment" if found.failed else "ok", str(found)), told

    # -- one lot
    def _lot(self, waiting: Waiting) -> None:
        load, standing = waiting.load, self._standing
        order = LotOrder(
            load.lot,
            load.quantity,
            standing.out / load.lot,
            standing.seed,
            standing.recipe,
            standing.temperature,
            study_in(load),
            mode=ENGINEERING if isinstance(load, commands.Study) else load.mode,
        )
        loaded = partial(waiting.settle, commands.Receipt(True, "ok"))
        try:
            order = self._by_recipe(order, load.recipe)
            if order.study is not None:
                must_know(sequence_named(standing.config.cell.sequence), order.study)
            make_folder(order.folder)
            try:
                there = Attendance((load,), unattended=False, loaded=lambda _: loaded())
                self._run(_Life(order, there, unless_loaded=waiting.unless_loaded))
            finally:
                remove_if_never_loaded(order.folder)
        except ERRORS as error:
            log.warning("lot %s: %s", load.lot, error)
            waiting.settle(_receipt(error))
        finally:
            waiting.settle(commands.Receipt(False, "failed", "the station could not load it"))
            self._door.leave(waiting.unless_loaded)
        self._until_closed(order.folder)

    def _by_recipe(self, order: LotOrder, name: str) -> LotOrder:
        """Let the lot run by a recipe that is staged, if one is named; NotFoundError."""
        return replace(order, recipe=self._shelf.path(name)) if name else order

    def _until_closed(self, folder: Path) -> None:
        """Take a lot up that was held or aborted, for whoever will have looked at the cell."""
        while not self._stopping and (history := _left_in(folder)) is not None:
            self._door.expect()
            try:
                self._run(self._taken_up(folder, history))
            except ERRORS as error:
                log.warning("lot %s: %s", history.info.lot, error)
                return
        try:
            keep_of_lot(self._standing.config, folder)
        except (AnalysisError, StorageError) as error:
            log.warning("golden units: %s", error)

    def _taken_up(self, folder: Path, history: History) -> "_Life":
        info, standing = history.info, self._standing
        order = LotOrder(
            info.lot,
            info.quantity,
            folder,
            standing.seed,
            standing.recipe,
            info.tempered,
            info.study,
            again=True,
            began=info,
        )
        if standing.recipe is None:  # else the lot says whether it is the one that it began with
            order = self._by_recipe(order, info.limit_set.rpartition(" ")[2])
        recover, self._recover = self._recover, None
        there = Attendance((), unattended=False, recover=recover)
        return _Life(order, there, epoch_after(history), history.lines, State.ABORTED)

    def _run(self, life: "_Life") -> None:
        """Run a lot, and tell of it."""
        left = life.unless_loaded

        def loaded(cell: Cell[Any]) -> None:
            cells.append(cell)
            self._door.enter(cell)
            life.there.loaded(cell)

        cells: list[Cell[Any]] = []
        try:
            self._told(self._lived(life, loaded))
        finally:
            with self._stops:
                self._stop = None
            self._door.leave(cells[0].state if cells else left)

    def _lived(self, life: "_Life", loaded: Callable[[Cell[Any]], None]) -> LotReport:
        surroundings = self._standing.world(self._standing.config, life.order, life.epoch)
        there = replace(life.there, loaded=loaded)
        config = self._standing.config
        told = None if self._vault is None else self._vault.of_a_lot(config)
        session = LotSession(config, life.order, surroundings, perf_counter, there, told)
        with asyncio.Runner(loop_factory=surroundings.loop_factory) as runner:
            return runner.run(self._followed(session, life))

    async def _followed(self, session: LotSession, life: "_Life") -> LotReport:
        stop = StopRequest()
        with self._stops:
            self._stop = stop
            if self._stopping:
                stop.ask()
        journal = (life.order.folder / JOURNAL).absolute()
        return await session.run([partial(follow, journal, life.lines) for follow in self._followers], stop)


@dataclass(frozen=True)
class _Life:
    """One run of a lot: its first, or a later one of a lot that was left open."""

    order: LotOrder
    there: Attendance
    epoch: float = EPOCH
    lines: int = 0
    """Of its journal, before."""
    unless_loaded: State = State.EMPTY
    """How the cell stands if it does not come as far as that."""


def _left_in(folder: Path) -> History | None:
    try:
        return history_in(folder)
    except (ConfigError, StorageError):
        return None


def _receipt(error: Exception) -> commands.Receipt:
    if isinstance(error, RefusedError):
        return error.receipt
    code = next(code for kind, code in CODES if isinstance(error, kind))
    return commands.Receipt(False, code, str(error))
