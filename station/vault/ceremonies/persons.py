"""The keys with which persons sign what they confirm in a ceremony.

A person's Ed25519 key is stretched from a passphrase that he chooses for this ceremony, by Argon2id as the
shares are, and is nowhere on disk: whoever comes back after an interruption types the passphrase again.
"""

import os
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from station.vault.keys.errors import PassphraseError, RequestError
from station.vault.keys.frames import wipe

MEMORY_KIB, PASSES, LANES = 64 * 1024, 3, 1
SALT, KEY = 16, 32
PASSPHRASE_MIN, PASSPHRASE_MAX = 12, 1024
LABEL = b"hardbin-ceremony-v1\0"
ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class Attendant:
    """A person who is here, and can sign."""

    name: str
    salt: bytes
    key: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """His public key, raw."""
        return self.key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign something of a ceremony."""
        return self.key.sign(LABEL + message)


def enrolled(name: str, passphrase: bytearray) -> Attendant:
    """Make a person's key of the passphrase that he chose; the passphrase is wiped."""
    if not PASSPHRASE_MIN <= len(passphrase) <= PASSPHRASE_MAX:
        raise RequestError(f"a passphrase has {PASSPHRASE_MIN} to {PASSPHRASE_MAX} bytes")
    return _attendant(name, passphrase, os.urandom(SALT))


def returned(name: str, passphrase: bytearray, salt: bytes, public: bytes) -> Attendant:
    """A person who enrolled before; PassphraseError if that was another passphrase. It is wiped."""
    attendant = _attendant(name, passphrase, salt)
    if attendant.public != public:
        raise PassphraseError(f"this is not the passphrase with which {name} enrolled")
    return attendant


def _attendant(name: str, passphrase: bytearray, salt: bytes) -> Attendant:
    seed = hash_secret_raw(bytes(passphrase), salt, PASSES, MEMORY_KIB, LANES, hash_len=KEY, type=Type.ID)
    wipe(passphrase)
    return Attendant(name, salt, Ed25519PrivateKey.from_private_bytes(seed))


def signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a person signed this in a ceremony."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, LABEL + message)
    except (InvalidSignature, ValueError):
        return False
    return True
