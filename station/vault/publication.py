"""What the vault publishes of its certificates: signs lists when they are due, keeps them, writes files."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from station.custody import durable_file
from station.errors import CustodyError
from station.vault.answers import Answers
from station.vault.authorities import RANKS, Authority
from station.vault.crl import CrlDraft
from station.vault.faults import FaultError
from station.vault.issuer import Issuer
from station.vault.journal import JournalError
from station.vault.keys.errors import KeyStoreError
from station.vault.profiles import Profile
from station.vault.revocation import Revocations
from station.vault.revoked import Listed
from station.vault.signing import Signing
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


class Publication:
    """The one writer of the published folder."""

    def __init__(
        self, folder: Path, issuer: Issuer, revocations: Revocations, signing: Signing, work: Work
    ) -> None:
        self._folder, self._issuer, self._revocations = folder / FOLDER, issuer, revocations
        self._signing, self._work = signing, work
        self._answers = Answers(self._folder, revocations.journal, issuer, signing, work)
        self._turn = asyncio.Lock()

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

        CustodyError if one does not pass its second check.
        """
        async with self._turn:
            written = []
            for algorithm, rank in RANKS.items():
                authority = self._issuer.authority(algorithm)
                listed = await self._revocations.listed(authority.identifier)
                if listed.stale or now - listed.this_update >= DAY_S:
                    content = await self._listed(authority, listed, max(int(now), listed.latest))
                    await self._work(durable_file.replace, self._folder / rank.crl, content)
                    written.append(self._folder / rank.crl)
            await self._answers.publish(now, ORDER)
            return written

    async def run(self, now: Callable[[], float]) -> None:
        """Publish whatever is due, until cancelled; what fails is tried again, and told."""
        while True:
            await self._tried(now)
            await asyncio.sleep(CHECK_S)

    async def close(self, now: Callable[[], float]) -> None:
        """Publish what is due, and leave."""
        await self._tried(now)

    async def _tried(self, now: Callable[[], float]) -> None:
        try:
            await self.publish(now())
        except (CustodyError, KeyStoreError, JournalError, FaultError) as error:
            log.error("published", error=str(error))

    async def _listed(self, authority: Authority, listed: Listed, now: int) -> bytes:
        number = listed.number + 1
        draft = CrlDraft(authority, number, now, now + CRL_DAYS * DAY_S, listed.entries)
        body = await self._work(draft.tbs)
        content = draft.signed(body, await self._signing.sign(authority.rank.key, body, ORDER))
        if wrong := await self._work(draft.differences, content):
            raise CustodyError(f"{authority.rank.crl} {number} failed its second check: {'; '.join(wrong)}")
        await self._revocations.keep(authority.identifier, number, now, listed.changes, content)
        return content
