"""Answers about one certificate, signed in advance by the authority itself (RFC 6960, RFC 9881).

The responder is named, not hashed, and the certificate is named by SHA-256, so that no SHA-1 is needed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.x509 import ReasonFlags, ocsp
from cryptography.x509.oid import ObjectIdentifier

from station.vault.pki import der
from station.vault.pki.chains import UNREADABLE, Anchor
from station.vault.pki.crl import Revoked
from station.vault.pki.signing import holds, key_bits

BASIC = ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")
SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")
ENUMERATED = b"\x0a\x01"
SUCCESSFUL = ENUMERATED + b"\x00"
REASONS = {
    ReasonFlags.key_compromise: 1,
    ReasonFlags.ca_compromise: 2,
    ReasonFlags.affiliation_changed: 3,
    ReasonFlags.superseded: 4,
    ReasonFlags.cessation_of_operation: 5,
    ReasonFlags.certificate_hold: 6,
    ReasonFlags.privilege_withdrawn: 9,
    ReasonFlags.aa_compromise: 10,
}
"""CRLReason (RFC 5280, 5.3.1)."""


@asn1.sequence
class CertId:
    """Which certificate: hashes of its issuer's name and key, and its serial number."""

    algorithm: der.AlgorithmIdentifier
    issuer_name: bytes
    issuer_key: bytes
    serial: int


@asn1.sequence
class RevokedInfo:
    """Since when and why it does not count."""

    since: asn1.GeneralizedTime
    reason: Annotated[asn1.TLV, asn1.Explicit(0)]


@asn1.sequence
class SingleResponse:
    """What is said of one certificate."""

    cert: CertId
    status: Annotated[asn1.Null, asn1.Implicit(0)] | Annotated[RevokedInfo, asn1.Implicit(1)]
    this_update: asn1.GeneralizedTime
    next_update: Annotated[asn1.GeneralizedTime, asn1.Explicit(0)]


@asn1.sequence
class ResponseData:
    """What the signature of an answer covers."""

    responder: Annotated[asn1.TLV, asn1.Explicit(1)]
    produced: asn1.GeneralizedTime
    responses: list[SingleResponse]


@asn1.sequence
class ResponseBytes:
    """The answer and its kind."""

    kind: ObjectIdentifier
    response: bytes


@asn1.sequence
class OcspResponse:
    """What is sent."""

    status: asn1.TLV
    body: Annotated[ResponseBytes, asn1.Explicit(0)]


@dataclass(frozen=True)
class AnswerDraft:
    """An answer but for its signature."""

    authority: Anchor
    serial: bytes
    revoked: Revoked | None
    this_update: int
    next_update: int
    """Unix seconds."""

    def tbs(self) -> bytes:
        """Return what is to be signed, DER."""
        issuer = self.authority.certificate.subject.public_bytes()
        single = SingleResponse(
            cert=CertId(
                algorithm=der.AlgorithmIdentifier(algorithm=SHA256),
                issuer_name=sha256(issuer).digest(),
                issuer_key=sha256(key_bits(self.authority.key)).digest(),
                serial=int.from_bytes(self.serial),
            ),
            status=asn1.Null() if self.revoked is None else _info(self.revoked),
            this_update=_time(self.this_update),
            next_update=_time(self.next_update),
        )
        produced = _time(self.this_update)
        return asn1.encode_der(ResponseData(responder=der.tlv(issuer), produced=produced, responses=[single]))

    def signed(self, body: bytes, signature: bytes) -> bytes:
        """Put body and signature together."""
        return assembled(body, self.authority.signature, signature)

    def differences(self, content: bytes) -> list[str]:
        """Parse an answer anew, name each field that is not as drafted, and verify its signature."""
        try:
            found = ocsp.load_der_ocsp_response(content)
            return [name for name, same in self._compared(found).items() if not same]
        except UNREADABLE as error:
            return [f"no answer: {error}"]

    def _compared(self, found: ocsp.OCSPResponse) -> dict[str, bool]:
        times = (self.this_update, self.next_update)
        return {
            "responder": found.responder_name == self.authority.certificate.subject,
            "serial": found.serial_number == int.from_bytes(self.serial),
            "issuer": found.issuer_key_hash == sha256(key_bits(self.authority.key)).digest(),
            "status": status(found) == self.revoked,
            "validity": (found.this_update_utc, found.next_update_utc)
            == tuple(datetime.fromtimestamp(at, UTC) for at in times),
            "signature algorithm": found.signature_algorithm_oid == self.authority.signature,
            "signature": holds(self.authority.key, found.signature, found.tbs_response_bytes),
        }


def assembled(body: bytes, algorithm: ObjectIdentifier, signature: bytes) -> bytes:
    """An answer of a body and its signature."""
    basic = der.signed(body, algorithm, signature)
    response = OcspResponse(status=der.tlv(SUCCESSFUL), body=ResponseBytes(kind=BASIC, response=basic))
    return asn1.encode_der(response)


def status(found: ocsp.OCSPResponse) -> Revoked | None:
    """Since when and why the certificate does not count; None if it does. ValueError if that is not said."""
    if found.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return None
    since = found.revocation_time_utc
    if found.certificate_status is ocsp.OCSPCertStatus.UNKNOWN or since is None:
        raise ValueError("the responder does not know the certificate")
    reason = found.revocation_reason or ReasonFlags.unspecified
    return Revoked(der.serial_bytes(found.serial_number), reason, int(since.timestamp()))


def _info(revoked: Revoked) -> RevokedInfo:
    reason = der.tlv(ENUMERATED + bytes([REASONS[revoked.reason]]))
    return RevokedInfo(since=_time(revoked.since), reason=reason)


def _time(at: int) -> asn1.GeneralizedTime:
    return asn1.GeneralizedTime(datetime.fromtimestamp(at, UTC))
