"""A process that leaves no trace of its memory: no core dump, not dumpable, not swapped out."""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE = 1, 3, 4
MCL_CURRENT, MCL_FUTURE = 1, 2


@dataclass(frozen=True)
class Hardening:
    """What could be had."""

    memory_locked: bool
    dumpable: bool


def harden() -> Hardening:
    """Close the process to dumps and debuggers, and lock its memory where that is allowed.

    Memory is locked only without a bound on it: under a bound, stretching a passphrase would fail.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return Hardening(memory_locked=False, dumpable=True)
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    unbounded = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    locked = (unbounded or os.geteuid() == 0) and library.mlockall(MCL_CURRENT | MCL_FUTURE) == 0
    return Hardening(memory_locked=locked, dumpable=library.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)


def die_with_parent() -> None:
    """Have the kernel end this process with the one that started it, also while a module hangs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
