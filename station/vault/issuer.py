"""The embedded certificate authority: builds certificates from profile and proven key, and checks them again.

RFC 9881: pure ML-DSA, empty context, parameters absent. IEEE 802.1AR: a device certificate never expires.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID, ObjectIdentifier

from station.errors import ConfigError
from station.vault.faults import Code, FaultError
from station.vault.keystore import ISSUING, ROOT, KeyStore, sync_folder
from station.vault.profiles import KeyKind, Profile, usage

SERIAL_LABEL = b"hardbin-serial-v1"
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
AUTHORITIES_FROM = datetime(2020, 1, 1, tzinfo=UTC)
"""Development authorities are valid from before any simulated lot."""
ROOT_YEARS, ISSUING_YEARS = 30, 20
ORGANISATION = "hardbin development"
CA_USAGE = usage("key_cert_sign", "crl_sign")
ANY_POLICY = ObjectIdentifier("2.5.29.32.0")


@dataclass(frozen=True)
class Subject:
    """Whose key is certified."""

    uid: bytes
    spki: bytes
    kind: KeyKind
    not_before: int
    """Unix seconds."""


def key_identifier(spki: bytes) -> bytes:
    """SHA-256 of the public key bits, cut to 20 bytes (RFC 7093, method 1)."""
    bits = load_der_public_key(spki).public_bytes(Encoding.Raw, PublicFormat.Raw)
    return sha256(bits).digest()[:20]


def certified_key(der: bytes) -> bytes:
    """The public key of a certificate, as the die sends it."""
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def serial_of(issuer: bytes, spki: bytes) -> bytes:
    """The serial number of a key's certificate: the same for the same issuer and key, positive, 20 bytes."""
    digest = sha256(SERIAL_LABEL + issuer + spki).digest()[:20]
    return bytes([digest[0] & 0x7F | 0x40]) + digest[1:]


class Issuer:
    """Issues under one issuing key; the authorities' certificates lie on disk beside the journal."""

    def __init__(self, store: KeyStore, root: x509.Certificate, issuing: x509.Certificate) -> None:
        self._store, self._root, self._issuing = store, root, issuing
        self.identifier = key_identifier(_spki(issuing))

    @classmethod
    def open(cls, folder: Path, store: KeyStore) -> "Issuer":
        """Load a folder's authorities, made at the first start; ConfigError if they are not the store's."""
        root_file, issuing_file = folder / "root.der", folder / "issuing.der"
        if not issuing_file.exists():
            _write(root_file, _authority(store, ROOT, "root", None, ROOT_YEARS))
            _write(issuing_file, _authority(store, ISSUING, "issuing", 0, ISSUING_YEARS))
        try:
            root = x509.load_der_x509_certificate(root_file.read_bytes())
            issuing = x509.load_der_x509_certificate(issuing_file.read_bytes())
            issuing.verify_directly_issued_by(root)
        except (OSError, ValueError, TypeError, InvalidSignature) as error:
            raise ConfigError(f"{folder}: its authorities cannot be used: {error}") from error
        if issuing.public_key() != store.signer(ISSUING):
            raise ConfigError(f"{issuing_file}: not the certificate of this key store")
        return cls(store, root, issuing)

    @property
    def authorities(self) -> tuple[bytes, bytes]:
        """Issuing certificate and root, DER."""
        return self._issuing.public_bytes(Encoding.DER), self._root.public_bytes(Encoding.DER)

    def serial(self, spki: bytes) -> bytes:
        """The serial number that a key's certificate gets."""
        return serial_of(self.identifier, spki)

    def issue(self, subject: Subject, profile: Profile) -> bytes:
        """Sign a certificate and check it on a second path; FaultError if that finds anything."""
        der = self._store.certify(ISSUING, self._request(subject, profile))
        wrong = [*self._differences(der, subject, profile)]
        if wrong:
            raise FaultError(Code.ISSUER_CHECK, "; ".join(wrong))
        return der

    def _request(self, subject: Subject, profile: Profile) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(
            issuer_name=self._issuing.subject,
            subject_name=_device_name(subject, profile),
            public_key=load_der_public_key(subject.spki),  # type: ignore[arg-type]
            serial_number=int.from_bytes(self.serial(subject.spki)),
            not_valid_before=datetime.fromtimestamp(subject.not_before, UTC),
            not_valid_after=NEVER,
        )
        for extension, critical in self._extensions(subject, profile):
            builder = builder.add_extension(extension, critical)
        return builder

    def _extensions(self, subject: Subject, profile: Profile) -> list[tuple[x509.ExtensionType, bool]]:
        policy = x509.PolicyInformation(ObjectIdentifier(profile.policy_oid), None)
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (subject.kind.usage, True),
            (x509.SubjectKeyIdentifier(key_identifier(subject.spki)), False),
            (x509.AuthorityKeyIdentifier(self.identifier, None, None), False),
            (x509.CertificatePolicies([policy]), False),
        ]

    def _differences(self, der: bytes, subject: Subject, profile: Profile) -> list[str]:
        """Parse the DER anew, compare every field with what it must be, and verify signature and chain."""
        cert = x509.load_der_x509_certificate(der)
        wanted = {
            "version": (cert.version, x509.Version.v3),
            "serial": (cert.serial_number.to_bytes(20), self.serial(subject.spki)),
            "issuer": (cert.issuer, self._issuing.subject),
            "subject": (cert.subject, _device_name(subject, profile)),
            "notBefore": (int(cert.not_valid_before_utc.timestamp()), subject.not_before),
            "notAfter": (cert.not_valid_after_utc, NEVER),
            "key": (_spki(cert), subject.spki),
            "signature algorithm": (cert.signature_algorithm_oid, self._issuing_algorithm()),
            "extensions": (
                [(e.value, e.critical) for e in cert.extensions],
                self._extensions(subject, profile),
            ),
        }
        wrong = [name for name, (found, expected) in wanted.items() if found != expected]
        return wrong + self._broken_chain(cert, subject)

    def _issuing_algorithm(self) -> ObjectIdentifier:
        return self._issuing.public_key_algorithm_oid

    def _broken_chain(self, cert: x509.Certificate, subject: Subject) -> list[str]:
        authority = verification.ExtensionPolicy.permit_all().require_present(
            x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
        )
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store([self._root]))
            .time(datetime.fromtimestamp(subject.not_before, UTC))
            .extension_policies(ca_policy=authority, ee_policy=verification.ExtensionPolicy.permit_all())
            .build_client_verifier()
        )
        try:
            verifier.verify(cert, [self._issuing])
        except verification.VerificationError as error:
            return [f"chain: {error}"]
        return []


def _authority(store: KeyStore, name: str, role: str, path_length: int | None, years: int) -> bytes:
    own, above = store.signer(name), store.signer(ROOT)
    spki, above_spki = (
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in (own, above)
    )
    builder = x509.CertificateBuilder(
        issuer_name=_authority_name("root"),
        subject_name=_authority_name(role),
        public_key=own,
        serial_number=int.from_bytes(serial_of(key_identifier(above_spki), spki)),
        not_valid_before=AUTHORITIES_FROM,
        not_valid_after=AUTHORITIES_FROM.replace(year=AUTHORITIES_FROM.year + years),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(CA_USAGE, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(key_identifier(spki)), critical=False)
    if name != ROOT:
        identifier = x509.AuthorityKeyIdentifier(key_identifier(above_spki), None, None)
        policy = x509.CertificatePolicies([x509.PolicyInformation(ANY_POLICY, None)])
        builder = builder.add_extension(identifier, critical=False).add_extension(policy, critical=False)
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


def _spki(cert: x509.Certificate) -> bytes:
    return cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.rename(path)
    sync_folder(path.parent)
