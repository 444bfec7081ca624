"""A release as it travels: a folder of wheels and pages, and a statement over it that two persons sign."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from station.errors import ConfigError, UntrustedError
from station.recipe.trust import Trust
from station.vault.desk.statement import Statement, StatementError, opened

STATEMENT = "release.json"
LOCK = "release.lock"
"""What pip installs: every package, and hardbin itself, by SHA-256."""
WHEELS = "wheels"
SHARE = "share"
"""Manual pages and completions, made when the release was."""
Version = Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+-]{0,31}\Z")]


class Release(Statement, frozen=True, kw_only=True):
    """What is signed: the version, and each file by its SHA-256."""

    typ: Literal["hardbin.release.v1"] = "hardbin.release.v1"
    version: Version
    made: int
    """Seconds since 1970."""
    files: dict[str, str]


def described(folder: Path, version: str, made: int) -> Release:
    """Describe a folder that is to be released; ConfigError if it is none."""
    if not (folder / LOCK).is_file() or not (folder / WHEELS).is_dir():
        raise ConfigError(f"{folder}: a release has {LOCK} and {WHEELS}/")
    return Release(version=version, made=made, files=dict(_files(folder)))


def believed(folder: Path, trust: Trust) -> Release:
    """Return what two persons have signed, when the folder is that; UntrustedError names what is not."""
    try:
        envelope = (folder / STATEMENT).read_bytes()
    except OSError as error:
        raise ConfigError(f"{folder / STATEMENT}: {error.strerror}") from error
    try:
        release = trust.released(opened(envelope), Release)
    except StatementError as error:
        raise UntrustedError(f"this release is not believed: {error}") from None
    there = dict(_files(folder))
    wrong = sorted(
        name for name in there.keys() | release.files if there.get(name) != release.files.get(name)
    )
    if wrong:
        raise UntrustedError(f"{folder}: not as it was signed: {', '.join(wrong[:5])}")
    return release


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ConfigError(f"{path}: a release has no links")
        if path.is_file() and name != STATEMENT:
            yield name, sha256(path.read_bytes()).hexdigest()
