"""The seam to whoever holds the authorities' keys: whole messages go in, signatures come out."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ObjectIdentifier, SignatureAlgorithmOID

VerifyingKey: TypeAlias = mldsa.MLDSA87PublicKey | mldsa.MLDSA65PublicKey | ec.EllipticCurvePublicKey

ALGORITHMS: Mapping[type[VerifyingKey], ObjectIdentifier] = {
    mldsa.MLDSA87PublicKey: ObjectIdentifier("2.16.840.1.101.3.4.3.19"),
    mldsa.MLDSA65PublicKey: ObjectIdentifier("2.16.840.1.101.3.4.3.18"),
    ec.EllipticCurvePublicKey: SignatureAlgorithmOID.ECDSA_WITH_SHA384,
}
"""The signature algorithm of each kind of key; its parameters are absent (RFC 5758, RFC 9881)."""

P384 = 384


class Signing(Protocol):
    """Signs with keys by their names; the keys may live in another process."""

    async def sign(self, key: str, message: bytes, order: str) -> bytes:
        """Sign a message for an order: ECDSA-SHA384 in DER, or pure ML-DSA with an empty context."""

    async def sign_all(self, asked: Sequence[tuple[str, bytes]], order: str) -> list[bytes]:
        """Sign several messages, each with a key by its name; where that saves nothing, one by one."""
        return [await self.sign(key, message, order) for key, message in asked]

    def public(self, key: str) -> VerifyingKey:
        """The public half of a key."""


def signature_algorithm(key: object) -> ObjectIdentifier:
    """How a key signs; ValueError if authorities have no such keys."""
    for kind, algorithm in ALGORITHMS.items():
        if isinstance(key, kind) and (not isinstance(key, ec.EllipticCurvePublicKey) or key.key_size == P384):
            return algorithm
    raise ValueError(f"{type(key).__name__} is no key that an authority signs with")


def holds(key: VerifyingKey, signature: bytes, message: bytes) -> bool:
    """Whether a signature is the key's over the message."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(hashes.SHA384()))
        else:
            key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def spki(key: VerifyingKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_bits(key: VerifyingKey) -> bytes:
    """The bit string of its SubjectPublicKeyInfo."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
