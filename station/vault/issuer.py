"""The embedded certificate authority: builds certificates from profile and proven key, and checks them again.

RFC 9881: pure ML-DSA, empty context, parameters absent. IEEE 802.1AR: a device certificate never expires.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID, ObjectIdentifier, SignatureAlgorithmOID

from drivers.protocols.se1_table import Algorithm
from station.errors import ConfigError
from station.vault.faults import Code, FaultError
from station.vault.keystore import ISSUING, ISSUING_EC, ROOT, KeyStore, sync_folder
from station.vault.kinds import Kind, usage
from station.vault.profiles import Profile

SERIAL_LABEL = b"hardbin-serial-v1"
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
AUTHORITIES_FROM = datetime(2020, 1, 1, tzinfo=UTC)
"""Development authorities are valid from before any simulated lot."""
ROOT_YEARS, ISSUING_YEARS = 30, 20
ORGANISATION = "hardbin development"
CA_USAGE = usage("key_cert_sign", "crl_sign")
ANY_POLICY = ObjectIdentifier("2.5.29.32.0")
ROOT_FILE = "root.der"

Extensions: TypeAlias = list[tuple[x509.ExtensionType, bool]]


@dataclass(frozen=True)
class Rank:
    """An issuing authority as it is made."""

    key: str
    role: str
    file: str
    signature: ObjectIdentifier
    """Of what it signs."""


RANKS: Mapping[Algorithm, Rank] = {
    Algorithm.P384: Rank(ISSUING_EC, "issuing EC", "issuing-ec.der", SignatureAlgorithmOID.ECDSA_WITH_SHA384),
    Algorithm.MLDSA65: Rank(ISSUING, "issuing", "issuing.der", ObjectIdentifier("2.16.840.1.101.3.4.3.18")),
}
"""The authorities below the root, by the algorithm of their key."""


@dataclass(frozen=True)
class Subject:
    """Whose key is certified."""

    uid: bytes
    public: bytes
    """The key as the die sends it, which is the bit string of its SubjectPublicKeyInfo."""
    spki: bytes
    kind: Kind
    not_before: int
    """Unix seconds."""


def key_identifier(public: bytes) -> bytes:
    """SHA-256 of the public key bits, cut to 20 bytes (RFC 7093, method 1)."""
    return sha256(public).digest()[:20]


def certified_key(der: bytes, kind: Kind) -> bytes:
    """The public key of a certificate, as the die sends it."""
    return _spki(x509.load_der_x509_certificate(der).public_key())[-kind.size :]


def serial_of(issuer: bytes, spki: bytes) -> bytes:
    """The serial number of a key's certificate: the same for the same issuer and key, positive, 20 bytes."""
    digest = sha256(SERIAL_LABEL + issuer + spki).digest()[:20]
    return bytes([digest[0] & 0x7F | 0x40]) + digest[1:]


class Authority:
    """One issuing key and its certificate, which is verified up to the root before anything is issued."""

    def __init__(self, rank: Rank, store: KeyStore, certificate: x509.Certificate) -> None:
        self.rank, self._store, self.certificate = rank, store, certificate
        self.identifier = key_identifier(_bits(certificate.public_key()))
        self._policy = _policy(certificate)

    def broken_chain(self, cert: x509.Certificate, at: datetime) -> list[str]:
        """Verify a certificate under this authority, both valid at a time; say what is wrong."""
        try:
            self._policy.time(at).build_client_verifier().verify(cert, [])
        except verification.VerificationError as error:
            return [f"chain: {error}"]
        return []

    def sign(self, request: x509.CertificateBuilder) -> bytes:
        """Return the certificate, DER; releases the GIL while it signs."""
        return self._store.certify(self.rank.key, request)


class Issuer:
    """Issues under the issuing keys; the authorities' certificates lie on disk beside the journal."""

    def __init__(self, root: x509.Certificate, authorities: Mapping[Algorithm, Authority]) -> None:
        self._root, self._authorities = root, authorities

    @classmethod
    def open(cls, folder: Path, store: KeyStore) -> "Issuer":
        """Load a folder's authorities, made at the first start; ConfigError if they are not the store's."""
        _make(folder, store)
        try:
            root = x509.load_der_x509_certificate((folder / ROOT_FILE).read_bytes())
            found = {a: _authority(folder, rank, store, root) for a, rank in RANKS.items()}
        except (OSError, ValueError, verification.VerificationError) as error:
            raise ConfigError(f"{folder}: its authorities cannot be used: {error}") from error
        return cls(root, found)

    @property
    def root(self) -> bytes:
        """The root's certificate, DER."""
        return self._root.public_bytes(Encoding.DER)

    def authority(self, algorithm: Algorithm) -> Authority:
        """The authority whose key is of this algorithm."""
        return self._authorities[algorithm]

    def issue(self, subject: Subject, profile: Profile) -> bytes:
        """Sign a certificate and check it on a second path; FaultError if that finds anything."""
        authority = self._authorities[subject.kind.authority]
        extensions = _extensions(subject, profile, authority)
        der = authority.sign(_request(subject, profile, authority, extensions))
        if wrong := self._differences(der, subject, profile, authority):
            raise FaultError(Code.ISSUER_CHECK, "; ".join(wrong))
        return der

    def _differences(self, der: bytes, subject: Subject, profile: Profile, authority: Authority) -> list[str]:
        """Parse the DER anew, compare every field with what it must be, and verify signature and chain."""
        cert = x509.load_der_x509_certificate(der)
        wanted = {
            "version": (cert.version, x509.Version.v3),
            "serial": (cert.serial_number.to_bytes(20), serial_of(authority.identifier, subject.spki)),
            "issuer": (cert.issuer, authority.certificate.subject),
            "subject": (cert.subject, _device_name(subject, profile)),
            "notBefore": (int(cert.not_valid_before_utc.timestamp()), subject.not_before),
            "notAfter": (cert.not_valid_after_utc, NEVER),
            "key": (_spki(cert.public_key()), subject.spki),
            "signature algorithm": (cert.signature_algorithm_oid, authority.rank.signature),
            "extensions": (
                [(e.value, e.critical) for e in cert.extensions],
                _extensions(subject, profile, authority),
            ),
        }
        wrong = [name for name, (found, expected) in wanted.items() if found != expected]
        return wrong + authority.broken_chain(cert, datetime.fromtimestamp(subject.not_before, UTC))


def _request(
    subject: Subject, profile: Profile, authority: Authority, extensions: Extensions
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(
        issuer_name=authority.certificate.subject,
        subject_name=_device_name(subject, profile),
        public_key=load_der_public_key(subject.spki),  # type: ignore[arg-type]
        serial_number=int.from_bytes(serial_of(authority.identifier, subject.spki)),
        not_valid_before=datetime.fromtimestamp(subject.not_before, UTC),
        not_valid_after=NEVER,
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder


def _extensions(subject: Subject, profile: Profile, authority: Authority) -> Extensions:
    policy = x509.PolicyInformation(ObjectIdentifier(profile.policy_oid), None)
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (subject.kind.usage, True),
        (x509.SubjectKeyIdentifier(key_identifier(subject.public)), False),
        (x509.AuthorityKeyIdentifier(authority.identifier, None, None), False),
        (x509.CertificatePolicies([policy]), False),
    ]


def _make(folder: Path, store: KeyStore) -> None:
    """Write the certificates that a folder does not have yet."""
    wanted: list[tuple[str, str, str, int | None, int]] = [(ROOT_FILE, ROOT, "root", None, ROOT_YEARS)]
    wanted += [(rank.file, rank.key, rank.role, 0, ISSUING_YEARS) for rank in RANKS.values()]
    for file, key, role, path_length, years in wanted:
        if not (folder / file).exists():
            _write(folder / file, _certificate(store, key, role, path_length, years))


def _policy(anchor: x509.Certificate) -> verification.PolicyBuilder:
    permit_all = verification.ExtensionPolicy.permit_all()
    authority = permit_all.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    return (
        verification.PolicyBuilder()
        .store(verification.Store([anchor]))
        .extension_policies(ca_policy=authority, ee_policy=permit_all)
    )


def _authority(folder: Path, rank: Rank, store: KeyStore, root: x509.Certificate) -> Authority:
    """Read an authority; ValueError if it is not the key store's, VerificationError if not the root's."""
    certificate = x509.load_der_x509_certificate((folder / rank.file).read_bytes())
    above = _policy(root)
    for at in (certificate.not_valid_before_utc, certificate.not_valid_after_utc):
        above.time(at).build_client_verifier().verify(certificate, [])
    if certificate.public_key() != store.signer(rank.key):
        raise ValueError(f"{rank.file} is not the certificate of this key store")
    return Authority(rank, store, certificate)


def _certificate(store: KeyStore, name: str, role: str, path_length: int | None, years: int) -> bytes:
    own, above = store.signer(name), store.signer(ROOT)
    identifier, above_identifier = key_identifier(_bits(own)), key_identifier(_bits(above))
    builder = x509.CertificateBuilder(
        issuer_name=_authority_name("root"),
        subject_name=_authority_name(role),
        public_key=own,
        serial_number=int.from_bytes(serial_of(above_identifier, _spki(own))),
        not_valid_before=AUTHORITIES_FROM,
        not_valid_after=AUTHORITIES_FROM.replace(year=AUTHORITIES_FROM.year + years),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(CA_USAGE, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
    if name != ROOT:
        issuer = x509.AuthorityKeyIdentifier(above_identifier, None, None)
        policy = x509.CertificatePolicies([x509.PolicyInformation(ANY_POLICY, None)])
        builder = builder.add_extension(issuer, critical=False).add_extension(policy, critical=False)
    return store.certify(ROOT, builder)


def _authority_name(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"hardbin development {role} 1"),
        ]
    )


def _device_name(subject: Subject, profile: Profile) -> x509.Name:
    uid = subject.uid.hex()
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, profile.product),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{profile.product} {uid}"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, uid),
        ]
    )


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _bits(key: CertificatePublicKeyTypes) -> bytes:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.rename(path)
    sync_folder(path.parent)
