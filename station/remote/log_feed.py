"""The log of this process as messages: bounded, and never so many that the network suffers."""

import logging
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal, TypeAlias, cast

import msgspec

from station.remote.messages import Logged, utc

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
WAITING = 200
"""Lines that wait at most; of more, the oldest are lost."""
TEXT_MAX = 2000


class LogFeed(logging.Handler):
    """Takes lines from any thread; `take` is for one loop."""

    def __init__(self, waiting: int = WAITING) -> None:
        super().__init__(logging.INFO)
        self._waiting: deque[Logged] = deque(maxlen=waiting)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; called with our lock held."""
        self._lost += len(self._waiting) == self._waiting.maxlen
        level = cast("Level", record.levelname.lower())
        self._waiting.append(
            Logged(t=utc(record.created), level=level, logger=record.name, text=_text(record)[:TEXT_MAX])
        )

    def take(self, most: int) -> list[Logged]:
        """Return the oldest lines that wait; the first one says how many are gone before it."""
        self.acquire()
        try:
            found = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            if found:
                found[0] = msgspec.structs.replace(found[0], lost=self._lost)
                self._lost = 0
            return found
        finally:
            self.release()


def _text(record: logging.LogRecord) -> str:
    """Return what a line says; of an exception its kind alone, which names no value."""
    said = record.msg.get("event", "") if isinstance(record.msg, dict) else record.getMessage()
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return f"{said}: {type(error).__name__}" if error is not None else str(said)


@contextmanager
def fed(feed: LogFeed) -> Generator[None, None, None]:
    """Feed it while the block lasts; whatever else the log goes to, it still goes to."""
    root = logging.getLogger()
    alone = logging.lastResort if not root.handlers else None  # which counts only where there is no other
    handlers = [feed, *([] if alone is None else [alone])]
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
