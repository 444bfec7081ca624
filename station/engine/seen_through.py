"""How a task outlives its own cancellation where something must be brought to an end."""

import asyncio
from collections.abc import Coroutine

ABORT_BOUND_S = 30.0
"""How long an abort waits for a personalisation under way."""


def forgive() -> None:
    """Take the cancellation as said: the device ends here, its task goes on to give it a result."""
    if (task := asyncio.current_task()) is not None:
        task.uncancel()


async def seen_through(work: Coroutine[object, object, None]) -> None:
    """Await a personalisation to its end; an abort waits for it up to the bound, then cuts it short."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    deadline: float | None = None
    while not task.done():
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            task.cancel()
            deadline, left = None, None
        try:
            await asyncio.wait([task], timeout=left)
        except asyncio.CancelledError as error:
            if cancelled is None:
                cancelled, deadline = error, loop.time() + ABORT_BOUND_S
    task.result()
    if cancelled is not None:
        raise cancelled
