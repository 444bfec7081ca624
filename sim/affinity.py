"""One processor core for the threads of virtual time.

Only one of them runs at any instant. Left to the system they spread over the cores, and waking the next
one on another core costs as much as the work that it does until it passes the baton on. On one core the
thread that is woken must not displace the one that wakes it: that one still holds the interpreter's lock,
so the other would run into it and sleep again. The batch policy promises just this (sched(7)).
"""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/thread-self/stat")
_PROCESSOR = 36
"""Which field after the thread's name says where it runs, from 0: proc(5)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A thread, and how it might run before."""

    thread: int
    cores: frozenset[int]
    policy: int


class OneCore:
    """Keeps a thread, and those that it starts from then on, on the core where it runs; Linux alone can."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def keep(self) -> None:
        """Keep the calling thread where it is; a second call does nothing."""
        if self._kept is not None or not _STAT.exists():
            return
        here = int(_STAT.read_text().rpartition(")")[2].split()[_PROCESSOR])
        policy = os.sched_getscheduler(0)
        self._kept = _Kept(threading.get_native_id(), frozenset(os.sched_getaffinity(0)), policy)
        with suppress(OSError):  # a container may forbid either
            os.sched_setaffinity(0, {here})
            if policy == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    def free(self) -> None:
        """Let the thread that was kept run anywhere again; those that it started stay."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        with suppress(OSError):  # it has ended
            os.sched_setaffinity(kept.thread, kept.cores)
            if kept.policy == os.SCHED_OTHER:
                os.sched_setscheduler(kept.thread, kept.policy, os.sched_param(0))
