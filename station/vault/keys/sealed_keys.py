"""Keys on their way into a store: sealed to an ML-KEM key of just that store, opened only inside it.

The key is under AES-256-GCM; its key is HKDF-SHA384 over the shared secret; both are bound to the store, the
name that the key will have, and the ciphertext.
"""

from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.vault.keys.errors import PolicyError, RequestError

LABEL = b"hardbin-key-to-store-v1\0"
NONCE = bytes(12)
"""Each key of AES is used once."""
KEY, TAG = 32, 16


class Sealed(NamedTuple):
    """What travels."""

    ciphertext: bytes
    box: bytes


def seal(key: bytearray, name: str, store: bytes, public: bytes) -> Sealed:
    """Seal a key to a store's ML-KEM key, given as SubjectPublicKeyInfo."""
    kem = load_der_public_key(public)
    if not isinstance(kem, mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey):
        raise RequestError("keys are sealed to an ML-KEM key")
    shared, ciphertext = kem.encapsulate()
    cipher = _cipher(shared, _bound(name, store, ciphertext))
    return Sealed(ciphertext, cipher.encrypt(NONCE, key, None))


def opened(shared: bytearray, box: bytes, name: str, store: bytes, ciphertext: bytes) -> bytearray:
    """Open what was sealed; PolicyError if it was changed, or was for another store or name."""
    key = bytearray(max(0, len(box) - TAG))
    try:
        _cipher(bytes(shared), _bound(name, store, ciphertext)).decrypt_into(NONCE, box, None, key)
    except (InvalidTag, ValueError):
        raise PolicyError(f"key {name}: was changed, or is sealed to another store or name") from None
    return key


def _bound(name: str, store: bytes, ciphertext: bytes) -> bytes:
    return LABEL + store + sha256(ciphertext).digest() + name.encode()


def _cipher(shared: bytes, bound: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA384(), KEY, None, bound).derive(shared))
