"""Where a station is killed on purpose: at a record of its journal, a step of store or file, or a time."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from station.custody.journal import Journal
from station.datalog.stdf.file import StdfFile
from station.datalog.store import Store
from station.engine.cell import Cell
from station.run import LotSession

STEPS: dict[str, tuple[type, str]] = {
    "record": (Journal, "_append"),
    "store": (Store, "commit"),
    "finish": (Store, "finish"),
    "file": (StdfFile, "touchdown"),
    "close": (StdfFile, "close"),
}
"""What can be counted: a write of the journal, a landing in the store or the file, and the end of both."""
MOMENTS = ("before", "torn", "after")


class Kill(NamedTuple):
    """One SIGKILL; `time` counts virtual seconds from the beginning of the run."""

    point: str
    number: float
    moment: str = "after"

    def __str__(self) -> str:
        return f"{self.point}:{self.number:g}:{self.moment}"


def parsed(text: str) -> Kill:
    """Read a kill as `str` writes it; ValueError says what is allowed."""
    point, _, rest = text.partition(":")
    number, _, moment = rest.partition(":")
    if point not in (*STEPS, "time") or moment not in MOMENTS or (moment == "torn" and point != "record"):
        raise ValueError(
            f"kill {text!r}: write POINT:NUMBER:MOMENT; points are {', '.join(STEPS)} and time, moments "
            "before and after, of a record also torn"
        )
    return Kill(point, float(number), moment)


def armed(kill: Kill) -> None:
    """Have this process killed there. For a process that was made for it: nothing is put back."""
    if kill.point == "time":
        _at_time(kill.number)
        return
    owner, name = STEPS[kill.point]
    setattr(owner, name, _counted(getattr(owner, name), kill))


def _counted(step: Callable[..., Any], kill: Kill) -> Callable[..., Any]:
    passed = 0

    @wraps(step)
    def counted(*args: Any) -> Any:  # noqa: ANN401 - whatever the step takes
        nonlocal passed
        passed += 1
        if passed < kill.number:
            return step(*args)
        if kill.moment == "torn":
            _half(step, args[0], args[1])
        elif kill.moment == "after":
            step(*args)
        die()
        return None

    return counted


def _half(append: Callable[..., Any], journal: Journal, entries: list[Any]) -> None:
    """Write the records without the end of the last one."""
    write = journal._write  # noqa: SLF001 - what a power cut leaves is not the journal's own doing
    journal._write = lambda data: write(data[: len(data) - 7])  # type: ignore[method-assign]  # noqa: SLF001
    append(journal, entries)


def _at_time(after_s: float) -> None:
    """So many seconds after the lot began to run, unless its report is written by then."""
    begin, session = Cell.run_lot, LotSession.run
    timers = list[asyncio.TimerHandle]()

    async def timed(cell: Cell[Any], *, unattended: bool) -> Any:  # noqa: ANN401 - as the cell has it
        timers.append(asyncio.get_running_loop().call_later(after_s, die))
        return await begin(cell, unattended=unattended)

    async def bounded(lot: LotSession, *args: Any) -> Any:  # noqa: ANN401 - as the session has it
        try:
            return await session(lot, *args)
        finally:
            while timers:
                timers.pop().cancel()

    setattr(Cell, "run_lot", timed)  # noqa: B010 - what was a method stays one
    setattr(LotSession, "run", bounded)  # noqa: B010 - as above


def die() -> None:
    """SIGKILL: nothing of this process is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)
