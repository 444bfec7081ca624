"""Work that must come to its end though its task is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from drivers.errors import EquipmentError

T = TypeVar("T")


class NotUndoneError(EquipmentError):
    """What a block switched on may still be on: nothing may move, and nobody may touch it."""


async def uninterrupted(work: Coroutine[Any, Any, T], *, bound_s: float | None = None) -> T:
    """Await `work` to its end even if cancelled meanwhile, then be cancelled; TimeoutError past `bound_s`.

    A failure of the work outweighs the cancellation: it is raised, so that nobody misses it.
    """
    task = asyncio.get_running_loop().create_task(_bounded(work, bound_s))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result


async def undone(work: Coroutine[Any, Any, None], *, what: str, bound_s: float = 2.0) -> None:
    """Undo what a block did, whatever happens meanwhile; NotUndoneError if it fails or takes too long."""
    try:
        await uninterrupted(work, bound_s=bound_s)
    except TimeoutError:
        raise NotUndoneError(f"{what} not done within {bound_s:g} s") from None
    except EquipmentError as error:
        raise NotUndoneError(str(error)) from error


async def _bounded(work: Coroutine[Any, Any, T], bound_s: float | None) -> T:
    async with asyncio.timeout(bound_s):
        return await work
