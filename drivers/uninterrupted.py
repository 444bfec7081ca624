"""Work that must come to its end though its task is cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from drivers.errors import EquipmentError

T = TypeVar("T")
CUT = "cut off"
"""Said by a cancellation that waits for nothing but what switches off, or is being written."""


class NotUndoneError(EquipmentError):
    """What a block switched on may still be on: nothing may move, and nobody may touch it."""


async def uninterrupted(work: Awaitable[T], *, bound_s: float | None = None, may_be_cut: bool = False) -> T:
    """Await `work` to its end even if cancelled meanwhile, then be cancelled; TimeoutError past `bound_s`.

    A failure of the work outweighs the cancellation: it is raised, so that nobody misses it. Work that
    `may_be_cut` is cancelled by a cancellation that says CUT.
    """
    task = asyncio.get_running_loop().create_task(_bounded(work, bound_s))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            if may_be_cut and error.args == (CUT,):
                task.cancel(CUT)
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result


def told_to_end() -> int:
    """How often the task that runs has been cancelled so far."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def heed(before: int = 0) -> None:
    """Be cancelled, if the task was told to end since `told_to_end` was `before` and a failure outweighed it.

    For whoever catches failures and tries again: he would never end. Not behind a TaskGroup of the same task:
    Python 3.11 counts the failure of its tasks as a cancellation of this one, and keeps it.
    """
    if told_to_end() > before:
        raise asyncio.CancelledError


async def undone(work: Awaitable[None], *, what: str, bound_s: float = 2.0) -> None:
    """Undo what a block did, whatever happens meanwhile; NotUndoneError if it fails or takes too long."""
    try:
        await uninterrupted(work, bound_s=bound_s)
    except TimeoutError:
        raise NotUndoneError(f"{what} not done within {bound_s:g} s") from None
    except EquipmentError as error:
        raise NotUndoneError(str(error)) from error


async def _bounded(work: Awaitable[T], bound_s: float | None) -> T:
    async with asyncio.timeout(bound_s):
        return await work
