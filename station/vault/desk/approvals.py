"""Dual control: approvals of two persons, bound to the digest of exactly one action, each used once."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from station.vault.desk import people
from station.vault.desk.documents import Approval, Request
from station.vault.desk.roles import RIGHTS, Role, may_take_part, seated
from station.vault.desk.statement import StatementError, opened

SCHEMA = """
CREATE TABLE IF NOT EXISTS request(
  nonce TEXT PRIMARY KEY, person TEXT NOT NULL, action TEXT NOT NULL, at REAL NOT NULL,
  statement BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS proposal(
  action_hash TEXT PRIMARY KEY, request BLOB NOT NULL, document BLOB NOT NULL, expires INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('open', 'used'))) STRICT;
CREATE TABLE IF NOT EXISTS approval(
  nonce TEXT PRIMARY KEY, action_hash TEXT NOT NULL, person TEXT NOT NULL, role TEXT NOT NULL,
  at REAL NOT NULL, used_by TEXT, statement BLOB NOT NULL, UNIQUE(action_hash, person)) STRICT;
"""
FRESH_S = 600
"""How old a request or an approval may be, and how long it may say that it is valid."""
EARLY_S = 2
"""How far the signer's clock may be ahead."""


@dataclass(frozen=True)
class Consent:
    """One person's part in an action."""

    person: str
    role: Role


def asked(db: sqlite3.Connection, envelope: bytes, vault: str, now: float) -> Request:
    """Believe a request and keep it; StatementError if signature, vault, time, nonce or role are wrong."""
    read = opened(envelope)
    request = read.read(Request)
    _by(read.signed_by(lambda kid: people.keys(db, kid)), request.person)
    if request.station != vault:
        raise StatementError("wrong_audience", f"this is for {request.station}, and here is {vault}")
    _in_time(request.issued_at, request.expires_at, now)
    if db.execute("SELECT 1 FROM request WHERE nonce = ?", (request.nonce,)).fetchone() is not None:
        raise StatementError("replayed", "this request was served already")
    person = people.known(db, request.person)
    if person is None or not may_take_part(request.action, person.roles):
        raise StatementError("denied", f"{request.person} may not ask for {request.action}")
    db.execute(
        "INSERT INTO request VALUES (?, ?, ?, ?, ?)",
        (request.nonce, request.person, request.action.value, now, envelope),
    )
    return request


def propose(db: sqlite3.Connection, request: Request, envelope: bytes, document: bytes) -> None:
    """Keep an action until two have approved it or its time is over."""
    row = (request.action_hash(), envelope, document, request.expires_at)
    db.execute("INSERT INTO proposal VALUES (?, ?, ?, ?, 'open')", row)


def proposed(db: sqlite3.Connection, action_hash: str, now: float) -> tuple[Request, bytes]:
    """Return an action that waits, and its document; StatementError if there is none, or no longer."""
    query = "SELECT request, document, expires, state FROM proposal WHERE action_hash = ?"
    row = db.execute(query, (action_hash,)).fetchone()
    if row is None:
        raise StatementError("not_found", f"no action {action_hash[:16]} waits for approval")
    envelope, document, expires, state = row
    if state == "used":
        raise StatementError("replayed", f"action {action_hash[:16]} is done already")
    if now > expires:
        raise StatementError("dual_expired", f"action {action_hash[:16]} was not approved in time")
    return opened(envelope).read(Request), document


def waiting(db: sqlite3.Connection, now: float) -> list[tuple[Request, Sequence[Consent]]]:
    """Return the actions that wait, and who has approved each."""
    query = "SELECT request, action_hash FROM proposal WHERE state = 'open' AND expires >= ? ORDER BY expires"
    found = db.execute(query, (now,)).fetchall()
    return [(opened(env).read(Request), _consents(db, digest, now)) for env, digest in found]


def give(db: sqlite3.Connection, envelope: bytes, request: Request, now: float) -> Consent:
    """Believe one person's approval and keep it; StatementError if it is not for exactly this, now."""
    read = opened(envelope)
    approval = read.read(Approval)
    _by(read.signed_by(lambda kid: people.keys(db, kid)), approval.person)
    if (approval.action, approval.action_hash) != (request.action, request.action_hash()):
        raise StatementError("dual_denied", "this approves another action than the one that is asked for")
    try:
        _in_time(approval.issued_at, approval.expires_at, now)
    except StatementError as error:
        raise StatementError("dual_expired", f"the approval: {error}") from None
    if db.execute("SELECT 1 FROM approval WHERE nonce = ?", (approval.nonce,)).fetchone() is not None:
        raise StatementError("replayed", "this approval was given already")
    consent = Consent(approval.person, approval.role)
    _allowed(db, consent, request)
    row = (
        approval.nonce,
        approval.action_hash,
        consent.person,
        consent.role.value,
        approval.issued_at,
        envelope,
    )
    db.execute("INSERT INTO approval VALUES (?, ?, ?, ?, ?, NULL, ?)", row)
    return consent


def use(db: sqlite3.Connection, request: Request, now: float) -> tuple[Consent, ...]:
    """Use up the approvals of an action if they are fresh and fill all seats; otherwise return nothing."""
    digest = request.action_hash()
    consents = _consents(db, digest, now)
    if not seated(request.action, {consent.person: {consent.role} for consent in consents}):
        return ()
    db.execute("UPDATE approval SET used_by = ? WHERE action_hash = ?", (request.nonce, digest))
    db.execute("UPDATE proposal SET state = 'used' WHERE action_hash = ?", (digest,))
    return consents


def _consents(db: sqlite3.Connection, action_hash: str, now: float) -> tuple[Consent, ...]:
    query = (
        "SELECT person, role FROM approval WHERE action_hash = ? AND used_by IS NULL AND at >= ?"
        " ORDER BY person"
    )
    given = [Consent(who, Role(role)) for who, role in db.execute(query, (action_hash, now - FRESH_S))]
    return tuple(one for one in given if _still(db, one))


def _still(db: sqlite3.Connection, consent: Consent) -> bool:
    """Whether a person who approved still has the role in which he did."""
    person = people.known(db, consent.person)
    return person is not None and consent.role in person.roles


def _allowed(db: sqlite3.Connection, consent: Consent, request: Request) -> None:
    person = people.known(db, consent.person)
    if person is None or consent.role not in person.roles:
        raise StatementError("dual_denied", f"{consent.person} is no {consent.role}")
    if not any(consent.role in seat for seat in RIGHTS[request.action]):
        raise StatementError("dual_denied", f"a {consent.role} cannot approve {request.action}")
    query = "SELECT 1 FROM approval WHERE action_hash = ? AND person = ?"
    if db.execute(query, (request.action_hash(), consent.person)).fetchone() is not None:
        raise StatementError(
            "dual_denied", f"{consent.person} has approved this already; another person must"
        )


def _by(signers: tuple[str, ...], person: str) -> None:
    if signers != (person,):
        raise StatementError("bad_signature", f"{person} has not signed it, but {', '.join(signers)}")


def _in_time(issued_at: int, expires_at: int, now: float) -> None:
    if expires_at - issued_at > FRESH_S:
        raise StatementError("expired", f"it says that it is valid for more than {FRESH_S} s")
    if not issued_at - EARLY_S <= now <= expires_at:
        raise StatementError("expired", "it is too old, or of a clock that is ahead")
