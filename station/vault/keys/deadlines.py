"""How long each call to the key store's process may take."""

from station.vault.keys.calls import (
    Activate,
    Backup,
    Call,
    Decide,
    DecideSigned,
    Generate,
    Init,
    Load,
    LoadSealed,
    Move,
    OpenOrder,
    Repassphrase,
    Reshare,
    Restore,
    Trust,
    Zeroise,
)

SLOW: tuple[type[Call], ...] = (
    Init,
    Activate,
    Restore,
    Decide,
    DecideSigned,
    Repassphrase,
    Reshare,
    Backup,
    Trust,
    OpenOrder,
    Generate,
    Load,
    LoadSealed,
    Zeroise,
    Move,
)
"""Stretch passphrases, make keys, or write the file."""
SECONDS, SLOW_SECONDS = 5.0, 60.0


def deadline_s(call: Call) -> float:
    """How long a call may take before the process is killed."""
    return SLOW_SECONDS if isinstance(call, SLOW) else SECONDS
