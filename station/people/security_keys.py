"""Security keys by WebAuthn: registered by their person, then for logging in and for consent to an act.

The key itself asks for PIN or finger (user verification), so it is two factors. A challenge is good once.
"""

import os
import sqlite3
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import webauthn
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from station.people import accounts
from station.people.dual_control import Proof
from station.people.inside import Inside
from station.people.person import PeopleError, Person
from station.people.sessions import Session

CHALLENGE_S = 120.0
CHALLENGE_BYTES = 32
_VERIFIED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True)
class Page:
    """The page that a browser shows: its host name, and its origin, as `https://ws-07.floor:8700`."""

    host: str
    origin: str


class _Given(msgspec.Struct):
    """The part of a browser's answer that names the key."""

    id: str


class SecurityKeys:
    """Makes challenges and judges answers; each is JSON, as browsers give and take it."""

    def __init__(self, inside: Inside) -> None:
        self._in = inside

    def has(self, person: str) -> bool:
        """Whether a person has a key."""
        with self._in.database.reading() as db:
            return bool(_ids(db, person))

    # -- registration
    def registration(self, session: Session, page: Page) -> str:
        """Return what `navigator.credentials.create` takes, for a person who has logged in; PeopleError."""
        person = session.person
        with self._in.database.changing() as db:
            held = _ids(db, person.id)
            if held and session.means != "key":
                raise PeopleError("denied", "a further key is registered by whoever logged in with the first")
            challenge = self._challenge(db, f"register {person.id}")
        options = webauthn.generate_registration_options(
            rp_id=page.host,
            rp_name=f"hardbin {self._in.station}",
            user_name=person.name,
            user_id=sha256(person.id.encode()).digest(),
            challenge=challenge,
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in held],
            authenticator_selection=AuthenticatorSelectionCriteria(
                user_verification=_VERIFIED, resident_key=ResidentKeyRequirement.REQUIRED
            ),
        )
        return webauthn.options_to_json(options)

    def register(self, session: Session, page: Page, answer: str) -> None:
        """Take a person's key; PeopleError if the answer is not to our challenge, from this page."""
        person = session.person.id
        with self._in.database.changing() as db:
            challenge = self._used(db, f"register {person}")
        try:
            found = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=page.host,
                expected_origin=page.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError) as error:
            raise PeopleError("bad_signature", f"this is no registration of a key: {error}") from error
        with self._in.database.changing() as db:
            row = (found.credential_id, person, found.credential_public_key, found.sign_count, self._in.now())
            try:
                db.execute("INSERT INTO security_key VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise PeopleError("wrong_state", "this key has its person already") from None
            told = {"credential": sha256(found.credential_id).hexdigest()[:16]}
            self._in.trail.tell(db, "person.key", person, **told)

    # -- assertion
    def greeting(self, page: Page) -> str:
        """Return what `navigator.credentials.get` takes to log in with whichever key is there."""
        with self._in.database.changing() as db:
            challenge = self._challenge(db, "login")
        return _asked(page, challenge)

    def person(self, page: Page, answer: str) -> Person:
        """Return whose key has answered a greeting; PeopleError, and the refusal is in the ledger."""
        return self._answered(page, answer, None).person

    def question(self, digest: str, page: Page) -> str:
        """Return what a key is asked to consent to an act: the challenge is the act's digest."""
        return _asked(page, bytes.fromhex(digest))

    def consent(self, digest: str, page: Page, answer: str) -> Proof:
        """Return a person's consent to an act, with the signature as evidence; PeopleError."""
        return self._answered(page, answer, bytes.fromhex(digest))

    def _answered(self, page: Page, answer: str, challenge: bytes | None) -> Proof:
        credential, person, public, used = self._holder(answer)
        try:
            if challenge is None:
                with self._in.database.changing() as db:
                    challenge = self._used(db, "login", _challenge_in(answer))
            found = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=page.host,
                expected_origin=page.origin,
                credential_public_key=public,
                credential_current_sign_count=used,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError) as error:
            raise self._refused(person, f"the security key's answer is not good: {error}") from error
        with self._in.database.changing() as db:
            query = "UPDATE security_key SET used = ? WHERE credential = ?"
            db.execute(query, (found.new_sign_count, credential))
            return Proof(accounts.by_id(db, person), "key", answer.encode())

    def _holder(self, answer: str) -> tuple[bytes, str, bytes, int]:
        try:
            credential = base64url_to_bytes(msgspec.json.decode(answer, type=_Given).id)
        except (msgspec.DecodeError, ValueError) as error:
            raise PeopleError("malformed", f"this is no answer of a security key: {error}") from error
        query = (
            "SELECT k.person, k.public_key, k.used FROM security_key k JOIN person p ON p.id = k.person"
            " WHERE k.credential = ? AND NOT p.disabled"
        )
        with self._in.database.reading() as db:
            row = db.execute(query, (credential,)).fetchone()
        if row is None:
            raise self._refused(None, "nobody here has this security key")
        return credential, *row

    def _refused(self, person: str | None, why: str) -> PeopleError:
        with self._in.database.changing() as db:
            self._in.trail.tell(db, "session.refused", person, reason=why[:200])
        return PeopleError("bad_signature", why)

    # -- challenges
    def _challenge(self, db: sqlite3.Connection, purpose: str) -> bytes:
        now, challenge = self._in.now(), os.urandom(CHALLENGE_BYTES)
        db.execute("DELETE FROM challenge WHERE expires < ?", (now,))
        db.execute("INSERT INTO challenge VALUES (?, ?, ?)", (challenge, purpose, now + CHALLENGE_S))
        return challenge

    def _used(self, db: sqlite3.Connection, purpose: str, challenge: bytes | None = None) -> bytes:
        """Take a challenge away, so that it is good once; the newest of its purpose if none is named."""
        query = "SELECT challenge FROM challenge WHERE purpose = ? AND expires >= ?"
        values: tuple[object, ...] = (purpose, self._in.now())
        if challenge is not None:
            query, values = f"{query} AND challenge = ?", (*values, challenge)
        row = db.execute(f"{query} ORDER BY expires DESC", values).fetchone()
        if row is None:
            raise PeopleError("expired", "no such challenge is open: begin again")
        db.execute("DELETE FROM challenge WHERE challenge = ?", row)
        return bytes(row[0])


class _ClientData(msgspec.Struct):
    challenge: str


class _Response(msgspec.Struct):
    clientDataJSON: str  # noqa: N815 - a browser's name


class _Answer(msgspec.Struct):
    response: _Response


def _challenge_in(answer: str) -> bytes:
    """The challenge that an answer says it is to; whether it was ours, the database knows."""
    said = base64url_to_bytes(msgspec.json.decode(answer, type=_Answer).response.clientDataJSON)
    return base64url_to_bytes(msgspec.json.decode(said, type=_ClientData).challenge)


def _asked(page: Page, challenge: bytes) -> str:
    options = webauthn.generate_authentication_options(
        rp_id=page.host, challenge=challenge, user_verification=_VERIFIED
    )
    return webauthn.options_to_json(options)


def _ids(db: sqlite3.Connection, person: str) -> list[bytes]:
    rows = db.execute("SELECT credential FROM security_key WHERE person = ?", (person,))
    return [bytes(row[0]) for row in rows]
