"""PINs: what one may be, and how it is kept: Argon2id of an HMAC whose key is not in the database.

Six digits can be tried out in days, whatever the hash; so a stolen database is worth nothing without the
pepper, which is a credential of the service or a file of its own.
"""

import hmac
import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from station.custody import durable_file
from station.errors import ConfigError, StorageError

SHORTEST, LONGEST = 6, 12
PEPPER, PEPPER_BYTES = "pepper", 32
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd shows a service its credentials; that called `pepper` goes before the file."""
_RUNS = "01234567890123456789", "98765432109876543210"


class Cost:
    """What trying one PIN costs: memory in KiB, passes, lanes."""

    FULL = (64 * 1024, 3, 4)
    LOW = (8, 1, 1)
    """For tests."""


class Pins:
    """Makes and checks what is kept of a PIN."""

    def __init__(self, pepper: bytes, cost: tuple[int, int, int] = Cost.FULL) -> None:
        memory, passes, lanes = cost
        self._pepper = pepper
        self._hasher = PasswordHasher(passes, memory, lanes, type=Type.ID)
        self._nobodys = self._hasher.hash(os.urandom(16))

    def kept(self, pin: str) -> str:
        """Return what is kept of a PIN."""
        return self._hasher.hash(self._peppered(pin))

    def right(self, kept: str | None, pin: str) -> bool:
        """Whether a PIN is the one that is kept; without one it takes as long, and is wrong."""
        try:
            found = self._hasher.verify(self._nobodys if kept is None else kept, self._peppered(pin))
        except (VerificationError, InvalidHashError):
            return False
        return found and kept is not None

    def _peppered(self, pin: str) -> bytes:
        return hmac.digest(self._pepper, pin.encode(), "sha256")

    def badge(self, badge: str) -> bytes:
        """Return what is kept of a badge's number: it finds its person, and cannot be printed on a badge."""
        return hmac.digest(self._pepper, b"badge\0" + badge.encode(), sha256)


def weak(pin: str) -> str:
    """Say why nobody may have this PIN; empty if one may."""
    if not (pin.isascii() and pin.isdigit() and SHORTEST <= len(pin) <= LONGEST):
        return f"a PIN has {SHORTEST} to {LONGEST} digits"
    if len(set(pin)) <= 2 or any(pin in run for run in _RUNS):  # noqa: PLR2004 - 112112 is tried first
        return (
            "this PIN is among the first that anybody tries: take one with three digits at least, in no row"
        )
    return ""


def pepper(folder: Path) -> bytes:
    """Return the key of the service's credential, or of the folder's file, which is made if it is missing."""
    given = Path(os.environ.get(CREDENTIALS, "")) / PEPPER
    if os.environ.get(CREDENTIALS) and given.exists():
        return _checked(given, given.read_bytes())  # systemd guards it by an access list, which no mode shows
    path = folder / PEPPER
    if not path.exists():
        _draw(path)
    return _checked(path, _read(path))


def _checked(path: Path, content: bytes) -> bytes:
    if not content:
        raise ConfigError(
            f"{path}: it is empty, a first start was cut off: delete it if there are no accounts yet "
            "(no people.db beside it), else put it back from a backup"
        )
    if len(content) != PEPPER_BYTES:
        raise ConfigError(f"{path}: holds {len(content)} bytes, a pepper has {PEPPER_BYTES}")
    return content


def _draw(path: Path) -> None:
    try:
        with suppress(FileExistsError):  # another process was quicker, and its pepper is the one
            durable_file.create(path, os.urandom(PEPPER_BYTES))
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def _read(path: Path) -> bytes:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others can read it; its mode must be 0600")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
