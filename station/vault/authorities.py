"""The authorities: an offline root over two issuing ones, their certificates, and how one asks for such."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID, ObjectIdentifier

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault import der
from station.vault.keystore import ISSUING, ISSUING_EC, ROOT, sync_folder
from station.vault.kinds import usage
from station.vault.signing import (
    Signing,
    VerifyingKey,
    holds,
    key_bits,
    signature_algorithm,
    spki,
)

SERIAL_LABEL = b"hardbin-serial-v1"
AUTHORITIES_FROM = datetime(2020, 1, 1, tzinfo=UTC)
"""Development authorities are valid from before any simulated lot."""
ROOT_YEARS, ISSUING_YEARS = 30, 20
CA_USAGE = usage("key_cert_sign", "crl_sign")
ANY_POLICY = ObjectIdentifier("2.5.29.32.0")
ROOT_FILE = "root.der"
CEREMONY = "ceremony"
"""The order under which authorities are certified."""


@asn1.sequence
class RequestInfo:
    """What the signature of a PKCS #10 request covers; no attributes (RFC 2986)."""

    version: int
    subject: asn1.TLV
    spki: asn1.TLV
    attributes: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]


@dataclass(frozen=True)
class Rank:
    """An issuing authority as it is made."""

    key: str
    role: str
    file: str


RANKS: Mapping[Algorithm, Rank] = {
    Algorithm.P384: Rank(ISSUING_EC, "issuing EC", "issuing-ec.der"),
    Algorithm.MLDSA65: Rank(ISSUING, "issuing", "issuing.der"),
}
"""The authorities below the root, by the algorithm of their key."""


@dataclass(frozen=True)
class House:
    """Who the authorities belong to, as their names say it."""

    country: str = "ZZ"
    """Two letters of ISO 3166, which leaves these to its users."""
    organisation: str = "hardbin development"

    def name(self, role: str, number: int = 1) -> x509.Name:
        """The name of an authority."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, self.country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{self.organisation} {role} {number}"),
            ]
        )


DEVELOPMENT = House()


def key_identifier(public: bytes) -> bytes:
    """SHA-256 of the public key bits, cut to 20 bytes (RFC 7093, method 1)."""
    return sha256(public).digest()[:20]


def serial_of(issuer: bytes, subject: bytes) -> bytes:
    """The serial number of a key's certificate: the same for the same issuer and SPKI, positive, 20 bytes."""
    digest = sha256(SERIAL_LABEL + issuer + subject).digest()[:20]
    return bytes([digest[0] & 0x7F | 0x40]) + digest[1:]


class Authority:
    """The certificate of one issuing key, which is verified up to the root before anything is issued."""

    def __init__(self, rank: Rank, certificate: x509.Certificate) -> None:
        self.rank, self.certificate = rank, certificate
        self.key = verifying_key(certificate)
        self.identifier = key_identifier(key_bits(self.key))
        self.signature = signature_algorithm(self.key)
        """The algorithm of what it signs."""
        self._policy = _policy(certificate)

    def broken_chain(self, cert: x509.Certificate, at: datetime) -> list[str]:
        """Verify a certificate under this authority, both valid at a time; say what is wrong."""
        try:
            self._policy.time(at).build_client_verifier().verify(cert, [])
        except verification.VerificationError as error:
            return [f"chain: {error}"]
        return []


# -- certificates of authorities
async def root_certificate(signing: Signing, house: House, since: datetime, order: str) -> bytes:
    """A root's certificate for the root key, signed by itself, DER."""
    own = signing.public(ROOT)
    draft = _root_draft(own, house.name("root"), since)
    return await _signed(draft.tbs(), draft.signature, signing, ROOT, order)


async def request(signing: Signing, rank: Rank, house: House, order: str) -> bytes:
    """Ask for an issuing key's certificate: a PKCS #10 request, DER, which the key signs (RFC 2986)."""
    own = signing.public(rank.key)
    body = asn1.encode_der(
        RequestInfo(
            version=0,
            subject=der.tlv(house.name(rank.role).public_bytes()),
            spki=der.tlv(spki(own)),
            attributes=asn1.SetOf[asn1.TLV]([]),
        )
    )
    return await _signed(body, signature_algorithm(own), signing, rank.key, order)


async def certify(asked: bytes, root: bytes, signing: Signing, since: datetime, order: str) -> bytes:
    """What the root answers to a request; ConfigError if the request proves nothing, or is none."""
    subject, key = _requested(asked)
    above = loaded(root, "the root's certificate")
    draft = _issuing_draft(key, subject, above, since)
    return await _signed(draft.tbs(), draft.signature, signing, ROOT, order)


def take(certificate: bytes, rank: Rank, signing: Signing, trusted: bytes) -> Authority:
    """Check a certificate that came for an issuing key against that key and the root that is trusted.

    Every field must be as the profile of authorities has it. ConfigError says what is wrong.
    """
    cert, root = loaded(certificate, rank.file), loaded(trusted, ROOT_FILE)
    wrong = broken_root(root)
    if spki(signing.public(rank.key)) != der.read(cert).spki:
        wrong.append(f"it is not the certificate of this key store's {rank.key}")
    else:
        expected = _issuing_draft(signing.public(rank.key), cert.subject, root, cert.not_valid_before_utc)
        wrong += expected.differences(certificate)
    for at in (cert.not_valid_before_utc, cert.not_valid_after_utc):
        try:
            _policy(root).time(at).build_client_verifier().verify(cert, [])
        except verification.VerificationError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError(f"{rank.file} cannot be used: {'; '.join(wrong)}")
    return Authority(rank, cert)


def broken_root(root: x509.Certificate) -> list[str]:
    """Say what is wrong with a root's certificate: each field, and its signature by itself."""
    own = verifying_key(root)
    expected = _root_draft(own, root.subject, root.not_valid_before_utc)
    wrong = expected.differences(root.public_bytes(Encoding.DER))
    if not holds(own, root.signature, root.tbs_certificate_bytes):
        wrong.append("signature")
    return [f"root: {name}" for name in wrong]


def verifying_key(cert: x509.Certificate) -> VerifyingKey:
    """The key of an authority's certificate; ValueError if authorities have no such keys."""
    key = cert.public_key()
    signature_algorithm(key)
    return cast(VerifyingKey, key)


def _root_draft(own: VerifyingKey, name: x509.Name, since: datetime) -> der.Draft:
    extensions = _authority_extensions(own, path_length=None)
    return _draft(own, own, (name, name), (since, ROOT_YEARS), extensions)


def _issuing_draft(own: VerifyingKey, name: x509.Name, above: x509.Certificate, since: datetime) -> der.Draft:
    root = verifying_key(above)
    issuer = x509.AuthorityKeyIdentifier(key_identifier(key_bits(root)), None, None)
    policy = x509.CertificatePolicies([x509.PolicyInformation(ANY_POLICY, None)])
    extensions = [*_authority_extensions(own, path_length=0), (issuer, False), (policy, False)]
    return _draft(own, root, (name, above.subject), (since, ISSUING_YEARS), extensions)


def _authority_extensions(own: VerifyingKey, *, path_length: int | None) -> der.Extensions:
    return [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (CA_USAGE, True),
        (x509.SubjectKeyIdentifier(key_identifier(key_bits(own))), False),
    ]


def _draft(
    own: VerifyingKey,
    above: VerifyingKey,
    names: tuple[x509.Name, x509.Name],
    validity: tuple[datetime, int],
    extensions: der.Extensions,
) -> der.Draft:
    since, years = validity
    return der.Draft(
        serial=serial_of(key_identifier(key_bits(above)), spki(own)),
        signature=signature_algorithm(above),
        issuer=names[1],
        subject=names[0],
        not_before=since,
        not_after=_later(since, years),
        spki=spki(own),
        extensions=extensions,
    )


def _later(since: datetime, years: int) -> datetime:
    """The same day so many years later; the day before for a leap day."""
    day = 28 if (since.month, since.day) == (2, 29) else since.day
    return since.replace(year=since.year + years, day=day)


async def _signed(body: bytes, algorithm: ObjectIdentifier, signing: Signing, key: str, order: str) -> bytes:
    return der.signed(body, algorithm, await signing.sign(key, body, order))


def _requested(asked: bytes) -> tuple[x509.Name, VerifyingKey]:
    try:
        found = x509.load_der_x509_csr(asked)
        key = found.public_key()
        if not found.is_signature_valid:
            raise ValueError("its signature is not that of its key")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"certificate request: {error}") from error
    if isinstance(key, mldsa.MLDSA65PublicKey):
        return found.subject, key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        return found.subject, key
    name = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
    raise ConfigError(f"certificate request: its key, {name}, is none of ML-DSA-65 and P-384")


def loaded(content: bytes, what: str) -> x509.Certificate:
    """Parse a certificate; ConfigError names what it should be."""
    try:
        cert = x509.load_der_x509_certificate(content)
        verifying_key(cert)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{what}: no certificate of an authority: {error}") from error
    return cert


def _policy(anchor: x509.Certificate) -> verification.PolicyBuilder:
    permit_all = verification.ExtensionPolicy.permit_all()
    authority = permit_all.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    return (
        verification.PolicyBuilder()
        .store(verification.Store([anchor]))
        .extension_policies(ca_policy=authority, ee_policy=permit_all)
    )


def write(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.rename(path)
    sync_folder(path.parent)
