"""Somebody wants a run to stop: a signal, first at the next touchdown boundary, then at once."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from drivers.uninterrupted import uninterrupted
from station import commands
from station.engine.cell import Cell
from station.errors import StoppedError

STOP_GRACE_S = 20.0
"""How long a touchdown under way may take to end after the first request to stop: twice a personalisation."""
ACTOR = "operator"
"""Whoever started the run: he stands at the machine."""


class StopRequest:
    """Somebody wants the run on this loop to stop: once at the next touchdown boundary, twice at once."""

    def __init__(self) -> None:
        self.times = 0
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def ask(self) -> None:
        """Called on any thread."""
        self.times += 1
        with suppress(RuntimeError):  # the loop is closed: the run has ended
            self._loop.call_soon_threadsafe(self.changed.set)


async def stopped(cell: Cell[Any], stop: StopRequest) -> None:
    """First request: pause and leave the lot so, abort if the grace is over first; second: abort at once.

    A pause that somebody else has asked for is waited for as well.
    The ids are none of an earlier run of the lot: a command has its effect once.
    """
    await stop.changed.wait()
    stop.changed.clear()
    pause, abort = (f"stop-{verb}-{cell.now:.3f}" for verb in ("pause", "abort"))
    receipt = await cell.request(commands.Pause(id=pause, actor=ACTOR, reason="stop requested"))
    if receipt.ok or cell.pausing:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await either(cell.paused.wait(), stop.changed.wait())
    if stop.times == 1 and cell.leave():
        await stop.changed.wait()
    await cell.request(commands.Abort(id=abort, actor=ACTOR, reason="stop requested"))


async def unless_stopped(work: Coroutine[Any, Any, None], stop: StopRequest) -> None:
    """Await `work`; StoppedError if somebody wants to stop meanwhile: without grace, nothing has begun."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await either(asyncio.wait([task]), stop.changed.wait())
        if stop.times:
            raise StoppedError("stopped before the lot began")
        task.result()
    finally:
        task.cancel()
        await uninterrupted(asyncio.wait([task]))


async def either(*waits: Coroutine[Any, Any, object]) -> None:
    """Await whichever is done first; the others are cancelled."""
    tasks = [asyncio.get_running_loop().create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
