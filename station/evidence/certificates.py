"""Certificates of a bundle: authorities up to a trusted root, and each device's against its profile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from drivers.protocols.se1_table import Algorithm
from station.errors import EvidenceError
from station.evidence.forms import Form
from station.vault.die.kinds import Kind
from station.vault.pki.authorities import CA_USAGE, RANKS, Authority, Rank
from station.vault.pki.certificates import Subject, drafted
from station.vault.pki.chains import SERIAL_BYTES, Anchor, verifying_key
from station.vault.pki.der import read
from station.vault.pki.signing import holds
from station.vault.profiles import Profile

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

OUTER = 4
"""Bytes before the signed part: tag and length of a certificate of more than 255 bytes."""


def parsed(der: bytes) -> x509.Certificate:
    """Read a certificate; EvidenceError if it is none."""
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE as error:
        raise EvidenceError(f"is no certificate: {error}") from error


@dataclass(frozen=True)
class Judged:
    """What a device's certificate says, hexadecimal, and what is wrong with it."""

    issuer: str
    serial: str
    spki_sha256: str
    faults: tuple[str, ...]


class Authorities:
    """The issuing authorities that lead to a trusted root."""

    def __init__(self, roots: Sequence[x509.Certificate], found: Mapping[str, x509.Certificate]) -> None:
        self.faults: list[tuple[str, str]] = []
        """What is wrong with an authority, by the file that it is in."""
        self.by_identifier: dict[bytes, Authority] = {}
        self._forms: dict[tuple[int, Authority], Form] = {}
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

    def judged(self, slot: int, uid: bytes, der: bytes, profile: Profile) -> Judged:
        """Check a device's certificate: issuer, signature, every field; one of UNREADABLE if it is none."""
        certificate = parsed(der)
        kind = profile.kinds().get(slot)
        if kind is None:
            what = f"slot {slot} has no certificate in profile {profile.product}"
            return _judged(certificate, self.identifier(certificate), (what,))
        quick = self._quick((slot, kind), uid, certificate, der)
        return quick or self._slow(slot, uid, certificate, profile)

    def _quick(
        self, place: tuple[int, Kind], uid: bytes, certificate: x509.Certificate, der: bytes
    ) -> Judged | None:
        """Compare the bytes with those that they must be; None says nothing."""
        (slot, kind), begins = place, certificate.not_valid_before_utc
        for (known, authority), form in self._forms.items():
            body = der[OUTER : OUTER + len(form.body)]
            if known != slot or len(body) != len(form.body) or not _within(begins, authority):
                continue
            spki = body[form.key]
            subject = Subject(uid, spki[-kind.size :], spki, kind, int(begins.timestamp()))
            same = form.filled(subject, authority) == body
            if (
                same
                and certificate.signature_algorithm_oid == authority.signature
                and holds(authority.key, certificate.signature, body)
            ):
                serial = certificate.serial_number.to_bytes(SERIAL_BYTES).hex()
                return Judged(authority.identifier.hex(), serial, sha256(spki).hexdigest(), ())
        return None

    def _slow(self, slot: int, uid: bytes, certificate: x509.Certificate, profile: Profile) -> Judged:
        """Compare field by field, so that each difference has its name."""
        identifier = self.identifier(certificate)
        authority = self.by_identifier.get(identifier)
        if authority is None:
            what = f"slot {slot}: no authority that leads to a trusted root has issued it"
        elif not holds(authority.key, certificate.signature, certificate.tbs_certificate_bytes):
            what = f"slot {slot}: the signature of the certificate is not that of its authority"
        else:
            return self._compared(slot, uid, certificate, (profile, authority))
        return _judged(certificate, identifier, (what,))

    def _compared(
        self, slot: int, uid: bytes, certificate: x509.Certificate, ground: tuple[Profile, Authority]
    ) -> Judged:
        """Compare with the certificate that the key must have got; from when it is valid, it says itself."""
        profile, authority = ground
        kind, fields = profile.kinds()[slot], read(certificate)
        begins = int(fields.not_before.timestamp())
        subject = Subject(uid, fields.spki[-kind.size :], fields.spki, kind, begins)
        wrong = drafted(subject, profile, authority).unlike(fields)
        if certificate.version is not x509.Version.v3:
            wrong.append("version")
        if not _within(fields.not_before, authority):
            wrong.append("not_before")
        if not wrong and (form := Form.of(subject, profile, authority)) is not None:
            self._forms[slot, authority] = form
        what = (f"slot {slot}: {name} of the certificate is not what the profile demands" for name in wrong)
        return _judged(certificate, authority.identifier, tuple(what))

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


def _within(begins: datetime, authority: Authority) -> bool:
    issuer = authority.certificate
    return issuer.not_valid_before_utc <= begins <= issuer.not_valid_after_utc


def _judged(certificate: x509.Certificate, issuer: bytes, faults: tuple[str, ...]) -> Judged:
    fields = read(certificate)
    return Judged(issuer.hex(), fields.serial.hex(), sha256(fields.spki).hexdigest(), faults)
