"""What holds certificates together: identifiers, serial numbers, signatures, and the way up to an anchor."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import verification

from station.errors import ConfigError
from station.vault.pki.signing import VerifyingKey, key_bits, signature_algorithm

SERIAL_LABEL = b"hardbin-serial-v1"
SERIAL_BYTES = 20
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of what has none (RFC 5280, 4.1.2.5; IEEE 802.1AR)."""
UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What comes of DER that is not well made, sooner or later."""


def key_identifier(public: bytes) -> bytes:
    """SHA-256 of the public key bits, cut to 20 bytes (RFC 7093, method 1)."""
    return sha256(public).digest()[:20]


def serial_of(issuer: bytes, subject: bytes) -> bytes:
    """The serial number of a key's certificate: the same for the same issuer and SPKI, positive, 20 bytes."""
    digest = sha256(SERIAL_LABEL + issuer + subject).digest()[:SERIAL_BYTES]
    return bytes([digest[0] & 0x7F | 0x40]) + digest[1:]


def verifying_key(cert: x509.Certificate) -> VerifyingKey:
    """The key of an authority's certificate; ValueError if authorities have no such keys."""
    key = cert.public_key()
    signature_algorithm(key)
    return cast(VerifyingKey, key)


def loaded(content: bytes, what: str) -> x509.Certificate:
    """Parse an authority's certificate; ConfigError names what it should be."""
    try:
        cert = x509.load_der_x509_certificate(content)
        verifying_key(cert)
        list(cert.extensions)
    except UNREADABLE as error:
        raise ConfigError(f"{what}: no certificate of an authority: {error}") from error
    return cert


class Anchor:
    """A certificate that is trusted, and what it says of those under it."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self.key = verifying_key(certificate)
        self.identifier = key_identifier(key_bits(self.key))
        self.signature = signature_algorithm(self.key)
        """The algorithm of what it signs."""
        permit_all = verification.ExtensionPolicy.permit_all()
        authority = permit_all.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
        self._policy = (
            verification.PolicyBuilder()
            .store(verification.Store([certificate]))
            .extension_policies(ca_policy=authority, ee_policy=permit_all)
        )

    def broken_chain(
        self, cert: x509.Certificate, at: datetime, between: tuple[x509.Certificate, ...] = ()
    ) -> list[str]:
        """Verify a certificate under this one, both valid at a time; say what is wrong."""
        try:
            self._policy.time(at).build_client_verifier().verify(cert, list(between))
        except (verification.VerificationError, UnsupportedAlgorithm) as error:
            return [f"chain: {str(error).partition(' (encountered')[0]}"]
        return []
