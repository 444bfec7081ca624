"""Two persons for one act: what both consent to is the SHA-256 of exactly this, once, and in time."""

import secrets
import sqlite3
from dataclasses import dataclass
from hashlib import sha256

import msgspec
from msgspec import Struct

from station.authority import SEATS, Action
from station.custody.ledger import canonical
from station.people import accounts
from station.people.inside import Inside
from station.people.person import PeopleError, Person
from station.vault.desk.roles import Role, Seat, filled

OPEN_S = 120
"""How long an act waits for its second person."""


class Act(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly what is to be done."""

    action: Action
    target: str
    parameters: dict[str, object]
    station: str
    nonce: str
    expires_at: int

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Whom it takes: as the table says, or the act itself where it depends on what is asked."""
        if self.action in SEATS:
            return SEATS[self.action]
        takes = msgspec.convert(self.parameters["takes"], tuple[tuple[Role, ...], ...])
        return tuple(map(frozenset, takes))

    @property
    def digest(self) -> str:
        """SHA-256 of its canonical JSON: what persons consent to."""
        return sha256(canonical(msgspec.to_builtins(self))).hexdigest()


def short(digest: str) -> str:
    """Return the beginning of a digest as two persons compare it on two screens: `9F3C-77A1-0D2E-5B84`."""
    return "-".join(digest[at : at + 4].upper() for at in range(0, 16, 4))


@dataclass(frozen=True)
class Proof:
    """A person who has just shown who he is, for this and not by a session; and what shows it to others."""

    person: Person
    means: str
    evidence: bytes = b""


class DualControl:
    """Acts that wait, consents, and their one use; each step is in the ledger."""

    def __init__(self, inside: Inside) -> None:
        self._in = inside

    def ask(self, proof: Proof, action: Action, target: str, parameters: dict[str, object]) -> Act:
        """Begin an act: whoever asks has the first seat; PeopleError if none of them is his."""
        now = self._in.now()
        expires = int(now) + OPEN_S
        act = Act(action, target, parameters, self._in.station, secrets.token_hex(16), expires)
        with self._in.database.changing() as db:
            self._may(db, proof.person.id, act)
            row = (act.digest, msgspec.json.encode(act), proof.person.id, "requested", expires)
            db.execute("INSERT INTO act VALUES (?, ?, ?, ?, ?)", row)
            self._consent(db, proof, act, "dual.requested")
        return act

    def act(self, digest: str) -> Act:
        """Return an act that waits; PeopleError if there is none, or no longer."""
        with self._in.database.reading() as db:
            return self._open(db, digest)[0]

    def approve(self, digest: str, proof: Proof) -> Act:
        """Consent, as another person than whoever asked; PeopleError."""
        try:
            with self._in.database.changing() as db:
                act, requester = self._open(db, digest)
                if proof.person.id == requester:
                    raise PeopleError("dual_denied", "whoever asked cannot approve it: another person must")
                self._may(db, proof.person.id, act)
                self._consent(db, proof, act, "approval.given")
                if filled(act.seats, self._consents(db, digest)):
                    db.execute("UPDATE act SET state = 'approved' WHERE digest = ?", (digest,))
        except PeopleError as error:
            self._told(digest, proof.person.id, error)
            raise
        return act

    def deny(self, digest: str, proof: Proof) -> None:
        """End an act that waits: whoever asked cancels it, another person denies it."""
        with self._in.database.changing() as db:
            act, requester = self._open(db, digest)
            self._may(db, proof.person.id, act)
            state = "cancelled" if proof.person.id == requester else "denied"
            db.execute("UPDATE act SET state = ? WHERE digest = ?", (state, digest))
            self._in.trail.tell(db, "approval.refused", proof.person.id, digest=digest, reason=state)

    def use(self, db: sqlite3.Connection, act: Act) -> tuple[str, ...]:
        """Use up the consents in the transaction that does it; return whose they are, whoever asked first.

        PeopleError if they are not enough.
        """
        found, requester = self._open(db, act.digest)
        consents = self._consents(db, found.digest)
        if not filled(act.seats, consents):
            raise PeopleError("dual_pending", f"{act.action} waits for a second person")
        db.execute("UPDATE act SET state = 'executed' WHERE digest = ?", (act.digest,))
        told = {"digest": act.digest, "action": act.action.value, "persons": sorted(consents)}
        self._in.trail.tell(db, "approval.used", None, **told)
        return (requester, *sorted(consents.keys() - {requester}))

    def _open(self, db: sqlite3.Connection, digest: str) -> tuple[Act, str]:
        row = db.execute(
            "SELECT body, requester, state, expires FROM act WHERE digest = ?", (digest,)
        ).fetchone()
        if row is None:
            raise PeopleError("not_found", "no such act waits for approval")
        body, requester, state, expires = row
        if state not in ("requested", "approved"):
            raise PeopleError("dual_denied", f"this act is {state} already")
        if self._in.now() > expires:
            raise PeopleError("dual_expired", "nobody approved this act in time: ask again")
        return msgspec.json.decode(body, type=Act), requester

    def _may(self, db: sqlite3.Connection, person: str, act: Act) -> None:
        roles = accounts.by_id(db, person).roles
        if not any(seat & roles for seat in act.seats):
            held = ", ".join(sorted(roles))
            raise PeopleError("dual_denied", f"{act.action} is not for {held}")

    def _consent(self, db: sqlite3.Connection, proof: Proof, act: Act, event: str) -> None:
        row = (act.digest, proof.person.id, proof.means, proof.evidence, self._in.now())
        db.execute("INSERT OR REPLACE INTO approval VALUES (?, ?, ?, ?, ?)", row)
        told = {"digest": act.digest, "action": act.action.value, "means": proof.means}
        self._in.trail.tell(db, event, proof.person.id, **told)

    def _consents(self, db: sqlite3.Connection, digest: str) -> dict[str, frozenset[str]]:
        """Who has consented and still has an account, with the roles of now."""
        query = (
            "SELECT p.id, p.roles FROM approval a JOIN person p ON p.id = a.person"
            " WHERE a.digest = ? AND NOT p.disabled"
        )
        return {person: frozenset(roles.split()) for person, roles in db.execute(query, (digest,))}

    def _told(self, digest: str, person: str, error: PeopleError) -> None:
        with self._in.database.changing() as db:
            told = {"digest": digest, "code": error.code}
            self._in.trail.tell(db, "approval.refused", person, **told)
