"""The embedded certificate authority: builds certificates, has them signed, and checks them again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509

from drivers.protocols.se1_table import Algorithm
from station.custody import durable_file
from station.errors import ConfigError
from station.vault.faults import Code, FaultError
from station.vault.pki import authorities, der
from station.vault.pki.authorities import (
    AUTHORITIES_FROM,
    CEREMONY,
    DEVELOPMENT,
    RANKS,
    ROOT_FILE,
    Authority,
    House,
    Rank,
    Trust,
)
from station.vault.pki.certificates import Subject, drafted
from station.vault.pki.chains import UNREADABLE
from station.vault.pki.signing import Signing
from station.vault.profiles import Profile
from station.vault.work import Work


def trusted(folder: Path, root_sha256: str, house: House) -> Trust:
    """What production rests on: the root of a folder, if it is the one that was named; else ConfigError."""
    if not root_sha256:
        raise ConfigError(
            "authorities.root is missing: the SHA-256 of the root's certificate, in hexadecimal"
        )
    path = folder / ROOT_FILE
    try:
        root = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; the ceremony import-ica puts it there") from error
    found = sha256(root).hexdigest()
    if found != root_sha256:
        raise ConfigError(f"{path}: its SHA-256 is {found}, authorities.root names {root_sha256}")
    return Trust(house, root)


class Issuer:
    """Issues under the issuing keys; the authorities' certificates lie on disk beside the journal."""

    def __init__(
        self, root: bytes, found: Mapping[Algorithm, Authority], signing: Signing, work: Work
    ) -> None:
        self.root = root
        """The root's certificate, DER."""
        self._authorities, self._signing, self._work = found, signing, work

    @classmethod
    async def open(cls, folder: Path, signing: Signing, work: Work, trust: Trust | None = None) -> "Issuer":
        """Load a folder's authorities; ConfigError if they are not the key store's, or under another root.

        Without `trust` they are for development, and made at the first start.
        """
        if trust is None:
            trust = await _made(folder, signing)
        elif wrong := trust.refused():
            raise ConfigError(f"the root that production is to trust: {'; '.join(wrong)}")
        try:
            found = {a: _taken(folder, rank, signing, trust) for a, rank in RANKS.items()}
        except ConfigError as error:
            raise ConfigError(f"{folder}: {error}") from error
        return cls(trust.root, found, signing, work)

    def authority(self, algorithm: Algorithm) -> Authority:
        """The authority whose key is of this algorithm."""
        return self._authorities[algorithm]

    async def issue(self, subjects: Sequence[Subject], profile: Profile, order: str) -> list[bytes]:
        """Have certificates signed and check them on a second path; FaultError if that finds anything."""
        made = await self._signed(subjects, profile, order)
        await self.check(list(zip(subjects, made, strict=True)), profile)
        return made

    async def check(self, made: Sequence[tuple[Subject, bytes]], profile: Profile) -> None:
        """Check certificates on the second path, whenever they were issued; FaultError if one is wrong."""
        await self._work(self._check, made, profile)

    async def _signed(self, subjects: Sequence[Subject], profile: Profile, order: str) -> list[bytes]:
        above = [self._authorities[subject.kind.authority] for subject in subjects]
        bodies = [drafted(subject, profile, one).tbs() for subject, one in zip(subjects, above, strict=True)]
        asked = [(one.rank.key, body) for one, body in zip(above, bodies, strict=True)]
        signatures = await self._signing.sign_all(asked, order)
        made = zip(bodies, above, signatures, strict=True)
        return [der.signed(body, one.signature, signature) for body, one, signature in made]

    def _check(self, made: Sequence[tuple[Subject, bytes]], profile: Profile) -> None:
        """Parse each anew, compare every field with what it must be, and verify signature and chain."""
        for subject, certificate in made:
            authority = self._authorities[subject.kind.authority]
            if wrong := _wrong(subject, certificate, profile, authority):
                raise FaultError(Code.ISSUER_CHECK, "; ".join(wrong))


def _wrong(subject: Subject, certificate: bytes, profile: Profile, authority: Authority) -> list[str]:
    try:
        cert = x509.load_der_x509_certificate(certificate)
        wrong = drafted(subject, profile, authority).compared(cert)
    except UNREADABLE as error:
        return [f"no certificate: {error}"]
    return wrong + authority.broken_chain(cert, datetime.fromtimestamp(subject.not_before, UTC))


def _taken(folder: Path, rank: Rank, signing: Signing, trust: Trust) -> Authority:
    try:
        certificate = (folder / rank.file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{rank.file} cannot be read: {error.strerror}") from error
    return authorities.take(certificate, rank, signing, trust)


async def _made(folder: Path, signing: Signing) -> Trust:
    """Hold the ceremony of a development root for what a folder does not have yet."""
    path = folder / ROOT_FILE
    if not path.exists():
        root = await authorities.root_certificate(signing, DEVELOPMENT, AUTHORITIES_FROM, CEREMONY)
        durable_file.replace(path, root)
    trust = Trust(DEVELOPMENT, path.read_bytes())
    for rank in RANKS.values():
        if not (folder / rank.file).exists():
            asked = await authorities.request(signing, rank, DEVELOPMENT, CEREMONY)
            answer = await authorities.certify(asked, trust, signing, AUTHORITIES_FROM, CEREMONY)
            authorities.take(answer, rank, signing, trust)
            durable_file.replace(folder / rank.file, answer)
    return trust
