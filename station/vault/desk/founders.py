"""The first persons of a vault: a file in its folder, read at the first start and never again."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from station.custody.ledger import Fact
from station.errors import ConfigError
from station.vault.desk import people
from station.vault.desk.roles import Role
from station.vault.desk.statement import StatementError
from station.vault.teller import Teller

FOUNDERS = "founders.json"


class Founder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the first persons."""

    card: bytes
    """Signed statement `hardbin.person.v1`."""
    roles: tuple[Role, ...]


def read(folder: Path) -> list[Founder]:
    """Read the file of a vault's folder; nothing if there is none. ConfigError if it is not one."""
    path = folder / FOUNDERS
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Founder])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def enter(db: sqlite3.Connection, founders: Sequence[Founder], teller: Teller, now: float) -> None:
    """Enter the first persons, if the vault has none yet; ConfigError if they could not govern it."""
    if not founders or people.everybody(db):
        return
    try:
        persons = people.found(db, {one.card: one.roles for one in founders}, now)
    except StatementError as error:
        raise ConfigError(f"{FOUNDERS}: {error}") from error
    for person, founder in zip(persons, founders, strict=True):
        data = {"person": person, "roles": sorted(founder.roles)}
        teller.tell(db, now, Fact("role.changed", "desk", data))
