"""Which units a key has touched, read from a vault's journal while the vault runs or after."""

import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.errors import CustodyError
from station.vault.pki.chains import key_identifier
from station.vault.pki.signing import ALGORITHMS, VerifyingKey, key_bits

FILE = "vault.sqlite"
UNSEALED = "a session, and no record that would tell its masters"


class Affected(msgspec.Struct, frozen=True):
    """A unit that a key was used for."""

    unit: str
    lot: str
    uid: str
    """In hex; empty if the die never proved one."""
    account: str
    """Where the unit is counted."""
    by: str
    """What the key did for it."""


class _Jws(msgspec.Struct):
    signatures: list[dict[str, str]]


def affected(journal: Path, key: str, public: bytes) -> list[Affected]:
    """The units that a key was used for, by unit; `public` is its SubjectPublicKeyInfo, empty for a master.

    CustodyError if there is no journal, or it is none.
    """
    try:
        with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return sorted(_found(db, key, public), key=lambda one: (one.unit, one.by))
    except sqlite3.Error as error:
        raise CustodyError(f"{journal}: cannot be read as the journal of a vault: {error}") from error


def _found(db: sqlite3.Connection, key: str, public: bytes) -> Iterator[Affected]:
    if public:
        yield from _certified(db, public)
        yield from _signed(db, key)
    else:
        yield from _derived(db, key)


def _certified(db: sqlite3.Connection, public: bytes) -> Iterator[Affected]:
    found = load_der_public_key(public)
    if not isinstance(found, tuple(ALGORITHMS)):
        return
    issuer = key_identifier(key_bits(_verifying(found)))
    rows = db.execute(
        "SELECT unit, group_concat(slot, ', ') FROM (SELECT unit, slot FROM cert WHERE issuer = ?"
        " ORDER BY unit, slot) GROUP BY unit",
        (issuer,),
    ).fetchall()
    for unit, slots in rows:
        yield _unit(db, unit, f"certificate of slot {slots}")


def _verifying(key: object) -> VerifyingKey:
    for kind in ALGORITHMS:
        if isinstance(key, kind):
            return key
    raise TypeError(type(key).__name__)


def _signed(db: sqlite3.Connection, key: str) -> Iterator[Affected]:
    for unit, jws in db.execute("SELECT unit, jws FROM record").fetchall():
        headers = [_header(one["protected"]) for one in msgspec.json.decode(jws, type=_Jws).signatures]
        if any(header.get("kid") == key for header in headers):
            yield _unit(db, unit, "signature of its record")


def _header(text: str) -> dict[str, str]:
    return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=dict[str, str])


def _derived(db: sqlite3.Connection, key: str) -> Iterator[Affected]:
    for unit, body in db.execute("SELECT unit, body FROM record").fetchall():
        told = msgspec.json.decode(body, type=dict[str, object])
        for name in ("transport_key", "issuer_key"):
            if told.get(name) == key:
                yield _unit(db, unit, name.replace("_", " "))
    loose = "SELECT unit FROM unit WHERE sessions > 0 AND unit NOT IN (SELECT unit FROM record)"
    for (unit,) in db.execute(loose).fetchall():
        yield _unit(db, unit, UNSEALED)


def _unit(db: sqlite3.Connection, unit: str, by: str) -> Affected:
    lot, uid, account = db.execute("SELECT lot, uid, account FROM unit WHERE unit = ?", (unit,)).fetchone()
    return Affected(unit, lot, "" if uid is None else uid.hex(), account, by)
