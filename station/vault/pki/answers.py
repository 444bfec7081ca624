"""OCSP answers of the products that ask for them: which are due, signed in advance, written as files."""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.x509 import ReasonFlags

from station.custody import durable_file
from station.errors import CustodyError
from station.vault.journal import Journal
from station.vault.pki.authorities import RANKS, Authority
from station.vault.pki.crl import Revoked
from station.vault.pki.issuer import Issuer
from station.vault.pki.ocsp import AnswerDraft
from station.vault.pki.signing import Signing
from station.vault.work import Work

DAY_S = 86_400
DAYS, RENEW_DAYS = 7, 3
"""How long an answer may be used, and after how long a new one comes."""
BATCH = 256
"""Answers that are signed in one round, so that devices do not wait for them."""
DUE = """
SELECT o.issuer, o.serial, r.reason, r.since FROM ocsp o LEFT JOIN revocation r USING(issuer, serial)
WHERE o.due <= ? ORDER BY o.due LIMIT ?
"""
MISSING = """
INSERT OR IGNORE INTO ocsp SELECT c.issuer, c.serial, 0 FROM ocsp_product p JOIN lot USING(product)
JOIN unit u USING(lot) JOIN cert c ON c.unit = u.unit AND c.der IS NOT NULL
"""
DONE = """
UPDATE ocsp SET due = ?1 WHERE issuer = ?2 AND serial = ?3 AND ?4 = coalesce(
(SELECT reason FROM revocation r WHERE r.issuer = ?2 AND r.serial = ?3), '')
"""


@dataclass(frozen=True)
class Due:
    """A certificate of which something is to be said."""

    issuer: bytes
    serial: bytes
    revoked: Revoked | None


def file_of(serial: bytes) -> str:
    """Where the answer about a certificate lies in the published folder."""
    name = serial.hex()
    return f"ocsp/{name[2:4]}/{name}.ocsp"


class Answers:
    """Signs what is due and writes it."""

    def __init__(self, folder: Path, journal: Journal, issuer: Issuer, signing: Signing, work: Work) -> None:
        self._folder, self._journal, self._signing, self._work = folder, journal, signing, work
        found = (issuer.authority(algorithm) for algorithm in RANKS)
        self._authorities = {authority.identifier: authority for authority in found}

    async def open(self, products: Iterable[str]) -> None:
        """Say which products want answers; what was issued before comes first."""
        names = [(name,) for name in products]

        def act(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM ocsp_product")
            db.executemany("INSERT INTO ocsp_product VALUES (?)", names)
            db.execute(MISSING)

        await self._journal.commit(act)

    async def publish(self, now: float, order: str, without: Collection[str] = ()) -> int:
        """Sign and write what is due, a batch at most; return how many. CustodyError if one is wrong.

        `without`: keys that sign no more.
        """
        due = await self._journal.commit(lambda db: _due(db, now))
        for one in due:
            authority = self._authorities.get(one.issuer)
            if authority is not None and authority.rank.key not in without:
                content = await self._answer(authority, one, int(now), order)
                await self._work(self._write, one.serial, content)
        await self._journal.commit(lambda db: _done(db, due, now))
        return len(due)

    async def _answer(self, authority: Authority, due: Due, now: int, order: str) -> bytes:
        draft = AnswerDraft(authority, due.serial, due.revoked, now, now + DAYS * DAY_S)
        body = draft.tbs()
        content = draft.signed(body, await self._signing.sign(authority.rank.key, body, order))
        if wrong := await self._work(draft.differences, content):
            raise CustodyError(
                f"the answer about {due.serial.hex()} failed its second check: {', '.join(wrong)}"
            )
        return content

    def _write(self, serial: bytes, content: bytes) -> None:
        path = self._folder / file_of(serial)
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_file.put(path, content)


def _due(db: sqlite3.Connection, now: float) -> list[Due]:
    return [
        Due(issuer, serial, None if reason is None else Revoked(serial, ReasonFlags(reason), since))
        for issuer, serial, reason, since in db.execute(DUE, (int(now), BATCH))
    ]


def _done(db: sqlite3.Connection, due: Iterable[Due], now: float) -> None:
    """Put them off, but what changed while it was signed."""
    for one in due:
        reason = "" if one.revoked is None else one.revoked.reason.value
        db.execute(DONE, (int(now) + RENEW_DAYS * DAY_S, one.issuer, one.serial, reason))
