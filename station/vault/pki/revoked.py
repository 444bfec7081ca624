"""Which certificates do not count any more, or not now: it follows from where their units are.

Each change is one entry of the ledger, `cert.revoked`, in the transaction of the change; what is taken off
hold is told with the reason removeFromCRL.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.x509 import ReasonFlags

from station.custody.ledger import Fact
from station.custody.moves import Account
from station.vault.pki.crl import Revoked

SCHEMA = """
CREATE TABLE IF NOT EXISTS revocation(
  issuer BLOB NOT NULL, serial BLOB NOT NULL, reason TEXT NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY(issuer, serial), FOREIGN KEY(issuer, serial) REFERENCES cert(issuer, serial)) STRICT;
CREATE TABLE IF NOT EXISTS revocation_count(
  issuer BLOB PRIMARY KEY, changes INTEGER NOT NULL, latest INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS crl(
  issuer BLOB NOT NULL, number INTEGER NOT NULL, this_update INTEGER NOT NULL, changes INTEGER NOT NULL,
  der BLOB NOT NULL, PRIMARY KEY(issuer, number)) STRICT;
CREATE TABLE IF NOT EXISTS ocsp_product(product TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS ocsp(
  issuer BLOB NOT NULL, serial BLOB NOT NULL, due INTEGER NOT NULL, PRIMARY KEY(issuer, serial)) STRICT;
CREATE INDEX IF NOT EXISTS ocsp_due ON ocsp(due);
CREATE TRIGGER IF NOT EXISTS ocsp_issued AFTER UPDATE OF der ON cert
WHEN old.der IS NULL AND EXISTS (
  SELECT 1 FROM unit JOIN lot USING(lot) JOIN ocsp_product USING(product) WHERE unit.unit = new.unit)
BEGIN INSERT OR IGNORE INTO ocsp VALUES (new.issuer, new.serial, 0); END;
"""
"""The trigger spares whoever issues from knowing which products want answers."""
LAST = "SELECT number, this_update, changes, der FROM crl WHERE issuer = ? ORDER BY number DESC LIMIT 1"
HOLD = ReasonFlags.certificate_hold
SCRAPPED = ReasonFlags.cessation_of_operation
COMPROMISED = ReasonFlags.key_compromise
OFF_HOLD = ReasonFlags.remove_from_crl


def _among(*reasons: ReasonFlags) -> str:
    return ", ".join(f"'{account}'" for account, reason in WANTED.items() if reason in reasons)


WANTED: Mapping[str, ReasonFlags] = {
    Account.QUARANTINE: HOLD,
    Account.MISSING: HOLD,
    Account.REJECT_HELD: SCRAPPED,
    Account.DESTROYED: SCRAPPED,
    Account.RETURNED: SCRAPPED,
}
"""What becomes of the certificates of the units in an account; in the others they count."""
STRAYS = f"""
SELECT DISTINCT u.unit, u.account FROM unit u JOIN cert c ON c.unit = u.unit AND c.der IS NOT NULL
LEFT JOIN revocation r ON r.issuer = c.issuer AND r.serial = c.serial
WHERE (u.account IN ({_among(HOLD)}) AND r.reason IS NULL)
OR (u.account IN ({_among(SCRAPPED)}) AND (r.reason IS NULL OR r.reason = '{HOLD.value}'))
OR (u.account NOT IN ({_among(HOLD, SCRAPPED)}) AND r.reason = '{HOLD.value}')
"""  # noqa: S608 - made of the names above only
CHUNK = 5_000
"""Certificates that are revoked in one transaction."""


@dataclass(frozen=True)
class Affected:
    """A certificate that a key signed."""

    unit: str
    lot: str
    account: str
    slot: int
    serial: bytes
    reason: str
    """Why it does not count; empty if it does."""


@dataclass(frozen=True)
class Listed:
    """All that an authority revoked, and what is known of its last list."""

    entries: tuple[Revoked, ...]
    changes: int
    number: int
    """Of the last list that was signed; 0: none."""
    this_update: int
    """When that was, unix seconds."""
    latest: int
    """The last change, unix seconds."""
    stale: bool
    """Whether something changed since."""


def follow(db: sqlite3.Connection, unit: str, account: str, now: float) -> list[Fact]:
    """Bring a unit's certificates to where the unit is now, and return what is to be told of it."""
    wanted = WANTED.get(account)
    return [fact for cert in _issued(db, unit) for fact in _brought(db, cert, wanted, now)]


def revoke(db: sqlite3.Connection, unit: str, reason: ReasonFlags, now: float) -> list[Fact]:
    """Revoke a unit's certificates for a reason of its own, such as a key that others may know."""
    return [fact for cert in _issued(db, unit) for fact in _brought(db, cert, reason, now)]


def strays(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Units whose certificates are not as their account wants them, with the account."""
    return [(unit, account) for unit, account in db.execute(STRAYS)]


def affected(db: sqlite3.Connection, issuer: bytes) -> Iterator[Affected]:
    """Every certificate that an authority's key signed."""
    query = (
        "SELECT u.unit, u.lot, u.account, c.slot, c.serial, coalesce(r.reason, '') FROM cert c"
        " JOIN unit u ON u.unit = c.unit LEFT JOIN revocation r USING(issuer, serial)"
        " WHERE c.issuer = ? AND c.der IS NOT NULL ORDER BY u.unit, c.slot"
    )
    for row in db.execute(query, (issuer,)):
        yield Affected(*row)


def compromise(db: sqlite3.Connection, issuer: bytes, now: float, most: int = CHUNK) -> list[Fact]:
    """Revoke what an authority's key signed, up to `most` certificates; nothing told: all are."""
    query = (
        "SELECT c.unit, c.issuer, c.serial, c.slot, r.reason FROM cert c"
        " LEFT JOIN revocation r USING(issuer, serial)"
        " WHERE c.issuer = ? AND c.der IS NOT NULL AND coalesce(r.reason, '') <> ? LIMIT ?"
    )
    found = db.execute(query, (issuer, COMPROMISED.value, most)).fetchall()
    return [fact for row in found for fact in _brought(db, _Issued(*row), COMPROMISED, now)]


def listed(db: sqlite3.Connection, issuer: bytes) -> Listed:
    """What an authority's list has to say now."""
    query = "SELECT serial, reason, since FROM revocation WHERE issuer = ? ORDER BY serial"
    entries = tuple(Revoked(s, ReasonFlags(r), t) for s, r, t in db.execute(query, (issuer,)))
    count = "SELECT changes, latest FROM revocation_count WHERE issuer = ?"
    changes, latest = db.execute(count, (issuer,)).fetchone() or (0, 0)
    number, this_update, known, _ = db.execute(LAST, (issuer,)).fetchone() or (0, 0, 0, b"")
    return Listed(entries, changes, number, this_update, latest, known != changes)


@dataclass(frozen=True)
class _Issued:
    unit: str
    issuer: bytes
    serial: bytes
    slot: int
    reason: str | None


def _issued(db: sqlite3.Connection, unit: str) -> list[_Issued]:
    query = (
        "SELECT c.unit, c.issuer, c.serial, c.slot, r.reason FROM cert c"
        " LEFT JOIN revocation r USING(issuer, serial)"
        " WHERE c.unit = ? AND c.der IS NOT NULL ORDER BY c.slot"
    )
    return [_Issued(*row) for row in db.execute(query, (unit,))]


def _brought(db: sqlite3.Connection, cert: _Issued, wanted: ReasonFlags | None, now: float) -> Iterator[Fact]:
    """Change one certificate if that is due. A final reason stays, but for a compromise."""
    known = None if cert.reason is None else ReasonFlags(cert.reason)
    final = known is not None and known is not HOLD
    if wanted is known or (final and wanted is not COMPROMISED):
        return
    key = (cert.issuer, cert.serial)
    if wanted is None:
        db.execute("DELETE FROM revocation WHERE issuer = ? AND serial = ?", key)
    else:
        # what was on hold has not counted since then, so the date stays
        upsert = (
            "INSERT INTO revocation VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET reason = excluded.reason"
        )
        db.execute(upsert, (*key, wanted.value, int(now)))
    _counted(db, cert.issuer, now)
    db.execute("UPDATE ocsp SET due = 0 WHERE issuer = ? AND serial = ?", key)
    yield _fact(db, cert, wanted or OFF_HOLD)


def _counted(db: sqlite3.Connection, issuer: bytes, now: float) -> None:
    db.execute(
        "INSERT INTO revocation_count VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET changes = changes + 1,"
        " latest = max(latest, excluded.latest)",
        (issuer, int(now)),
    )


def _fact(db: sqlite3.Connection, cert: _Issued, reason: ReasonFlags) -> Fact:
    query = "SELECT lot, order_id, uid FROM unit JOIN lot USING(lot) WHERE unit = ?"
    lot, order, uid = db.execute(query, (cert.unit,)).fetchone()
    data = {
        "issuer": cert.issuer.hex(),
        "reason": reason.value,
        "serial": cert.serial.hex(),
        "slot": cert.slot,
    }
    uid_h = None if uid is None else sha256(uid).hexdigest()
    return Fact("cert.revoked", data=data, unit=cert.unit, uid_h=uid_h, lot=lot, order=order or None)
