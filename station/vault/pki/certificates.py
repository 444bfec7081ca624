"""The certificate of a device key: every field comes from the profile and the proven key, none from the die.

RFC 9881: pure ML-DSA, empty context, parameters absent. IEEE 802.1AR: a device certificate never expires.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from station.vault.die.kinds import Kind
from station.vault.pki.authorities import Authority
from station.vault.pki.chains import NEVER, key_identifier, serial_of
from station.vault.pki.der import Draft, Extensions, crl_point, hardware_module
from station.vault.profiles import Profile

KEPT = 256
"""Parts of certificates that are not built again: those of as many devices as are in work at a time."""


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


def drafted(subject: Subject, profile: Profile, authority: Authority) -> Draft:
    """The certificate of a key, to be signed."""
    return Draft(
        serial=serial_of(authority.identifier, subject.spki),
        signature=authority.signature,
        issuer=authority.certificate.subject,
        subject=_name(profile.organisation, profile.product, subject.uid),
        not_before=datetime.fromtimestamp(subject.not_before, UTC),
        not_after=NEVER,
        spki=subject.spki,
        extensions=_extensions(subject, profile, authority),
    )


def certified_key(der: bytes, kind: Kind) -> bytes:
    """The public key of a certificate, as the die sends it."""
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)[-kind.size :]


def _extensions(subject: Subject, profile: Profile, authority: Authority) -> Extensions:
    ends, above, policies = _alike(profile.policy_oid, authority.identifier)
    extensions: Extensions = [
        (ends, True),
        (subject.kind.usage, True),
        (x509.SubjectKeyIdentifier(key_identifier(subject.public)), False),
        (above, False),
        (policies, False),
    ]
    if profile.hardware_type:
        extensions.append((hardware_module(profile.hardware_type, subject.uid), False))
    if profile.crl_base:
        extensions.append((crl_point(profile.crl_base, authority.rank.crl), False))
    return extensions


@lru_cache(maxsize=KEPT)
def _alike(
    policy_oid: str, issuer: bytes
) -> tuple[x509.BasicConstraints, x509.AuthorityKeyIdentifier, x509.CertificatePolicies]:
    """What all certificates under an authority have alike."""
    policy = x509.PolicyInformation(ObjectIdentifier(policy_oid), None)
    return (
        x509.BasicConstraints(ca=False, path_length=None),
        x509.AuthorityKeyIdentifier(issuer, None, None),
        x509.CertificatePolicies([policy]),
    )


@lru_cache(maxsize=KEPT)
def _name(organisation: str, product: str, uid: bytes) -> x509.Name:
    """The one name in all certificates of a device."""
    serial = uid.hex()
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, product),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{product} {serial}"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, serial),
        ]
    )
