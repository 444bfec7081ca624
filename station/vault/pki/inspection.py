"""Certificates and lists of revoked ones as anybody sees them, from files alone: what they say and lack."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from station.errors import ConfigError
from station.vault.die.kinds import USAGES, usage
from station.vault.pki import der
from station.vault.pki.chains import NEVER, UNREADABLE, Anchor, key_identifier, serial_of
from station.vault.pki.crl import entries
from station.vault.pki.signing import holds

PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.+?)-----END \1-----", re.DOTALL)
ALGORITHMS: Mapping[str, str] = {
    "1.2.840.10045.2.1": "P-384",
    "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
    "2.16.840.1.101.3.4.4.2": "ML-KEM-768",
    "2.16.840.1.101.3.4.4.3": "ML-KEM-1024",
}
"""Names of keys and signatures, by OID."""


class CertificateFacts(msgspec.Struct, frozen=True):
    """What a certificate says."""

    subject: str
    issuer: str
    serial: str
    not_before: str
    not_after: str
    """`never` for the date that IEEE 802.1AR gives to devices."""
    key: str
    signature: str
    authority: bool
    usage: tuple[str, ...]
    extensions: tuple[str, ...]
    crl: tuple[str, ...]
    """Where its list of revoked certificates can be fetched."""
    size: int
    sha256: str


class EntryFacts(msgspec.Struct, frozen=True):
    """One revoked certificate."""

    serial: str
    reason: str
    since: str


class CrlFacts(msgspec.Struct, frozen=True):
    """What a list of revoked certificates says."""

    issuer: str
    number: int
    this_update: str
    next_update: str
    signature: str
    entries: tuple[EntryFacts, ...]
    size: int
    sha256: str


@dataclass(frozen=True)
class Trusted:
    """What certificates are verified against."""

    root: Anchor
    issuing: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...] = ()

    def above(self, cert: x509.Certificate) -> Anchor:
        """The authority that should have signed a certificate; ConfigError if none of these has its name."""
        for one in (*self.issuing, self.root.certificate):
            if one.subject == cert.issuer:
                return Anchor(one)
        raise ConfigError(f"no certificate of its issuer, {_name(cert.issuer)}, was given")


def der_of(content: bytes) -> bytes:
    """DER of a file that may be PEM; the first block counts."""
    found = PEM.search(content)
    return b64decode(found.group(2)) if found else content


def certificate(content: bytes) -> x509.Certificate:
    """Read a certificate, DER or PEM; ConfigError if it is none."""
    try:
        found = x509.load_der_x509_certificate(der_of(content))
        described(found)
    except UNREADABLE as error:
        raise ConfigError(f"not a certificate: {error}") from error
    return found


def crl(content: bytes) -> x509.CertificateRevocationList:
    """Read a list of revoked certificates, DER or PEM; ConfigError if it is none with a number."""
    try:
        found = x509.load_der_x509_crl(der_of(content))
        listed(found)
    except (*UNREADABLE, x509.ExtensionNotFound) as error:
        raise ConfigError(f"not a list of revoked certificates: {error}") from error
    return found


def number_of(found: x509.CertificateRevocationList) -> int:
    """The number of a list."""
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def described(cert: x509.Certificate) -> CertificateFacts:
    """What a certificate says."""
    content = cert.public_bytes(Encoding.DER)
    found = {extension.oid: extension for extension in cert.extensions}
    marks = (f"{e.oid._name}{' (critical)' if e.critical else ''}" for e in found.values())  # noqa: SLF001
    return CertificateFacts(
        subject=_name(cert.subject),
        issuer=_name(cert.issuer),
        serial=der.serial_bytes(cert.serial_number).hex(),
        not_before=_date(cert.not_valid_before_utc),
        not_after="never" if cert.not_valid_after_utc == NEVER else _date(cert.not_valid_after_utc),
        key=_algorithm(cert.public_key_algorithm_oid),
        signature=_algorithm(cert.signature_algorithm_oid),
        authority=_authority(cert),
        usage=_usage(cert),
        extensions=tuple(marks),
        crl=tuple(_points(cert)),
        size=len(content),
        sha256=sha256(content).hexdigest(),
    )


def listed(found: x509.CertificateRevocationList) -> CrlFacts:
    """What a list of revoked certificates says."""
    content = found.public_bytes(Encoding.DER)
    ends = found.next_update_utc
    return CrlFacts(
        issuer=_name(found.issuer),
        number=number_of(found),
        this_update=_date(found.last_update_utc),
        next_update="" if ends is None else _date(ends),
        signature=_algorithm(found.signature_algorithm_oid),
        entries=tuple(
            EntryFacts(e.serial.hex(), e.reason.value, _date(datetime.fromtimestamp(e.since, UTC)))
            for e in entries(found)
        ),
        size=len(content),
        sha256=sha256(content).hexdigest(),
    )


def wrong_crl(found: x509.CertificateRevocationList, trusted: Trusted, at: datetime) -> list[str]:
    """Say what is wrong with a list: whose it is, its signature, its age."""
    for one in (*trusted.issuing, trusted.root.certificate):
        anchor = Anchor(one)
        if one.subject == found.issuer:
            wrong = [] if holds(anchor.key, found.signature, found.tbs_certlist_bytes) else ["signature"]
            return wrong + _stale(found, at)
    return ["no certificate of its issuer was given"]


def wrong(cert: x509.Certificate, trusted: Trusted, at: datetime) -> list[str]:
    """Say what is wrong with a certificate: chain, rules of its kind, revocation."""
    above = trusted.above(cert)
    found = trusted.root.broken_chain(cert, at, trusted.issuing)
    found += _ill_named(cert, above)
    if not _authority(cert):
        found += _no_identity(cert)
    return found + list(_revoked(cert, trusted, at))


def _ill_named(cert: x509.Certificate, above: Anchor) -> Iterator[str]:
    """Identifiers and serial number follow from the keys."""
    spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if der.serial_bytes(cert.serial_number) != serial_of(above.identifier, spki):
        yield "serial number: not the one that follows from issuer and key"
    wanted: Sequence[tuple[type[x509.ExtensionType], x509.ExtensionType]] = (
        (x509.SubjectKeyIdentifier, x509.SubjectKeyIdentifier(key_identifier(der.key_bits(spki)))),
        (x509.AuthorityKeyIdentifier, x509.AuthorityKeyIdentifier(above.identifier, None, None)),
    )
    for kind, value in wanted:
        named = [extension.value for extension in cert.extensions if isinstance(extension.value, kind)]
        if named != [value] and (named or cert.issuer != cert.subject):
            yield f"{kind.__name__}: not the one that follows from the key"


def _no_identity(cert: x509.Certificate) -> Iterator[str]:
    """The rules of a device identity: IEEE 802.1AR, RFC 9881, RFC 9935."""
    if cert.not_valid_after_utc != NEVER:
        yield "notAfter: a device identity has no end, 99991231235959Z"
    if len(cert.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)) != 1:
        yield "subject: a device identity has one serialNumber"
    if any(isinstance(extension.value, x509.ExtendedKeyUsage) for extension in cert.extensions):
        yield "extendedKeyUsage: a device identity has none"
    kem = isinstance(cert.public_key(), (mlkem.MLKEM768PublicKey, mlkem.MLKEM1024PublicKey))
    allowed = "key_encipherment" if kem else "digital_signature"
    usages = [(e.value, e.critical) for e in cert.extensions if isinstance(e.value, x509.KeyUsage)]
    if usages != [(usage(allowed), True)]:
        yield f"keyUsage: must be critical, and {_camel(allowed)} only"


def _revoked(cert: x509.Certificate, trusted: Trusted, at: datetime) -> Iterator[str]:
    for found in trusted.crls:
        if found.issuer != cert.issuer:
            continue
        if broken := wrong_crl(found, trusted, at):
            yield f"its list of revoked certificates: {', '.join(broken)}"
        for entry in entries(found):
            if int.from_bytes(entry.serial) == cert.serial_number:
                since = _date(datetime.fromtimestamp(entry.since, UTC))
                yield f"revoked since {since}: {entry.reason.value}"


def _stale(found: x509.CertificateRevocationList, at: datetime) -> list[str]:
    begins, ends = found.last_update_utc, found.next_update_utc
    if begins <= at and (ends is None or at <= ends):
        return []
    until = "" if ends is None else f" to {_date(ends)}"
    return [f"valid from {_date(begins)}{until}, not at {_date(at)}"]


def _authority(cert: x509.Certificate) -> bool:
    return any(isinstance(e.value, x509.BasicConstraints) and e.value.ca for e in cert.extensions)


def _usage(cert: x509.Certificate) -> tuple[str, ...]:
    found = [extension.value for extension in cert.extensions if isinstance(extension.value, x509.KeyUsage)]
    return tuple(_camel(name) for value in found for name in USAGES if _has(value, name))


def _has(value: x509.KeyUsage, name: str) -> bool:
    if name in ("encipher_only", "decipher_only") and not value.key_agreement:
        return False
    return bool(getattr(value, name))


def _name(name: x509.Name) -> str:
    return name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"})


def _camel(name: str) -> str:
    if name == "crl_sign":
        return "cRLSign"
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _points(cert: x509.Certificate) -> Iterator[str]:
    for extension in cert.extensions:
        if isinstance(extension.value, x509.CRLDistributionPoints):
            for point in extension.value:
                yield from (str(name.value) for name in point.full_name or ())


def _date(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _algorithm(oid: x509.ObjectIdentifier) -> str:
    return ALGORITHMS.get(oid.dotted_string, oid.dotted_string)
