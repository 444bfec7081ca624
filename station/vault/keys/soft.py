"""Keys in the memory of this process, kept sealed in the file."""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from station.vault.keys.backend import Place
from station.vault.keys.errors import DamagedError, PolicyError, RequestError
from station.vault.keys.words import Algorithm, Attributes, Entry, KeyProfile
from station.vault.secret import Secret

AES_KEY = 32
SCALAR = 48
"""Bytes of a private key of P-384."""
SEEDS = {
    Algorithm.ED25519: 32,
    Algorithm.ML_DSA_44: 32,
    Algorithm.ML_DSA_65: 32,
    Algorithm.ML_DSA_87: 32,
    Algorithm.ML_KEM_768: 64,
    Algorithm.ML_KEM_1024: 64,
}
HYBRID_SEED = SEEDS[Algorithm.ML_KEM_1024]
SUITE = hpke.Suite(hpke.KEM.MLKEM1024_P384, hpke.KDF.HKDF_SHA384, hpke.AEAD.AES_256_GCM)
"""Of RMA boxes."""
IMPORTED_SIZES = {Algorithm.AES_256: AES_KEY, Algorithm.ML_KEM_768: SEEDS[Algorithm.ML_KEM_768]}
"""Bytes in which a key made elsewhere comes."""
WRAPPED_MAX = 4096

MlDsa: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MlKem: TypeAlias = mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey
Signer: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | MlDsa


class Hybrid(NamedTuple):
    """The two private keys that open boxes of HPKE together."""

    kem: mlkem.MLKEM1024PrivateKey
    curve: ec.EllipticCurvePrivateKey

    def public(self) -> bytes:
        """The public key of the one, then the point of the other."""
        point = self.curve.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return self.kem.public_key().public_bytes_raw() + point

    def open(self, box: bytes, info: bytes) -> bytes:
        """What is in a box; InvalidTag if it was changed, or is sealed to another key."""
        return SUITE.decrypt(box, hpke.MLKEM1024P384PrivateKey(self.kem, self.curve), info=info)


Usable: TypeAlias = CMAC | Signer | MlKem | Hybrid


def fresh(algorithm: Algorithm) -> Secret:
    """Draw a new key: AES key, seed, or scalar."""
    match algorithm:
        case Algorithm.AES_256:
            return Secret(os.urandom(AES_KEY))
        case Algorithm.P384:
            key = ec.generate_private_key(ec.SECP384R1())
            return Secret(key.private_numbers().private_value.to_bytes(SCALAR))
        case Algorithm.ML_KEM_1024_P384:
            with fresh(Algorithm.ML_KEM_1024) as seed, fresh(Algorithm.P384) as scalar:
                return Secret(bytes(seed.reveal()) + bytes(scalar.reveal()))
        case _:
            return Secret(os.urandom(SEEDS[algorithm]))


def usable(algorithm: Algorithm, secret: Secret) -> Usable:
    """Make a key ready for use."""
    content = bytes(secret.reveal())
    match algorithm:
        case Algorithm.AES_256:
            return CMAC(AES(content))
        case Algorithm.P384:
            return ec.derive_private_key(int.from_bytes(content), ec.SECP384R1())
        case Algorithm.ED25519:
            return ed25519.Ed25519PrivateKey.from_private_bytes(content)
        case Algorithm.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.from_seed_bytes(content)
        case Algorithm.ML_DSA_65:
            return mldsa.MLDSA65PrivateKey.from_seed_bytes(content)
        case Algorithm.ML_DSA_87:
            return mldsa.MLDSA87PrivateKey.from_seed_bytes(content)
        case _:
            return _kem(algorithm, content)


def _kem(algorithm: Algorithm, content: bytes) -> "MlKem | Hybrid":
    match algorithm:
        case Algorithm.ML_KEM_768:
            return mlkem.MLKEM768PrivateKey.from_seed_bytes(content)
        case Algorithm.ML_KEM_1024:
            return mlkem.MLKEM1024PrivateKey.from_seed_bytes(content)
        case _:
            return _hybrid(content)


def _hybrid(content: bytes) -> "Hybrid":
    kem = mlkem.MLKEM1024PrivateKey.from_seed_bytes(content[:HYBRID_SEED])
    scalar = int.from_bytes(content[HYBRID_SEED:])
    return Hybrid(kem, ec.derive_private_key(scalar, ec.SECP384R1()))


def signing(key: Usable) -> Callable[[bytes], bytes] | None:
    """How a key signs a message: ECDSA with SHA-384, Ed25519, pure ML-DSA; None for a key that does not."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return partial(key.sign, signature_algorithm=ec.ECDSA(hashes.SHA384()))
        case (
            ed25519.Ed25519PrivateKey()
            | mldsa.MLDSA44PrivateKey()
            | mldsa.MLDSA65PrivateKey()
            | mldsa.MLDSA87PrivateKey()
        ):
            return key.sign
    return None


class SoftKeys:
    """The back end `soft`."""

    module = ""
    mechanisms: tuple[str, ...] = ()

    def __init__(self, entries: Iterable[Entry], records: Mapping[str, Secret]) -> None:
        self._secrets: dict[str, Secret] = {}
        self._keys: dict[str, Usable] = {}
        self._signs: dict[str, Callable[[bytes], bytes]] = {}
        """How each key that signs does so: asking a key what it is takes long, and is asked of every die."""
        algorithms = {entry.id: entry.profile.algorithm for entry in entries}
        for key, secret in records.items():
            if key not in algorithms:
                raise DamagedError(f"the file holds a key {key} that the register does not know")
            self._adopt(key, algorithms[key], secret)

    def _adopt(self, key: str, algorithm: Algorithm, secret: Secret) -> None:
        self._secrets[key], self._keys[key] = secret, usable(algorithm, secret)
        if signs := signing(self._keys[key]):
            self._signs[key] = signs

    def place(self, profile: KeyProfile) -> Place:
        del profile
        return Place("soft")

    def generate(self, profile: KeyProfile) -> bytes:
        self._adopt(profile.id, profile.algorithm, fresh(profile.algorithm))
        return self.public(profile.id)

    def load(self, profile: KeyProfile, key: Secret) -> None:
        if len(key) != (size := IMPORTED_SIZES[profile.algorithm]):
            raise RequestError(f"key {profile.id}: {profile.algorithm} is taken over in {size} bytes")
        self._adopt(profile.id, profile.algorithm, Secret(key.reveal()))

    def records(self) -> Mapping[str, Secret]:
        return self._secrets

    def found(self) -> Iterable[str]:
        return tuple(self._keys)

    def public(self, key: str) -> bytes:
        usable = self._keys[key]
        if isinstance(usable, CMAC):
            return b""
        if isinstance(usable, Hybrid):
            return usable.public()
        return usable.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def mac(self, key: str, message: bytes) -> bytes:
        usable = self._keys[key]
        if not isinstance(usable, CMAC):
            raise PolicyError(f"key {key} is not symmetric")
        mac = usable.copy()
        mac.update(message)
        return mac.finalize()

    def wrap(self, key: str, content: Secret) -> bytes:
        return wrapped(self._secrets[key], content)

    def unwrap(self, key: str, wrapped: bytes) -> Secret:
        return unwrapped(self._secrets[key], wrapped)

    def sign(self, key: str, message: bytes) -> bytes:
        signs = self._signs.get(key)
        if signs is None:
            raise PolicyError(f"key {key} does not sign")
        return signs(message)

    def decapsulate(self, key: str, ciphertext: bytes) -> Secret:
        kem = self._keys[key]
        if not isinstance(kem, mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey):
            raise PolicyError(f"key {key} does not decapsulate")
        try:
            return Secret(kem.decapsulate(ciphertext))
        except ValueError:
            raise RequestError(f"key {key}: a ciphertext of {len(ciphertext)} bytes is none of its") from None

    def open_box(self, key: str, box: bytes, info: bytes) -> Secret:
        usable = self._keys[key]
        if not isinstance(usable, Hybrid):
            raise PolicyError(f"key {key} opens no boxes")
        try:
            return Secret(usable.open(box, info))
        except (InvalidTag, ValueError):
            raise PolicyError(f"key {key}: the box was changed, or is another key's or die's") from None

    def random(self, size: int) -> bytes:
        return os.urandom(size)

    def attest(self, key: str) -> Attributes:
        """No attribute protects a key in software; only the file's seal does."""
        present = key in self._keys
        return {"present": present, "sensitive": False, "never_extractable": False, "token": False}

    def exportable(self, entry: Entry) -> list[str]:
        del entry
        return []

    def destroy(self, key: str) -> None:
        self._keys.pop(key, None)
        self._signs.pop(key, None)
        secret = self._secrets.pop(key, None)
        if secret is not None:
            secret.wipe()

    def close(self) -> None:
        for key in tuple(self._secrets):
            self.destroy(key)


def wrapped(kek: Secret, content: Secret) -> bytes:
    """AES-KWP (RFC 5649)."""
    if not 1 <= len(content) <= WRAPPED_MAX:
        raise RequestError(f"a wrapped key has 1 to {WRAPPED_MAX} bytes")
    return aes_key_wrap_with_padding(bytes(kek.reveal()), bytes(content.reveal()))


def unwrapped(kek: Secret, content: bytes) -> Secret:
    """AES-KWP, the other way; PolicyError if it was changed or is under another key."""
    try:
        return Secret(aes_key_unwrap_with_padding(bytes(kek.reveal()), content))
    except (InvalidUnwrap, ValueError):
        raise PolicyError("a wrapped key was changed, or is under another key") from None
