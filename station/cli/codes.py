"""Exit codes, the same for every command; a number is never used again with another meaning."""

from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """What the caller of a command is told."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIG = 3
    NOT_FOUND = 4
    DENIED = 5
    DUAL = 6
    """Another person must approve, or may not approve this."""
    TRUST = 7
    """A signature by nobody who is trusted, or nothing to trust."""
    WRONG_STATE = 8
    TIMEOUT = 9
    EQUIPMENT = 10
    LINK = 11
    HELD = 12
    """The lot finished below yield, or is held."""
    INTEGRITY = 13
    BUSY = 14
    INTERRUPTED = 130


ANSWERS: Mapping[str, Exit] = {
    "ok": Exit.OK,
    "failed": Exit.UNEXPECTED,
    "bad_arguments": Exit.USAGE,
    "malformed": Exit.USAGE,
    "invalid_config": Exit.CONFIG,
    "invalid_order": Exit.CONFIG,
    "invalid_recipe": Exit.CONFIG,
    "not_found": Exit.NOT_FOUND,
    "denied": Exit.DENIED,
    "no_lease": Exit.DENIED,
    "not_remote": Exit.DENIED,
    "dual_pending": Exit.DUAL,
    "dual_denied": Exit.DUAL,
    "dual_expired": Exit.DUAL,
    "unsigned": Exit.TRUST,
    "unknown_key": Exit.TRUST,
    "bad_signature": Exit.TRUST,
    "wrong_audience": Exit.TRUST,
    "expired": Exit.TRUST,
    "wrong_epoch": Exit.TRUST,
    "replayed": Exit.TRUST,
    "stale_sequence": Exit.TRUST,
    "wrong_state": Exit.WRONG_STATE,
    "unsettled": Exit.WRONG_STATE,
    "timeout": Exit.TIMEOUT,
    "equipment": Exit.EQUIPMENT,
    "comm_lost": Exit.LINK,
    "integrity": Exit.INTEGRITY,
    "busy": Exit.BUSY,
    "interrupted": Exit.INTERRUPTED,
}
"""The exit code for each code that a station answers with; those of a desk are in `desk_access`."""
