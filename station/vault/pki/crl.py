"""Lists of revoked certificates, version 2, full, one for each authority (RFC 5280, section 5).

A full list leaves out what was taken off hold; the reason removeFromCRL is for deltas only (5.3.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ReasonFlags

from station.vault.pki import der
from station.vault.pki.chains import UNREADABLE, Anchor
from station.vault.pki.signing import holds

V2 = 1
REASONS: Mapping[ReasonFlags, list[der.Extension]] = {
    reason: der.encoded([(x509.CRLReason(reason), False)])
    for reason in ReasonFlags
    if reason not in (ReasonFlags.unspecified, ReasonFlags.remove_from_crl)
}
"""The extension of an entry, by its reason."""


@asn1.sequence
class Line:
    """One entry of a list."""

    serial: int
    since: asn1.UTCTime | asn1.GeneralizedTime
    extensions: list[der.Extension]


@asn1.sequence
class TbsCertList:
    """What the signature of a list covers."""

    version: int
    signature: der.AlgorithmIdentifier
    issuer: asn1.TLV
    this_update: asn1.UTCTime | asn1.GeneralizedTime
    next_update: asn1.UTCTime | asn1.GeneralizedTime
    revoked: list[Line] | None
    extensions: Annotated[list[der.Extension], asn1.Explicit(0)]


@dataclass(frozen=True)
class Revoked:
    """A certificate that does not count, or not now."""

    serial: bytes
    reason: ReasonFlags
    since: int
    """Unix seconds."""


@dataclass(frozen=True)
class CrlDraft:
    """A list but for its signature."""

    authority: Anchor
    number: int
    this_update: int
    next_update: int
    """Unix seconds."""
    entries: tuple[Revoked, ...]

    def tbs(self) -> bytes:
        """Return what is to be signed, DER."""
        lines = [
            Line(serial=int.from_bytes(e.serial), since=_time(e.since), extensions=REASONS[e.reason])
            for e in self.entries
        ]
        return asn1.encode_der(
            TbsCertList(
                version=V2,
                signature=der.AlgorithmIdentifier(algorithm=self.authority.signature),
                issuer=der.tlv(self.authority.certificate.subject.public_bytes()),
                this_update=_time(self.this_update),
                next_update=_time(self.next_update),
                revoked=lines or None,
                extensions=der.encoded(self._extensions()),
            )
        )

    def signed(self, body: bytes, signature: bytes) -> bytes:
        """Put body and signature together."""
        return der.signed(body, self.authority.signature, signature)

    def differences(self, content: bytes) -> list[str]:
        """Parse a list anew, name each field that is not as drafted, and verify its signature."""
        try:
            found = x509.load_der_x509_crl(content)
            wrong = [name for name, same in self._compared(found).items() if not same]
        except UNREADABLE as error:
            return [f"no list: {error}"]
        return wrong

    def _compared(self, found: x509.CertificateRevocationList) -> Mapping[str, bool]:
        return {
            "issuer": found.issuer == self.authority.certificate.subject,
            "this_update": found.last_update_utc == datetime.fromtimestamp(self.this_update, UTC),
            "next_update": found.next_update_utc == datetime.fromtimestamp(self.next_update, UTC),
            "extensions": [(e.value, e.critical) for e in found.extensions] == self._extensions(),
            "entries": entries(found) == self.entries,
            "signature algorithm": found.signature_algorithm_oid == self.authority.signature,
            "signature": holds(self.authority.key, found.signature, found.tbs_certlist_bytes),
        }

    def _extensions(self) -> der.Extensions:
        return [
            (x509.AuthorityKeyIdentifier(self.authority.identifier, None, None), False),
            (x509.CRLNumber(self.number), False),
        ]


def entries(found: x509.CertificateRevocationList) -> tuple[Revoked, ...]:
    """The entries of a list, in its order; ValueError if one is none of ours."""
    return tuple(_entry(one) for one in found)


def _entry(one: x509.RevokedCertificate) -> Revoked:
    reason = ReasonFlags.unspecified
    for extension in one.extensions:
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason
        elif extension.critical:
            raise ValueError(f"an entry has an unknown critical extension {extension.oid.dotted_string}")
    return Revoked(der.serial_bytes(one.serial_number), reason, int(one.revocation_date_utc.timestamp()))


def _time(at: int) -> asn1.UTCTime | asn1.GeneralizedTime:
    return der.time(datetime.fromtimestamp(at, UTC))
