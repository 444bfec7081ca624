"""Which software made a bundle."""

import platform
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from msgspec import Struct

LOCK = "requirements.lock"


class Versions(Struct, frozen=True, forbid_unknown_fields=True):
    """`versions.json`."""

    v: Literal[1]
    hardbin: str
    python: str
    lock_sha256: str
    """Of the file that names every package with its hash."""


def versions() -> Versions:
    """Ask the installation that runs."""
    digest = sha256(lock()).hexdigest()
    return Versions(v=1, hardbin=version("hardbin"), python=platform.python_version(), lock_sha256=digest)


def lock() -> bytes:
    """Return the lock file: in the package where it is installed, at the top of a source tree."""
    package = Path(__file__).resolve().parent.parent
    installed = package / LOCK
    return (installed if installed.exists() else package.parent / LOCK).read_bytes()
