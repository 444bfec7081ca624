"""The keys with which persons sign what they confirm in a ceremony.

A person of the vault's register signs with the key of his card, which lies in a file sealed under his
passphrase. Who has no card yet chooses a passphrase for this ceremony: Argon2id stretches an Ed25519 key from
it, as it does for shares, that is nowhere on disk. Whoever comes back after an interruption gives it again.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from station.vault.desk import signers
from station.vault.desk.people import card_of
from station.vault.keys.errors import PassphraseError, RequestError
from station.vault.keys.frames import wipe

MEMORY_KIB, PASSES, LANES = 64 * 1024, 3, 1
SALT, KEY = 16, 32
PASSPHRASE_MIN, PASSPHRASE_MAX = 12, 1024
LABEL = b"hardbin-ceremony-v1\0"


@dataclass(frozen=True)
class Attendant:
    """A person who is here, and can sign."""

    name: str
    salt: bytes
    """Of a passphrase for this ceremony; empty for the key of a card."""
    public: bytes
    """His public key, raw."""
    state: Callable[[bytes], bytes]
    """Sign the exact bytes of a statement."""

    def sign(self, message: bytes) -> bytes:
        """Sign something of a ceremony."""
        return self.state(LABEL + message)


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
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return Attendant(name, salt, key.public_key().public_bytes_raw(), key.sign)


def carded(name: str, public: bytes, file: Path, passphrase: bytearray) -> Attendant:
    """A person who brings the key of his card; PassphraseError if it is not that. The passphrase is wiped."""
    try:
        signer = signers.open_file(file, passphrase)
    finally:
        wipe(passphrase)
    if signer.kid != name or bytes.fromhex(card_of(signer.card()).ed25519) != public:
        raise PassphraseError(f"{file}: not the key of {name}'s card")
    return Attendant(name, b"", public, signer.sign)


def signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a person signed this in a ceremony."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, LABEL + message)
    except (InvalidSignature, ValueError):
        return False
    return True
