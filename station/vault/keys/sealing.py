"""A secret sealed under a passphrase: AES-256-GCM with a key that Argon2id makes of it."""

import os

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from station.vault.keys.errors import PassphraseError
from station.vault.secret import Secret

MEMORY_KIB, PASSES, LANES = 64 * 1024, 3, 1
SALT, NONCE, KEY, TAG = 16, 12, 32, 16


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sealed secret; whoever has the passphrase, and knows what it is bound to, opens it."""

    salt: bytes
    nonce: bytes
    box: bytes


def seal(secret: Secret, passphrase: bytearray, bound: bytes) -> Box:
    """Seal a secret and bind it to what it is for."""
    salt, nonce = os.urandom(SALT), os.urandom(NONCE)
    with _stretched(passphrase, salt) as key:
        return Box(salt, nonce, AESGCM(key.reveal()).encrypt(nonce, secret.reveal(), bound))


def unseal(sealed: Box, passphrase: bytearray, bound: bytes) -> Secret:
    """Open a box; PassphraseError if that is not its passphrase, or the box was changed."""
    secret = Secret(bytes(max(0, len(sealed.box) - TAG)))
    try:
        with _stretched(passphrase, sealed.salt) as key:
            AESGCM(key.reveal()).decrypt_into(sealed.nonce, sealed.box, bound, secret.reveal())
    except (InvalidTag, ValueError):
        raise PassphraseError("this passphrase does not open it") from None
    return secret


def _stretched(passphrase: bytearray, salt: bytes) -> Secret:
    return Secret(
        hash_secret_raw(bytes(passphrase), salt, PASSES, MEMORY_KIB, LANES, hash_len=KEY, type=Type.ID)
    )
