"""Revocation as the vault's other parts see it: each method is one durable change, and what it tells."""

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from typing import TypeAlias

from cryptography.x509 import ReasonFlags

from station.custody.ledger import Fact
from station.vault.journal import Journal
from station.vault.pki import revoked
from station.vault.pki.revoked import Affected, Listed

Tell: TypeAlias = Callable[[sqlite3.Connection, float, Fact], object]
"""Adds a fact of a unix time to the ledger, within the transaction."""


class Revocations:
    """The revoked certificates, as the vault's other parts see them."""

    def __init__(self, journal: Journal, tell: Tell) -> None:
        self.journal, self._tell = journal, tell

    async def settle(self, now: float) -> int:
        """Bring every stray certificate to where its unit is; return how many were changed."""

        def act(db: sqlite3.Connection) -> int:
            moved = revoked.strays(db)
            return sum(self._told(db, now, revoked.follow(db, unit, account, now)) for unit, account in moved)

        return await self.journal.commit(act)

    async def revoke(self, unit: str, reason: ReasonFlags, now: float) -> int:
        """Revoke a unit's certificates; return how many were changed."""
        return await self.journal.commit(
            lambda db: self._told(db, now, revoked.revoke(db, unit, reason, now))
        )

    async def affected(self, issuer: bytes) -> list[Affected]:
        """Every certificate that an authority's key signed, by unit."""
        return await self.journal.commit(lambda db: list(revoked.affected(db, issuer)))

    async def compromised(self, issuer: bytes, now: float) -> int:
        """Revoke all that an authority's key signed, in bites; return how many were changed."""
        total = 0
        while count := await self.journal.commit(
            lambda db: self._told(db, now, revoked.compromise(db, issuer, now))
        ):
            total += count
        return total

    async def listed(self, issuer: bytes) -> Listed:
        """What an authority's list has to say now."""
        return await self.journal.commit(lambda db: revoked.listed(db, issuer))

    async def last(self, issuer: bytes) -> bytes:
        """The last list that was signed, DER; empty if there is none."""
        row = await self.journal.commit(lambda db: db.execute(revoked.LAST, (issuer,)).fetchone())
        return b"" if row is None else bytes(row[3])

    async def keep(self, issuer: bytes, number: int, this_update: int, changes: int, der: bytes) -> None:
        """Make a signed list durable, with the entry `crl.signed`; its number must be a new one."""

        def act(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO crl VALUES (?, ?, ?, ?, ?)", (issuer, number, this_update, changes, der))
            data = {"issuer": issuer.hex(), "number": number, "sha256": sha256(der).hexdigest()}
            self._told(db, this_update, [Fact("crl.signed", data=data)])

        await self.journal.commit(act)

    def _told(self, db: sqlite3.Connection, now: float, facts: list[Fact]) -> int:
        """The one place where revocation speaks to the ledger."""
        for fact in facts:
            self._tell(db, now, fact)
        return len(facts)
