"""Sessions on the server: the browser has 256 random bits, the database their SHA-256, person and times."""

import secrets
import sqlite3
from hashlib import sha256

from msgspec import Struct

from station.people.accounts import made
from station.people.person import Person
from station.vault.desk.roles import Role

IDLE_S = {
    Role.OPERATOR: 900.0,
    Role.TECHNICIAN: 900.0,
    Role.ENGINEER: 600.0,
    Role.AUDITOR: 600.0,
    Role.OFFICER: 120.0,
    Role.CUSTODIAN: 120.0,
}
"""How long nobody may touch the page; the shortest of a person's roles counts."""
WHOLE_S = dict.fromkeys(Role, 12 * 3600.0) | {Role.OFFICER: 900.0, Role.CUSTODIAN: 900.0}
"""How long a session lasts at most: a long shift, or one task of an officer."""
SEEN_S = 5.0
"""How often it is written down that somebody is there."""
BACK_S = 2.0
"""A clock that was set back by more ends the sessions that it would make longer."""


class Session(Struct, frozen=True):
    """A person who has logged in."""

    person: Person
    number: str
    """Names the session in records; worth nothing to anybody."""
    place: str
    means: str
    """`pin` or `key`."""
    opened: float
    expires: float


def open_for(db: sqlite3.Connection, person: Person, place: str, means: str, now: float) -> tuple[str, str]:
    """Open a session and return its token, which is never seen again, and its number."""
    token, number = secrets.token_urlsafe(32), secrets.token_hex(8)
    whole = min(WHOLE_S[role] for role in person.roles)
    row = (_digest(token), number, person.id, place, means, now, now, now + whole)
    db.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return token, number


def current(db: sqlite3.Connection, token: str, now: float) -> Session | None:
    """Return the session of a token, with the roles that its person has now; None if it is over, or none."""
    query = (
        "SELECT p.id, p.name, p.roles, s.number, s.place, s.means, s.opened, s.expires, s.seen"
        " FROM session s JOIN person p ON p.id = s.person WHERE s.token = ? AND NOT p.disabled"
    )
    row = db.execute(query, (_digest(token),)).fetchone()
    if row is None:
        return None
    person, seen = made(row[:3]), row[8]
    idle = min((IDLE_S[role] for role in person.roles), default=0.0)
    if now > min(row[7], seen + idle) or now < seen - BACK_S:
        return None
    return Session(person, *row[3:8])


def seen(db: sqlite3.Connection, session: Session, now: float) -> None:
    """Somebody is there."""
    db.execute("UPDATE session SET seen = ? WHERE number = ?", (now, session.number))


def stale(db: sqlite3.Connection, session: Session, now: float) -> bool:
    """Whether it is time to write down again that somebody is there."""
    row = db.execute("SELECT seen FROM session WHERE number = ?", (session.number,)).fetchone()
    return row is not None and now - row[0] >= SEEN_S


def close(db: sqlite3.Connection, token: str) -> tuple[str, str] | None:
    """End a session; return its number and person, or None if there was none."""
    query = "DELETE FROM session WHERE token = ? RETURNING number, person"
    found = db.execute(query, (_digest(token),)).fetchone()
    return None if found is None else (found[0], found[1])


def revoke(db: sqlite3.Connection, person: str) -> None:
    """End all sessions of a person."""
    db.execute("DELETE FROM session WHERE person = ?", (person,))


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
