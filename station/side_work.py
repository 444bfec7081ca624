"""Work that goes on beside something else: that it failed is seen."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

Running: TypeAlias = "asyncio.Future[Any] | Future[Any]"

log = logging.getLogger(__name__)


def seen(what: str, running: Running) -> None:
    """Have it logged when it fails, for what goes on without it: nobody may look at it before the end."""
    running.add_done_callback(partial(_look, what))


def _look(what: str, running: Running) -> None:
    if not running.cancelled() and (error := running.exception()) is not None:
        log.error("%s has failed, and is not there any more", what, exc_info=error)


@asynccontextmanager
async def working(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None, None]:
    """Have work go on while the block lasts; the block ends with its failure, in an ExceptionGroup."""
    failed: Exception | None = None
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one) for one in work]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below: a group would wrap it
            failed = error
        for task in running:
            task.cancel()
    if failed is not None:
        raise failed
