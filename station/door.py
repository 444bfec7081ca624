"""Where commands come in while lots come and go: to the cell if there is one, else to whoever makes it."""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from station import commands, events
from station.alarms import Alarms
from station.authority import Action, not_an_engineer, objection
from station.between import SAYINGS, WORKS, Between
from station.engine.cell import Cell
from station.engine.states import State

LOTS = 50
"""Of so many lots that are over the alarms are known."""
COMING = frozenset({State.LOADING, State.RECOVERING})
"""A lot is on its way, and there is no cell yet."""


@dataclass(frozen=True)
class Task:
    """What is to be done between lots, and where it is told what came of it."""

    command: WORKS
    done: "Future[tuple[commands.Receipt, events.Any | None]]"


@dataclass(frozen=True)
class Waiting:
    """A lot that is to be loaded, and where the receipt goes."""

    load: commands.Load
    receipt: "Future[commands.Receipt]"
    unless_loaded: State
    """How the cell stands if it is refused: as before."""

    def settle(self, receipt: commands.Receipt) -> None:
        """Give the receipt, if nobody has."""
        if not self.receipt.done():
            self.receipt.set_result(receipt)


class Asked:
    """A command on its way to a cell, whose loop is another thread's."""

    def __init__(self) -> None:
        self.answer: Future[commands.Receipt | None] = Future()
        """None: the cell was gone before it came to that."""
        self._task: asyncio.Task[commands.Receipt] | None = None

    def begin(self, cell: Cell[Any], command: commands.Any) -> None:
        """Have it judged, unless nobody waits any more; on the loop of the cell."""
        if self.answer.done():
            return
        loop = asyncio.get_running_loop()
        task = self._task = loop.create_task(cell.request(command))
        task.add_done_callback(self._done)
        self.answer.add_done_callback(partial(_cancel, loop, task))

    def _done(self, task: "asyncio.Task[commands.Receipt]") -> None:
        error = None if task.cancelled() else task.exception()
        with suppress(InvalidStateError):
            if error is not None:
                self.answer.set_exception(error)
            else:
                self.answer.set_result(None if task.cancelled() else task.result())

    def never(self) -> None:
        """There is no cell any more."""
        with suppress(InvalidStateError):
            self.answer.set_result(None)


def _cancel(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]", answer: "Future[Any]") -> None:
    if answer.cancelled():
        with suppress(RuntimeError):  # the loop is closed, and the task with it
            loop.call_soon_threadsafe(task.cancel)


class Door:
    """One door from whichever thread; `Cell.request` behind it is the only one that changes a cell."""

    def __init__(self, no_loads: commands.Receipt | None = None) -> None:
        """`no_loads`: what a lot that is to be loaded gets, where nobody would make it a cell."""
        self._no_loads = no_loads
        self.between: Between | None = None
        """Where goes what is said while no cell takes it."""
        self._past: deque[Alarms] = deque(maxlen=LOTS)
        self._left = State.EMPTY
        self._cell: tuple[Cell[Any], asyncio.AbstractEventLoop] | None = None
        self._loads: SimpleQueue[Waiting | Task | None] = SimpleQueue()
        self._entry = threading.Lock()
        """Of the queue: who enters was judged by a state that still holds."""
        self._latest: Waiting | None = None
        """Asked for again by its id, it has the same receipt."""
        self._coming = False
        """A lot has come in that nobody has begun with."""
        self._unanswered = set[Asked]()

    @property
    def state(self) -> State:
        """How the cell stands, or how it was left."""
        inside = self._cell
        return self._left if inside is None else inside[0].state

    async def request(self, command: commands.Any) -> commands.Receipt:
        """Take a command from another thread's loop; it is the cell that judges it if there is one."""
        if isinstance(command, commands.Load):
            return self._no_loads or await self._load(command)
        inside = self._cell
        if isinstance(command, WORKS | commands.Unload) and objection(
            _action(command), command.roles, self.state
        ):
            return self._refused(command)
        if isinstance(command, SAYINGS) and self.between is not None and not self._hears(command):
            return await self._said(self.between, command)
        if inside is None or isinstance(command, commands.Stage):
            return self._refused(command)
        return await self._asked(*inside, command)

    async def _said(self, between: Between, command: SAYINGS) -> commands.Receipt:
        """Have it heard where no cell does; of a closed lot that is put back nothing is left here."""
        after = max((alarms.latest for alarms in self._past), default=0.0)
        receipt = await between.request(command, self._unknown(command), after)
        if isinstance(command, commands.Unload) and receipt.ok:
            with self._entry:
                if self._cell is None and self._left is State.CLOSED:  # else another lot has come meanwhile
                    self._left = State.EMPTY
        return receipt

    async def _asked(
        self, cell: Cell[Any], loop: asyncio.AbstractEventLoop, command: commands.Any
    ) -> commands.Receipt:
        """Ask a cell on its loop, which may end before it comes to that."""
        asked = Asked()
        self._unanswered.add(asked)
        try:
            loop.call_soon_threadsafe(asked.begin, cell, command)
            if self._cell is None or self._cell[0] is not cell:
                asked.never()
            answer = await asyncio.wrap_future(asked.answer)
        except RuntimeError:  # the loop was closed at this moment
            answer = None
        finally:
            self._unanswered.discard(asked)
        return answer or self._refused(command)

    def _hears(self, command: SAYINGS) -> bool:
        """Whether it is for the cell: an alarm of a lot that is over is not."""
        if self._cell is None or isinstance(command, commands.Stage | WORKS):
            return False
        if isinstance(command, commands.Reason | commands.Unload) or command.alarm in self._cell[0].alarms:
            return True
        return not self._of_past(command.alarm)

    def _of_past(self, alarm: str) -> bool:
        """Whether it is of a lot that is over, or of none."""
        beside = () if self.between is None else (self.between.alarms,)
        return any(alarm in alarms for alarms in (*self._past, *beside))

    def _unknown(self, command: SAYINGS) -> str:
        if isinstance(command, commands.Reason | commands.Stage | commands.Unload | WORKS) or self._of_past(
            command.alarm
        ):
            return ""
        return f"there is no alarm {command.alarm!r}"

    async def _load(self, load: commands.Load) -> commands.Receipt:
        with self._entry:
            waiting = self._latest
            if waiting is None or waiting.load.id != load.id:
                roles = load.roles
                found = objection(_action(load), roles, self.state) or not_an_engineer(load.mode, roles)
                if found is not None:
                    return commands.Receipt(False, *found)
                before = State.CLOSED if self.state is State.CLOSED else State.EMPTY
                self._over(State.LOADING)
                self._coming = True
                waiting = self._latest = Waiting(load, Future(), before)
                self._loads.put(waiting)
        return await asyncio.shield(asyncio.wrap_future(waiting.receipt))

    def _refused(self, command: commands.Any) -> commands.Receipt:
        action = _action(command)
        code, reason = objection(action, command.roles, self.state) or (
            "wrong_state",
            f"{action}: the run of the lot has ended in state {self.state.value}",
        )
        return commands.Receipt(False, code, reason)

    # -- whoever makes the cells
    async def work(self, command: WORKS) -> tuple[commands.Receipt, events.Any | None]:
        """Have something done by whoever makes the cells; from any loop.

        It is refused once a lot has come in: it would wait for the end of that, and all others for it.
        """
        task = Task(command, Future())
        with self._entry:
            if (found := objection(_action(command), command.roles, self.state)) is not None:
                return commands.Receipt(False, *found), None
            self._loads.put(task)
        return await asyncio.wrap_future(task.done)

    def next_load(self) -> Waiting | Task | None:
        """Wait for the next lot or task, blocking; None when there will be none any more."""
        found = self._loads.get()
        if isinstance(found, Waiting):
            with self._entry:
                self._coming = False
        return found

    def close(self) -> None:
        """Let no more lots in; on any thread."""
        self._loads.put(None)

    def expect(self) -> None:
        """A lot that was left open is being taken up: no other one may be loaded."""
        with self._entry:
            self._over(State.RECOVERING)

    def enter(self, cell: Cell[Any]) -> None:
        """The cell has its lot: commands are for it. On its loop."""
        self._cell = cell, asyncio.get_running_loop()

    def leave(self, state: State) -> None:
        """There is no cell any more that could take a command; a lot that has come in meanwhile stays."""
        with self._entry:
            if not self._coming and (self._cell is not None or self._left in COMING):
                self._over(state)
        for asked in tuple(self._unanswered):
            asked.never()

    def _over(self, state: State) -> None:
        """Stand so, without a cell."""
        inside, self._cell, self._left = self._cell, None, state
        if inside is not None:
            self._past.append(inside[0].alarms)


def _action(command: commands.Any) -> Action:
    return Action(str(command.__struct_config__.tag))
