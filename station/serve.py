"""A station that stands ready: lots come by command, one after another, until it is told to stop."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from drivers.errors import EquipmentError, TransportError
from station import commands
from station.clock import RealClock
from station.config import StationConfig
from station.console import outlet
from station.console.wire import Hello
from station.door import Door, Waiting
from station.engine.bus import Subscription
from station.engine.cell import Cell
from station.engine.states import State
from station.errors import ConfigError, CustodyError, SequenceError, StoppedError
from station.io_thread import beside
from station.open_lot import JOURNAL
from station.remote.link import Broker
from station.remote.presence import Inside, Presence, Settings, present
from station.report import LotReport
from station.run import (
    Attendance,
    LotOrder,
    LotSession,
    RefusedError,
    StopRequest,
    make_folder,
    remove_if_never_loaded,
)
from station.surroundings import Surroundings

CODES: tuple[tuple[type[Exception], str], ...] = (
    (StoppedError, "interrupted"),
    (ConfigError, "invalid_config"),
    (SequenceError, "invalid_recipe"),
    (TransportError, "comm_lost"),
    (EquipmentError, "equipment"),
    (CustodyError, "integrity"),
)
"""The code of a lot that could not be loaded."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """What a station is to do with the lots that come."""

    config: StationConfig
    out: Path
    seed: int
    world: Callable[[str, int], Surroundings]
    """Make the surroundings of a lot of so many devices."""
    recipe: Path | None = None
    """The signed recipe under which its lots run."""


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
        self._followers: list[Callable[[Path, Subscription], Awaitable[None]]] = []
        self._door = Door()
        self._stop: StopRequest | None = None
        self._told: Callable[[LotReport], None] = lambda report: None

    def run(self, ready: Callable[[Presence | None], None], told: Callable[[LotReport], None]) -> None:
        """Serve until `stop`; tell when the station is there, and of each lot that is over."""
        self._told = told
        with self._online() as presence:
            ready(presence)
            while (waiting := self._door.next_load()) is not None:
                with self._signals():
                    self._lot(waiting)

    def stop(self) -> None:
        """Finish the touchdown under way and end; a second time, end at once. Of signal handlers."""
        self._door.close()
        if self._stop is not None:
            self._stop.ask()

    @contextmanager
    def _online(self) -> Iterator[Presence | None]:
        """Be on the network and offer the console, as far as either is wanted."""
        with ExitStack() as stack:
            presence = None
            if self._network is not None:
                online = partial(present, *self._network, self._inside)
                presence = stack.enter_context(beside("remote", online))
                self._followers.append(presence.herald.follow)
            if self._console is not None:
                inside = outlet.Inside(self._door.request, lambda: self._door.state)
                offer = partial(outlet.offered, self._console.socket, self._console.hello, inside)
                self._followers.append(stack.enter_context(beside("console", offer)).follow)
            yield presence

    @property
    def _inside(self) -> Inside:
        return Inside(self._door.request, lambda: self._door.state, RealClock().unix)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The loop of a lot takes signals over; afterwards they are ours again."""
        ours = threading.current_thread() is threading.main_thread()
        before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)} if ours else {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- one lot
    def _lot(self, waiting: Waiting) -> None:
        load, standing = waiting.load, self._standing
        order = LotOrder(load.lot, load.quantity, standing.out / load.lot, standing.seed, standing.recipe)
        left = State.EMPTY
        cells: list[Cell[Any]] = []
        try:
            make_folder(order.folder)
            try:
                self._told(self._run(order, waiting, cells))
            finally:
                remove_if_never_loaded(order.folder)
        except (ConfigError, SequenceError, EquipmentError, CustodyError, StoppedError) as error:
            log.warning("lot %s: %s", load.lot, error)
            waiting.settle(_receipt(error))
        finally:
            if cells:
                left = cells[0].state
            self._stop = None
            self._door.leave(left)
            waiting.settle(commands.Receipt(False, "failed", "the station could not load it"))

    def _run(self, order: LotOrder, waiting: Waiting, cells: list[Cell[Any]]) -> LotReport:
        surroundings = self._standing.world(order.lot, order.devices)

        def loaded(cell: Cell[Any]) -> None:
            cells.append(cell)
            self._door.enter(cell)
            waiting.settle(commands.Receipt(True, "ok"))

        attendance = Attendance((waiting.load,), unattended=False, loaded=loaded)
        session = LotSession(self._standing.config, order, surroundings, perf_counter, attendance)
        journal = (order.folder / JOURNAL).absolute()
        with asyncio.Runner(loop_factory=surroundings.loop_factory) as runner:
            return runner.run(self._followed(session, journal))

    async def _followed(self, session: LotSession, journal: Path) -> LotReport:
        stop = self._stop = StopRequest()
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
        return await session.run([partial(follow, journal) for follow in self._followers], stop)


def _receipt(error: Exception) -> commands.Receipt:
    if isinstance(error, RefusedError):
        return error.receipt
    code = next(code for kind, code in CODES if isinstance(error, kind))
    return commands.Receipt(False, code, str(error))
