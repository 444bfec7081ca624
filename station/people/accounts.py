"""Accounts: who has a badge, which roles, and the one-time code with which a person sets his own PIN."""

import os
import sqlite3
from base64 import b32encode
from collections.abc import Collection
from hashlib import sha256

from msgspec import Struct

from station.people.person import PeopleError, Person
from station.people.pins import Pins, weak
from station.vault.desk.roles import Role, conflict

CODE_S = 24 * 3600.0
"""How long an enrolment code is good for."""
NAME_MAX, BADGE_MAX = 64, 64
PAST_PINS = 5
"""How many of a person's last PINs may not come again."""


class Account(Struct, frozen=True):
    """An account as it is listed; nothing of badge or PIN."""

    person: str
    name: str
    roles: tuple[str, ...]
    state: str
    """`active`, `disabled`, `locked`, or `to enrol`: the code was not used yet."""
    security_keys: int


def by_id(db: sqlite3.Connection, person: str) -> Person:
    """Return a person who is not disabled; PeopleError if there is none."""
    row = db.execute("SELECT id, name, roles FROM person WHERE id = ? AND NOT disabled", (person,)).fetchone()
    if row is None:
        raise PeopleError("not_found", f"there is no person {person}, or the account is disabled")
    return made(row)


def named(db: sqlite3.Connection, name: str) -> str:
    """Return the pseudonym of a person by name or pseudonym; PeopleError if there is none."""
    row = db.execute("SELECT id FROM person WHERE id = ? OR name = ?", (name, name)).fetchone()
    if row is None:
        raise PeopleError("not_found", f"there is no person {name!r}")
    return str(row[0])


def made(row: tuple[str, str, str]) -> Person:
    """Make a person of id, name and roles."""
    name, shown, roles = row
    return Person(name, shown, frozenset(map(Role, roles.split())))


def listed(db: sqlite3.Connection, now: float) -> list[Account]:
    """Return all accounts, by name."""
    query = (
        "SELECT id, name, roles, disabled, locked_until > ?, pin IS NULL,"
        " (SELECT COUNT(*) FROM security_key WHERE person = person.id) FROM person ORDER BY name"
    )
    return [
        Account(person, name, tuple(roles.split()), _state(bool(off), bool(locked), bool(new)), keys)
        for person, name, roles, off, locked, new, keys in db.execute(query, (now,))
    ]


def _state(disabled: bool, locked: bool, new: bool) -> str:  # noqa: FBT001 - columns of a row
    return "disabled" if disabled else "to enrol" if new else "locked" if locked else "active"


def add(db: sqlite3.Connection, name: str, roles: Collection[Role], now: float) -> str:
    """Make an account that has to be enrolled, and return its pseudonym; PeopleError."""
    if not (name.strip() == name and 0 < len(name) <= NAME_MAX and name.isprintable()):
        raise PeopleError("bad_arguments", f"a name has 1 to {NAME_MAX} characters that can be printed")
    _check(roles)
    if db.execute("SELECT 1 FROM person WHERE name = ?", (name,)).fetchone() is not None:
        raise PeopleError("wrong_state", f"{name!r} has an account already")
    person = f"p-{os.urandom(4).hex()}"
    row = (person, name, _text(roles), now)
    db.execute("INSERT INTO person(id, name, roles, since) VALUES (?, ?, ?, ?)", row)
    return person


def give_roles(db: sqlite3.Connection, person: str, roles: Collection[Role], now: float) -> None:
    """Give a person other roles; PeopleError if they do not go together, or nobody could govern any more."""
    _check(roles)
    db.execute("UPDATE person SET roles = ?, since = ? WHERE id = ?", (_text(roles), now, person))
    _still_governed(db)


def disable(db: sqlite3.Connection, person: str, now: float) -> None:
    """Let a person do nothing any more, at once; PeopleError if nobody could govern any more."""
    db.execute("UPDATE person SET disabled = 1, since = ? WHERE id = ?", (now, person))
    db.execute("DELETE FROM session WHERE person = ?", (person,))
    db.execute("DELETE FROM enrolment WHERE person = ?", (person,))
    _still_governed(db)


def unlock(db: sqlite3.Connection, person: str) -> None:
    """Let a person try again at once."""
    db.execute("UPDATE person SET wrong = 0, locked_until = 0 WHERE id = ?", (person,))


def code_for(db: sqlite3.Connection, person: str, now: float) -> str:
    """Draw the one-time code with which a person enrols; an earlier one is worth nothing any more."""
    text = b32encode(os.urandom(10)).decode()
    row = (_code(text), person, now + CODE_S)
    db.execute("INSERT OR REPLACE INTO enrolment VALUES (?, ?, ?)", row)
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def enrolling(db: sqlite3.Connection, code: str, now: float) -> str:
    """Use up a code and return whose it is; PeopleError if it is none, or too old."""
    found = db.execute(
        "DELETE FROM enrolment WHERE code = ? RETURNING person, expires", (_code(code),)
    ).fetchone()
    if found is None or now > found[1]:
        raise PeopleError("denied", "no such enrolment code; each is good once, for a day")
    return str(found[0])


def set_badge(db: sqlite3.Connection, pins: Pins, person: str, badge: str) -> None:
    """Give a person his badge; PeopleError if somebody else has it."""
    if not (0 < len(badge) <= BADGE_MAX and badge.isascii() and badge.isprintable()):
        raise PeopleError("bad_arguments", f"a badge has 1 to {BADGE_MAX} ASCII characters")
    kept = pins.badge(badge)
    other = db.execute("SELECT 1 FROM person WHERE badge = ? AND id <> ?", (kept, person)).fetchone()
    if other is not None:
        raise PeopleError("wrong_state", "somebody else has this badge")
    db.execute("UPDATE person SET badge = ? WHERE id = ?", (kept, person))


def set_pin(db: sqlite3.Connection, pins: Pins, person: str, pin: str) -> None:
    """Set a person's PIN; PeopleError if it is weak, or was his before."""
    if why := weak(pin):
        raise PeopleError("bad_arguments", why)
    past = db.execute("SELECT pin FROM past_pin WHERE person = ? ORDER BY number DESC", (person,)).fetchall()
    if any(pins.right(kept, pin) for (kept,) in past[:PAST_PINS]):
        raise PeopleError("bad_arguments", f"a PIN is not one of the last {PAST_PINS}")
    kept = pins.kept(pin)
    db.execute("INSERT INTO past_pin(person, pin) VALUES (?, ?)", (person, kept))
    db.execute("UPDATE person SET pin = ?, wrong = 0, locked_until = 0 WHERE id = ?", (kept, person))


def _still_governed(db: sqlite3.Connection) -> None:
    rows = db.execute("SELECT roles FROM person WHERE NOT disabled AND pin IS NOT NULL").fetchall()
    held = {role for (roles,) in rows for role in roles.split()}
    if not {Role.ENGINEER, Role.OFFICER} <= held:
        raise PeopleError(
            "wrong_state",
            "a station keeps at least an engineer and a security officer who can log in: add others first",
        )


def _check(roles: Collection[Role]) -> None:
    if not roles:
        raise PeopleError("bad_arguments", "an account has at least one role")
    if reason := conflict(roles):
        raise PeopleError("denied", reason)


def _text(roles: Collection[Role]) -> str:
    return " ".join(sorted(roles))


def _code(code: str) -> bytes:
    """SHA-256 of a code of 80 random bits, however it was typed."""
    plain = "".join(one for one in code.upper() if one.isalnum())
    return sha256(plain.encode()).digest()
