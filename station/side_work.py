"""Work that goes on beside something else: that it died is said."""

import asyncio
import logging

log = logging.getLogger(__name__)


def seen(running: "asyncio.Task[None]") -> None:
    """Have a task's failure logged when it fails: nobody may look at it before the end."""
    running.add_done_callback(_look)


def _look(running: "asyncio.Task[None]") -> None:
    if not running.cancelled() and (error := running.exception()) is not None:
        log.error("%s has failed, and is not there any more", running.get_name(), exc_info=error)
