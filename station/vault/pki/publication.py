"""What the vault publishes of its certificates: signs lists when they are due, keeps them, writes files."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import TypeAlias

import structlog

from station.custody import durable_file
from station.errors import CustodyError
from station.vault.faults import FaultError
from station.vault.journal import JournalError
from station.vault.keys.errors import KeyStoreError
from station.vault.pki.answers import Answers
from station.vault.pki.authorities import RANKS, Authority
from station.vault.pki.crl import CrlDraft
from station.vault.pki.issuer import Issuer
from station.vault.pki.revocation import Revocations
from station.vault.pki.revoked import Listed
from station.vault.pki.signing import Signing
from station.vault.profiles import Profile
from station.vault.work import Work

log = structlog.get_logger()

FOLDER = "published"
DAY_S = 86_400
CRL_DAYS = 7
"""How long a list may be used; a new one comes each day."""
CHECK_S = 5.0
"""How soon after a revocation a list tells of it, at most."""
ORDER = ""
"""A list needs no order: the key store knows it from a certificate."""

Compromised: TypeAlias = Callable[[], Awaitable[Collection[str]]]
"""Asks which keys others may know."""


class Publication:
    """The one writer of the published folder."""

    def __init__(
        self, folder: Path, issuer: Issuer, revocations: Revocations, signing: Signing, work: Work
    ) -> None:
        self._folder, self._issuer, self._revocations = folder / FOLDER, issuer, revocations
        self._signing, self._work = signing, work
        self._answers = Answers(self._folder, revocations.journal, issuer, signing, work)
        self._turn = asyncio.Lock()
        self._compromised: set[str] = set()

    async def open(self, now: float, profiles: Iterable[Profile] = ()) -> None:
        """Bring certificates to where their units are, and write what was signed last."""
        await self._revocations.settle(now)
        await self._answers.open(profile.product for profile in profiles if profile.ocsp)
        self._folder.mkdir(exist_ok=True)
        for algorithm, rank in RANKS.items():
            authority = self._issuer.authority(algorithm)
            if content := await self._revocations.last(authority.identifier):
                await self._work(durable_file.replace, self._folder / rank.crl, content)

    async def publish(self, now: float) -> list[Path]:
        """Sign and write each list that is due, and return their files; then answers.

        CustodyError if one does not pass its second check, KeyStoreError; the others are published first.
        """
        async with self._turn:
            written: list[Path] = []
            failed: list[Exception] = []
            for algorithm in RANKS:
                try:
                    written += await self._published(self._issuer.authority(algorithm), now)
                except (CustodyError, KeyStoreError) as error:
                    failed.append(error)
            if failed:
                raise failed[0]
            await self._answers.publish(now, ORDER, self._compromised)
            return written

    async def heed(self, compromised: Collection[str], now: float) -> None:
        """Revoke all that compromised keys signed; their lists are not signed any more."""
        for algorithm, rank in RANKS.items():
            if rank.key in compromised:
                self._compromised.add(rank.key)
                issuer = self._issuer.authority(algorithm).identifier
                if count := await self._revocations.compromised(issuer, now):
                    log.error("compromised", key=rank.key, revoked=count)

    async def run(self, now: Callable[[], float], compromised: Compromised) -> None:
        """Publish whatever is due, until cancelled; what fails is tried again, and told."""
        while True:
            await self.attempt(now, compromised)
            await asyncio.sleep(CHECK_S)

    async def attempt(self, now: Callable[[], float], compromised: Compromised) -> None:
        """Heed compromised keys and publish what is due; what fails is told."""
        try:
            await self.heed(await compromised(), now())
            await self.publish(now())
        except (CustodyError, KeyStoreError, JournalError, FaultError, OSError) as error:
            log.error("published", error=str(error))

    async def _published(self, authority: Authority, now: float) -> list[Path]:
        rank = authority.rank
        listed = await self._revocations.listed(authority.identifier)
        if rank.key in self._compromised or not (listed.stale or now - listed.this_update >= DAY_S):
            return []
        content = await self._listed(authority, listed, max(int(now), listed.latest))
        await self._work(durable_file.replace, self._folder / rank.crl, content)
        return [self._folder / rank.crl]

    async def _listed(self, authority: Authority, listed: Listed, now: int) -> bytes:
        number = listed.number + 1
        draft = CrlDraft(authority, number, now, now + CRL_DAYS * DAY_S, listed.entries)
        body = await self._work(draft.tbs)
        content = draft.signed(body, await self._signing.sign(authority.rank.key, body, ORDER))
        if wrong := await self._work(draft.differences, content):
            raise CustodyError(f"{authority.rank.crl} {number} failed its second check: {'; '.join(wrong)}")
        await self._revocations.keep(authority.identifier, number, now, listed.changes, content)
        return content
