"""The vault's register of persons: pseudonym, public key, roles. Who a pseudonym is, is written elsewhere."""

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from station.vault.desk.documents import PersonCard
from station.vault.desk.roles import Role, conflict
from station.vault.desk.statement import ED25519, StatementError, opened

SCHEMA = """
CREATE TABLE IF NOT EXISTS person(
  person TEXT PRIMARY KEY, public_key BLOB NOT NULL UNIQUE, roles TEXT NOT NULL, card BLOB NOT NULL,
  since REAL NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Known:
    """A person of the register; without roles he may do nothing."""

    person: str
    public_key: bytes
    roles: frozenset[Role]


def known(db: sqlite3.Connection, person: str) -> Known | None:
    """Return a person; None if the register does not have him."""
    row = db.execute("SELECT person, public_key, roles FROM person WHERE person = ?", (person,)).fetchone()
    return None if row is None else _known(row)


def everybody(db: sqlite3.Connection) -> list[Known]:
    """Return all persons, also those who have no role any more."""
    return [_known(row) for row in db.execute("SELECT person, public_key, roles FROM person ORDER BY person")]


def keys(db: sqlite3.Connection, person: str) -> Mapping[str, bytes] | None:
    """The public keys of a person, for `Opened.signed_by`."""
    found = known(db, person)
    return None if found is None else {ED25519: found.public_key}


def enter(db: sqlite3.Connection, card: bytes, roles: Collection[Role], now: float) -> str:
    """Enter a person by his card and return the pseudonym; StatementError if card or roles are wrong."""
    read = card_of(card)
    _check(roles)
    public = bytes.fromhex(read.ed25519)
    there = db.execute(
        "SELECT person FROM person WHERE person = ? OR public_key = ?", (read.person, public)
    ).fetchone()
    if there is not None:
        raise StatementError("wrong_state", f"{there[0]} is in the register already")
    row = (read.person, public, _text(roles), card, now)
    db.execute("INSERT INTO person VALUES (?, ?, ?, ?, ?)", row)
    return read.person


def give_roles(db: sqlite3.Connection, person: str, roles: Collection[Role], now: float) -> None:
    """Give a person other roles, or none; StatementError if that may not be."""
    _check(roles)
    changed = db.execute(
        "UPDATE person SET roles = ?, since = ? WHERE person = ?", (_text(roles), now, person)
    ).rowcount
    if not changed:
        raise StatementError("not_found", f"there is no person {person}")
    _still_governed(db)


def found(db: sqlite3.Connection, cards: Mapping[bytes, Collection[Role]], now: float) -> tuple[str, ...]:
    """Enter the first persons of a vault; StatementError if it has some, or if these could not govern it."""
    if everybody(db):
        raise StatementError("wrong_state", "this vault has its persons already")
    entered = tuple(enter(db, card, roles, now) for card, roles in cards.items())
    _still_governed(db)
    return entered


def card_of(envelope: bytes) -> PersonCard:
    """Read a card; StatementError unless its own key has signed it."""
    read = opened(envelope)
    card = read.read(PersonCard)
    own = {card.person: {ED25519: bytes.fromhex(card.ed25519)}}
    read.signed_by(own.get)
    return card


def _still_governed(db: sqlite3.Connection) -> None:
    """Two officers and an engineer there must be, or nobody could ever change anything again."""
    held = [person.roles for person in everybody(db)]
    officers = sum(Role.OFFICER in roles for roles in held)
    if officers < 2 or not any(Role.ENGINEER in roles for roles in held):  # noqa: PLR2004 - two persons
        raise StatementError("wrong_state", "a vault keeps at least two security officers and an engineer")


def _check(roles: Collection[Role]) -> None:
    if reason := conflict(roles):
        raise StatementError("denied", reason)


def _text(roles: Collection[Role]) -> str:
    return " ".join(sorted(roles))


def _known(row: tuple[str, bytes, str]) -> Known:
    person, public, roles = row
    return Known(person, public, frozenset(map(Role, roles.split())))
