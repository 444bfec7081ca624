"""What the vault writes of X.509 itself, so that a key elsewhere can sign it (RFC 5280, X.690)."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, TypeAlias

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ObjectIdentifier

Extensions: TypeAlias = list[tuple[x509.ExtensionType, bool]]
"""Extensions in their order, each with whether it is critical."""

V3 = 2
HARDWARE_MODULE_NAME = ObjectIdentifier("1.3.6.1.5.5.7.8.4")
UTC_TIME_ENDS = 2050


@asn1.sequence
class AlgorithmIdentifier:
    """An algorithm whose parameters are absent."""

    algorithm: ObjectIdentifier


@asn1.sequence
class Extension:
    """One extension, its value in DER."""

    oid: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]  # noqa: FBT003 - the signature is the library's
    value: bytes


@asn1.sequence
class PublicKeyInfo:
    """A key with its algorithm."""

    algorithm: asn1.TLV
    key: asn1.BitString


@asn1.sequence
class Validity:
    """From when to when, both included."""

    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class TbsCertificate:
    """What the signature of a certificate covers."""

    version: Annotated[int, asn1.Explicit(0)]
    serial: int
    signature: AlgorithmIdentifier
    issuer: asn1.TLV
    validity: Validity
    subject: asn1.TLV
    spki: asn1.TLV
    extensions: Annotated[list[Extension], asn1.Explicit(3)]


@asn1.sequence
class Signed:
    """A certificate, a request, a list: what is signed, how, and the signature."""

    body: asn1.TLV
    algorithm: AlgorithmIdentifier
    signature: asn1.BitString


@asn1.sequence
class HardwareModuleName:
    """Names a hardware module (RFC 4108, section 5)."""

    hardware_type: ObjectIdentifier
    serial: bytes


@dataclass(frozen=True)
class Draft:
    """A certificate but for its signature."""

    serial: bytes
    """Big-endian; the first byte is from 40 to 7F."""
    signature: ObjectIdentifier
    issuer: x509.Name
    subject: x509.Name
    not_before: datetime
    not_after: datetime
    spki: bytes
    extensions: Extensions

    def tbs(self) -> bytes:
        """Return what is to be signed, DER."""
        return asn1.encode_der(
            TbsCertificate(
                version=V3,
                serial=int.from_bytes(self.serial),
                signature=AlgorithmIdentifier(algorithm=self.signature),
                issuer=tlv(self.issuer.public_bytes()),
                validity=Validity(not_before=time(self.not_before), not_after=time(self.not_after)),
                subject=tlv(self.subject.public_bytes()),
                spki=tlv(self.spki),
                extensions=encoded(self.extensions),
            )
        )

    def differences(self, der: bytes) -> list[str]:
        """Parse a certificate anew and name each field that is not as drafted; ValueError if it is none."""
        return self.compared(x509.load_der_x509_certificate(der))

    def compared(self, cert: x509.Certificate) -> list[str]:
        """Name each field of a certificate that is not as drafted."""
        wrong = self.unlike(read(cert))
        return wrong if cert.version is x509.Version.v3 else ["version", *wrong]

    def unlike(self, found: "Draft") -> list[str]:
        """Name each field that another has different."""
        return [f.name for f in fields(self) if getattr(found, f.name) != getattr(self, f.name)]


def read(cert: x509.Certificate) -> Draft:
    """The fields of a certificate."""
    return Draft(
        serial_bytes(cert.serial_number),
        cert.signature_algorithm_oid,
        cert.issuer,
        cert.subject,
        cert.not_valid_before_utc,
        cert.not_valid_after_utc,
        cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        [(e.value, e.critical) for e in cert.extensions],
    )


def signed(body: bytes, algorithm: ObjectIdentifier, signature: bytes) -> bytes:
    """Put a body and its signature together."""
    return asn1.encode_der(
        Signed(
            body=tlv(body),
            algorithm=AlgorithmIdentifier(algorithm=algorithm),
            signature=asn1.BitString(signature, 0),
        )
    )


def crl_point(base: str, name: str) -> x509.CRLDistributionPoints:
    """Where a list of revoked certificates can be fetched."""
    where = x509.UniformResourceIdentifier(f"{base.rstrip('/')}/{name}")
    return x509.CRLDistributionPoints([x509.DistributionPoint([where], None, None, None)])


def hardware_module(hardware_type: str, serial: bytes) -> x509.SubjectAlternativeName:
    """The hardwareModuleName of RFC 4108, section 5: what sort of module, and which one."""
    name = HardwareModuleName(hardware_type=ObjectIdentifier(hardware_type), serial=serial)
    return x509.SubjectAlternativeName([x509.OtherName(HARDWARE_MODULE_NAME, asn1.encode_der(name))])


def encoded(extensions: Extensions) -> list[Extension]:
    """The extensions as they are written."""
    return [
        Extension(oid=value.oid, critical=critical, value=value.public_bytes())
        for value, critical in extensions
    ]


def time(at: datetime) -> asn1.UTCTime | asn1.GeneralizedTime:
    """A time as RFC 5280 wants it written, to the second."""
    return asn1.UTCTime(at) if at.year < UTC_TIME_ENDS else asn1.GeneralizedTime(at)


def serial_bytes(number: int) -> bytes:
    """A serial number as it is written, without the sign's byte; OverflowError for a negative one."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8))


def key_bits(spki: bytes) -> bytes:
    """The bit string of a SubjectPublicKeyInfo; ValueError if it is none."""
    return asn1.decode_der(PublicKeyInfo, spki).key.as_bytes()


def tlv(der: bytes) -> asn1.TLV:
    """DER that goes in as it is; ValueError if it is none."""
    return asn1.decode_der(asn1.TLV, der)
