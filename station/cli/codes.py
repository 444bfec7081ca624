"""Exit codes, the same for every command; a number is never used again with another meaning."""

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
