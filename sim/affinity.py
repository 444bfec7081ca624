"""One processor core for the threads of virtual time.

Only one of them runs at any instant. Left to the system they spread over the cores, and waking the next
one on another core costs as much as the work that it does until it passes the baton on.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

_STAT = Path("/proc/thread-self/stat")
_PROCESSOR = 36
"""Which field after the thread's name says where it runs, from 0: proc(5)."""


class OneCore:
    """Keeps a thread, and those that it starts from then on, on the core where it runs; Linux alone can."""

    def __init__(self) -> None:
        self._kept: tuple[int, set[int]] | None = None

    def keep(self) -> None:
        """Keep the calling thread where it is; a second call does nothing."""
        if self._kept is not None or not _STAT.exists():
            return
        here = int(_STAT.read_text().rpartition(")")[2].split()[_PROCESSOR])
        self._kept = threading.get_native_id(), os.sched_getaffinity(0)
        with suppress(OSError):  # a container may forbid it
            os.sched_setaffinity(0, {here})

    def free(self) -> None:
        """Let the thread that was kept run anywhere again; those that it started stay."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(*kept)
