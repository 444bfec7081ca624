"""What a product demands of its devices: keys, screening limits, certificate fields; by algorithm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import KeyUsage

from drivers.protocols.se1_objects import PUBLIC_KEY_SIZES
from drivers.protocols.se1_table import PERSONALISED_SLOTS, Algorithm, Slot, SlotAttribute

SIGNING = (
    SlotAttribute.ON_CHIP | SlotAttribute.NO_EXPORT | SlotAttribute.SIGN | SlotAttribute.FROZEN_WHEN_SECURED
)
DEVELOPMENT_ARC = "1.3.6.1.4.1.32473"
"""Documentation number of RFC 5612; production refuses it."""


def usage(*allowed: str) -> KeyUsage:
    """A keyUsage extension with the named bits."""
    names = (
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
    return KeyUsage(**{name: name in allowed for name in names})


@dataclass(frozen=True)
class KeyKind:
    """What the vault does with a device key of one algorithm."""

    algorithm: Algorithm
    attributes: SlotAttribute
    usage: KeyUsage
    spki: Callable[[bytes], bytes]
    """SubjectPublicKeyInfo, DER, of the public key as the die sends it; ValueError if that is none."""
    verify: Callable[[bytes, bytes, bytes, bytes], bool]
    """Whether a signature holds: public key, signature, message, label."""

    @property
    def size(self) -> int:
        """Bytes of the public key as the die sends it."""
        return PUBLIC_KEY_SIZES[self.algorithm]


def _mldsa65_spki(public: bytes) -> bytes:
    key = MLDSA65PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _mldsa65_holds(public: bytes, signature: bytes, message: bytes, label: bytes) -> bool:
    try:
        MLDSA65PublicKey.from_public_bytes(public).verify(signature, message, label)
    except InvalidSignature:
        return False
    return True


MLDSA65 = KeyKind(Algorithm.MLDSA65, SIGNING, usage("digital_signature"), _mldsa65_spki, _mldsa65_holds)
KINDS: Mapping[Slot, KeyKind] = {Slot.ID_PQ: MLDSA65}
"""By slot; a slot of the chip's table without an entry cannot be personalised by this version."""


class Trng(msgspec.Struct, frozen=True):
    """Cut-offs of SP 800-90B section 4.4 at alpha = 2^-40 for one bit of entropy a sample."""

    rct: int = 41
    apt: int = 625
    window: int = 1024


class Profile(msgspec.Struct, frozen=True):
    """One product; its SHA-256 goes into every device."""

    product: str
    number: int
    """The product number in UIDs and identities."""
    organisation: str = "hardbin development"
    policy_oid: str = DEVELOPMENT_ARC + ".1.1.1"
    slots: tuple[int, ...] = PERSONALISED_SLOTS
    attesting: int = Slot.ID_PQ
    payload_max: int = 4096
    budget_factor: float = 1.0
    trng: Trng = Trng()

    def hash(self) -> bytes:
        """SHA-256 of the canonical JSON of the profile."""
        return sha256(msgspec.json.encode(self, order="deterministic")).digest()

    def kinds(self) -> dict[int, KeyKind]:
        """The kind of key for each slot, in order."""
        return {slot: KINDS[Slot(slot)] for slot in sorted(self.slots)}


SE1 = Profile(product="se1", number=0x0001)
PRODUCTS: Mapping[str, Profile] = {SE1.product: SE1}
