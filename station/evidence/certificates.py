"""Certificates of a bundle: authorities up to a trusted root, and each device's against its profile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from drivers.protocols.se1_table import Algorithm
from station.errors import EvidenceError
from station.vault.authorities import CA_USAGE, RANKS, Authority, Rank
from station.vault.certificates import Subject, drafted
from station.vault.chains import Anchor, verifying_key
from station.vault.der import Draft, read
from station.vault.kinds import Kind
from station.vault.profiles import Profile
from station.vault.signing import holds

UNREADABLE = (
    EvidenceError,
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What comes of a certificate that is not well made, sooner or later."""


def parsed(der: bytes) -> x509.Certificate:
    """Read a certificate; EvidenceError if it is none."""
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE as error:
        raise EvidenceError(f"is no certificate: {error}") from error


@dataclass(frozen=True)
class DeviceCertificate:
    """A certificate, and what it should certify."""

    slot: int
    uid: bytes
    certificate: x509.Certificate
    fields: Draft
    """What the certificate says; `read` of it."""


def certificate_of(slot: int, uid: str, der: bytes) -> DeviceCertificate:
    """Read a device's certificate; one of UNREADABLE."""
    certificate = parsed(der)
    return DeviceCertificate(slot, bytes.fromhex(uid), certificate, read(certificate))


class Authorities:
    """The issuing authorities that lead to a trusted root."""

    def __init__(self, roots: Sequence[x509.Certificate], found: Mapping[str, x509.Certificate]) -> None:
        self.faults: list[tuple[str, str]] = []
        """What is wrong with an authority, by the file that it is in."""
        self.by_identifier: dict[bytes, Authority] = {}
        anchors = {root.public_bytes(Encoding.DER) for root in roots}
        for name, certificate in found.items():
            if certificate.public_bytes(Encoding.DER) not in anchors:
                self._add(name, certificate, roots)

    def _add(self, name: str, certificate: x509.Certificate, roots: Sequence[x509.Certificate]) -> None:
        try:
            wrong = list(_wrong_authority(certificate, roots))
            self.faults += [(name, what) for what in wrong]
            if not wrong:
                authority = Authority(_rank(certificate), certificate)
                self.by_identifier[authority.identifier] = authority
        except UNREADABLE as error:
            self.faults.append((name, f"cannot be read: {error}"))

    def wrong(self, device: DeviceCertificate, profile: Profile) -> Iterator[str]:
        """Say what is wrong with a device's certificate: issuer, signature, every field."""
        kind = profile.kinds().get(device.slot)
        if kind is None:
            yield f"slot {device.slot} has no certificate in profile {profile.product}"
            return
        authority = self._issuer(device.certificate)
        if authority is None:
            yield f"slot {device.slot}: no authority that leads to a trusted root has issued it"
            return
        certificate = device.certificate
        if not holds(authority.key, certificate.signature, certificate.tbs_certificate_bytes):
            yield f"slot {device.slot}: the signature of the certificate is not that of its authority"
            return
        for name in _differences(device, profile, kind, authority):
            yield f"slot {device.slot}: {name} of the certificate is not what the profile demands"

    def _issuer(self, certificate: x509.Certificate) -> Authority | None:
        return self.by_identifier.get(self.identifier(certificate))

    @staticmethod
    def identifier(certificate: x509.Certificate) -> bytes:
        """Who issued it, by its own word; empty if it does not say."""
        try:
            named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        except x509.ExtensionNotFound:
            return b""
        return named.key_identifier or b""


def _rank(certificate: x509.Certificate) -> Rank:
    """Which of the issuing authorities it is, by its key; ValueError if it can be none."""
    elliptic = isinstance(verifying_key(certificate), ec.EllipticCurvePublicKey)
    return RANKS[Algorithm.P384 if elliptic else Algorithm.MLDSA65]


def _wrong_authority(certificate: x509.Certificate, roots: Sequence[x509.Certificate]) -> Iterator[str]:
    times = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    anchors = list(map(Anchor, roots))
    if not any(all(not anchor.broken_chain(certificate, at) for at in times) for anchor in anchors):
        yield "does not lead to a trusted root"
        return
    wanted = {
        x509.BasicConstraints: (x509.BasicConstraints(ca=True, path_length=0), True),
        x509.KeyUsage: (CA_USAGE, True),
    }
    for kind, (value, critical) in wanted.items():
        found = [one for one in certificate.extensions if isinstance(one.value, kind)]
        if [(one.value, one.critical) for one in found] != [(value, critical)]:
            yield f"{kind.__name__} is not that of an issuing authority"


def _differences(device: DeviceCertificate, profile: Profile, kind: Kind, authority: Authority) -> list[str]:
    """Compare with the certificate that the key must have got; from when it is valid, it says itself."""
    begins = device.fields.not_before
    spki = device.fields.spki
    subject = Subject(device.uid, spki[-kind.size :], spki, kind, int(begins.timestamp()))
    wrong = drafted(subject, profile, authority).unlike(device.fields)
    if device.certificate.version is not x509.Version.v3:
        wrong.append("version")
    issuer = authority.certificate
    if not issuer.not_valid_before_utc <= begins <= issuer.not_valid_after_utc:
        wrong.append("not_before")
    return wrong
