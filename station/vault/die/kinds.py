"""What the vault can do with a device key, by algorithm: check it, have it proven, certify it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import KeyUsage

from drivers.protocols.se1_objects import PUBLIC_KEY_SIZES, SIGNATURE_SIZES
from drivers.protocols.se1_table import Algorithm, Slot, SlotAttribute

BORN = SlotAttribute.ON_CHIP | SlotAttribute.NO_EXPORT | SlotAttribute.FROZEN_WHEN_SECURED
SIGNING = BORN | SlotAttribute.SIGN
DECAPSULATING = BORN | SlotAttribute.DECAPSULATE
P384_HALF = 48


USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""The bits of keyUsage (RFC 5280, 4.2.1.3)."""


def usage(*allowed: str) -> KeyUsage:
    """A keyUsage extension with the named bits."""
    return KeyUsage(**{name: name in allowed for name in USAGES})


@dataclass(frozen=True)
class KeyKind:
    """What every device key has."""

    algorithm: Algorithm
    attributes: SlotAttribute
    usage: KeyUsage
    authority: Algorithm
    """The algorithm of the issuing key that certifies it."""
    spki: Callable[[bytes], bytes]
    """SubjectPublicKeyInfo, DER, of the public key as the die sends it; ValueError if that is none."""

    @property
    def size(self) -> int:
        """Bytes of the public key as the die sends it; they are the key bits of its certificate too."""
        return PUBLIC_KEY_SIZES[self.algorithm]


@dataclass(frozen=True)
class SigningKind(KeyKind):
    """A key that proves itself by a signature."""

    verify: Callable[[bytes, bytes, bytes, bytes], bool]
    """Whether a signature holds: public key, signature, message, label."""

    @property
    def signature_size(self) -> int:
        """Bytes of a signature as the die sends it."""
        return SIGNATURE_SIZES[self.algorithm]


@dataclass(frozen=True)
class KemKind(KeyKind):
    """A key that signs nothing and proves itself by opening a secret."""

    encapsulate: Callable[[bytes], tuple[bytes, bytes]]
    """Ciphertext and shared secret for a public key."""


Kind: TypeAlias = SigningKind | KemKind


def _p384_spki(public: bytes) -> bytes:
    """Refuses what is no point of the curve."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), public)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _p384_holds(public: bytes, signature: bytes, message: bytes, label: bytes) -> bool:
    del label  # the message begins with it
    r, s = (int.from_bytes(half) for half in (signature[:P384_HALF], signature[P384_HALF:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), public)
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        return False
    return len(signature) == 2 * P384_HALF


def _mldsa65_spki(public: bytes) -> bytes:
    key = MLDSA65PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _mldsa65_holds(public: bytes, signature: bytes, message: bytes, label: bytes) -> bool:
    try:
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, message, label)
    except InvalidSignature:
        return False
    return True


def _mlkem768_spki(public: bytes) -> bytes:
    """Refuses a key with a coefficient of 3,329 or more (FIPS 203, section 7.2)."""
    key = MLKEM768PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _mlkem768_sent(public: bytes) -> tuple[bytes, bytes]:
    secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    return ciphertext, secret


SIGNS = usage("digital_signature")
P384 = SigningKind(Algorithm.P384, SIGNING, SIGNS, Algorithm.P384, _p384_spki, _p384_holds)
MLDSA65 = SigningKind(Algorithm.MLDSA65, SIGNING, SIGNS, Algorithm.MLDSA65, _mldsa65_spki, _mldsa65_holds)
MLKEM768 = KemKind(
    Algorithm.MLKEM768,
    DECAPSULATING,
    usage("key_encipherment"),  # and nothing else: RFC 9935
    Algorithm.MLDSA65,
    _mlkem768_spki,
    _mlkem768_sent,
)
KINDS: Mapping[int, Kind] = {Slot.ID_EC: P384, Slot.ID_PQ: MLDSA65, Slot.ID_KEM: MLKEM768}
"""What each slot of the chip can hold."""
