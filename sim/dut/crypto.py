"""The mathematics of a chip, by `cryptography`; the private key of a post-quantum algorithm is its seed."""

import hashlib
import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem, utils
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from drivers.protocols.se1_table import Algorithm

P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)
HALF = 48
BLOCK = 16


class Aes:
    """AES-256 of one chip while it has power; keeps key schedules: a session asks for many short runs."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, bytes], CipherContext] = {}
        self._macs: dict[bytes, CMAC] = {}

    def run(self, op: int, key: bytes, iv: bytes, data: bytes) -> bytes:
        """ECB and CBC both ways without padding, or CMAC."""
        match op:
            case 0 | 1:
                return self._block_cipher(op, key).update(data)
            case 2 if len(data) == BLOCK:  # a tenth of the price of a new cipher, and most are no longer
                return self._block_cipher(0, key).update(_mixed(iv, data))
            case 3 if len(data) == BLOCK:
                return _mixed(iv, self._block_cipher(1, key).update(data))
            case 2:
                return Cipher(AES(key), CBC(iv)).encryptor().update(data)
            case 3:
                return Cipher(AES(key), CBC(iv)).decryptor().update(data)
        return self._mac(key, data)

    def _block_cipher(self, op: int, key: bytes) -> CipherContext:
        if (context := self._blocks.get((op, key))) is None:
            cipher = Cipher(AES(key), ECB())  # noqa: S305 -- the block cipher itself
            context = self._blocks[op, key] = cipher.decryptor() if op else cipher.encryptor()
        return context

    def _mac(self, key: bytes, data: bytes) -> bytes:
        if (fresh := self._macs.get(key)) is None:
            fresh = self._macs[key] = CMAC(AES(key))
        mac = fresh.copy()
        mac.update(data)
        return mac.finalize()


def _mixed(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(BLOCK)


def digest(key: bytes | None, data: bytes) -> bytes:
    """SHA-384, or HMAC-SHA384 with a key."""
    return hashlib.sha384(data).digest() if key is None else hmac.digest(key, data, "sha384")


@lru_cache(maxsize=256)
def _ec_key(private: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP384R1())


@lru_cache(maxsize=256)
def _mldsa_key(seed: bytes) -> mldsa.MLDSA65PrivateKey:
    return mldsa.MLDSA65PrivateKey.from_seed_bytes(seed)


@lru_cache(maxsize=256)
def _mlkem_key(seed: bytes) -> mlkem.MLKEM768PrivateKey:
    return mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)


def keypair(algorithm: int, seed: bytes) -> tuple[bytes, bytes]:
    """Private key and public key from a seed as long as the private key."""
    match algorithm:
        case Algorithm.P384:
            private = (int.from_bytes(seed, "big") % P384_ORDER or 1).to_bytes(HALF, "big")
            key = _ec_key(private).public_key()
            return private, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        case Algorithm.MLDSA65:
            return seed, _mldsa_key(seed).public_key().public_bytes_raw()
        case Algorithm.MLKEM768:
            return seed, _mlkem_key(seed).public_key().public_bytes_raw()
    raise ValueError(f"no key pairs of algorithm {algorithm:04X}")


def sign(algorithm: int, private: bytes, label: bytes, message: bytes) -> bytes:
    """Sign: ML-DSA hedged, with `label` as context string; ECDSA as r and s over SHA-384 of the message."""
    if algorithm == Algorithm.MLDSA65:
        return _mldsa_key(private).sign(message, label)
    r, s = utils.decode_dss_signature(_ec_key(private).sign(message, ec.ECDSA(SHA384())))
    return r.to_bytes(HALF, "big") + s.to_bytes(HALF, "big")


@lru_cache(maxsize=32)  # each chip verifies the same known answers at each of its self-tests
def verify(algorithm: int, public: bytes, label: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is good; a public key that is none makes every signature bad."""
    try:
        if algorithm == Algorithm.MLDSA65:
            mldsa.MLDSA65PublicKey.from_public_bytes(public).verify(signature, message, label)
        else:
            halves = (int.from_bytes(half, "big") for half in (signature[:HALF], signature[HALF:]))
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), public)
            key.verify(utils.encode_dss_signature(*halves), message, ec.ECDSA(SHA384()))
    except (InvalidSignature, ValueError):
        return False
    return True


def encaps(public: bytes) -> tuple[bytes, bytes]:
    """Ciphertext and shared secret."""
    secret, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    return ciphertext, secret


@lru_cache(maxsize=32)  # of known answers, too
def decaps(seed: bytes, ciphertext: bytes) -> bytes:
    """Shared secret; a bad ciphertext gives the implicitly rejected one."""
    return _mlkem_key(seed).decapsulate(ciphertext)


def rejected(seed: bytes, ciphertext: bytes) -> bytes:
    """What a bad ciphertext decapsulates to (FIPS 203): SHAKE256 of z and the ciphertext."""
    return hashlib.shake_256(seed[32:] + ciphertext).digest(32)
