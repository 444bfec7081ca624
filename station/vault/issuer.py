"""The embedded certificate authority: builds certificates, has them signed, and checks them again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault import authorities, der
from station.vault.authorities import AUTHORITIES_FROM, CEREMONY, DEVELOPMENT, RANKS, ROOT_FILE, Authority
from station.vault.certificates import Subject, drafted
from station.vault.faults import Code, FaultError
from station.vault.profiles import Profile
from station.vault.signing import Signing
from station.vault.work import Work


class Issuer:
    """Issues under the issuing keys; the authorities' certificates lie on disk beside the journal."""

    def __init__(
        self, root: bytes, found: Mapping[Algorithm, Authority], signing: Signing, work: Work
    ) -> None:
        self.root = root
        """The root's certificate, DER."""
        self._authorities, self._signing, self._work = found, signing, work

    @classmethod
    async def open(cls, folder: Path, signing: Signing, work: Work) -> "Issuer":
        """Load a folder's authorities, made at the first start; ConfigError if they are not the store's."""
        await _make(folder, signing)
        try:
            root = (folder / ROOT_FILE).read_bytes()
            files = {algorithm: (folder / rank.file).read_bytes() for algorithm, rank in RANKS.items()}
        except OSError as error:
            raise ConfigError(f"{folder}: its authorities cannot be read: {error}") from error
        try:
            found = {a: authorities.take(file, RANKS[a], signing, root) for a, file in files.items()}
        except ConfigError as error:
            raise ConfigError(f"{folder}: {error}") from error
        return cls(root, found, signing, work)

    def authority(self, algorithm: Algorithm) -> Authority:
        """The authority whose key is of this algorithm."""
        return self._authorities[algorithm]

    async def issue(self, subjects: Sequence[Subject], profile: Profile, order: str) -> list[bytes]:
        """Have certificates signed and check them on a second path; FaultError if that finds anything."""
        made = [await self._signed(subject, profile, order) for subject in subjects]
        await self._work(self._check, list(zip(subjects, made, strict=True)), profile)
        return made

    async def _signed(self, subject: Subject, profile: Profile, order: str) -> bytes:
        authority = self._authorities[subject.kind.authority]
        body = drafted(subject, profile, authority).tbs()
        signature = await self._signing.sign(authority.rank.key, body, order)
        return der.signed(body, authority.signature, signature)

    def _check(self, made: Sequence[tuple[Subject, bytes]], profile: Profile) -> None:
        """Parse each anew, compare every field with what it must be, and verify signature and chain."""
        for subject, certificate in made:
            authority = self._authorities[subject.kind.authority]
            if wrong := _wrong(subject, certificate, profile, authority):
                raise FaultError(Code.ISSUER_CHECK, "; ".join(wrong))


def _wrong(subject: Subject, certificate: bytes, profile: Profile, authority: Authority) -> list[str]:
    try:
        wrong = drafted(subject, profile, authority).differences(certificate)
        cert = x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        return [f"no certificate: {error}"]
    return wrong + authority.broken_chain(cert, datetime.fromtimestamp(subject.not_before, UTC))


async def _make(folder: Path, signing: Signing) -> None:
    """Hold the ceremony of a development root for what a folder does not have yet."""
    path = folder / ROOT_FILE
    if not path.exists():
        authorities.write(
            path, await authorities.root_certificate(signing, DEVELOPMENT, AUTHORITIES_FROM, CEREMONY)
        )
    root = path.read_bytes()
    for rank in RANKS.values():
        if not (folder / rank.file).exists():
            asked = await authorities.request(signing, rank, DEVELOPMENT, CEREMONY)
            answer = await authorities.certify(asked, root, signing, AUTHORITIES_FROM, CEREMONY)
            authorities.take(answer, rank, signing, root)
            authorities.write(folder / rank.file, answer)
