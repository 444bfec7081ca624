"""PQP-0 with development keys: how a die at wafer sort gets its UID, transport keys and test token.

The masters are public, so that every development vault opens every simulated die.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from drivers.protocols import se1
from drivers.protocols.se1_objects import Uid, token_hash
from drivers.protocols.se1_table import KeySet, LifeCycle, ObjectType, Token

TRANSPORT_MASTER = hashlib.sha256(b"hardbin development transport master").digest()
TEST_TOKEN_MASTER = hashlib.sha256(b"hardbin development test token master").digest()
RAW_TOKEN_MASTER = hashlib.sha256(b"hardbin development raw token master").digest()
PLANT_KEY_SEED = hashlib.sha512(b"hardbin development transport KEM 1").digest()
CIPHERTEXT = 1088
DIES_PER_ROW = 32
DIES_PER_WAFER = DIES_PER_ROW * DIES_PER_ROW

Exchange = Callable[[bytes], bytes]


class SortError(Exception):
    """A simulated die refused a step of PQP-0."""


def development_uid(index: int, *, lot: int = 1017) -> bytes:
    """The UID of the `index`-th die (from 0) of a lot, by its place on 32 x 32 wafers."""
    wafer, place = divmod(index, DIES_PER_WAFER)
    y, x = divmod(place, DIES_PER_ROW)
    return Uid(creator=0x0A01, product=1, plant_code=7, lot=lot, wafer=1 + wafer, x=x, y=y).encode()


def kdf(key: bytes, label: bytes, context: bytes) -> bytes:
    """256 bits by SP 800-108 in counter mode with AES-CMAC, in SCP03's order."""
    return b"".join(_cmac(key, label + b"\0\x01\x00" + bytes((i,)) + context) for i in (1, 2))


def _cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


RAW_TOKEN = kdf(RAW_TOKEN_MASTER, b"PQP1-RAW-TKN", (1).to_bytes(2, "big"))
"""Of the mask set of product 1; its hash is in the ROM."""


def die_keys(master: bytes, uid: bytes, kvn: int) -> tuple[bytes, bytes, bytes]:
    """ENC, MAC and DEK of one key set."""
    enc, mac, dek = (
        kdf(master, b"PQP1-DIE-" + name, uid + bytes((kvn,))) for name in (b"ENC", b"MAC", b"DEK")
    )
    return enc, mac, dek


def unlocking_token(uid: bytes) -> bytes:
    """What reopens a die that was locked after wafer sort."""
    return kdf(TEST_TOKEN_MASTER, b"PQP1-TEST-TK", uid)


@cache
def plant_key() -> tuple[mlkem.MLKEM768PrivateKey, bytes]:
    """The plant's key that dies encapsulate to, and its public key."""
    key = mlkem.MLKEM768PrivateKey.from_seed_bytes(PLANT_KEY_SEED)
    return key, key.public_key().public_bytes_raw()


def transport_wrapping_key(secret: bytes, public: bytes, ciphertext: bytes, uid: bytes) -> bytes:
    """What PUT TRANSPORT KEYS is wrapped under: HKDF-SHA384 of the KEM's secret."""
    salt = hashlib.sha384(public + ciphertext).digest()
    pseudo_random = hmac.digest(salt, secret, "sha384")
    return hmac.digest(pseudo_random, b"PQP0-KW" + uid + b"\x01", "sha384")[:32]


def wrapped_transport_keys(wrapping: bytes, keys: Sequence[bytes], token: bytes, uid: bytes) -> bytes:
    """The 152 bytes of PUT TRANSPORT KEYS."""
    return aes_key_wrap_with_padding(wrapping, b"".join(keys) + token_hash(b"PQP1-TST", uid, token))


def load(exchange: Exchange, uid: bytes, *, payload: int) -> None:
    """Take a die from RAW through PQP-0 to TEST_LOCKED."""
    private, public = plant_key()
    _done(exchange, se1.command("VERIFY TOKEN", kind=Token.RAW, token=RAW_TOKEN))
    _done(exchange, se1.command("SET UID", uid=uid))
    for chunk in se1.write_operand_all(public, payload):
        _done(exchange, chunk)
    _done(exchange, se1.command("KEM TRANSPORT"))
    reads = se1.read_all(ObjectType.RESULT, 0, CIPHERTEXT, payload)
    ciphertext = b"".join(_done(exchange, read) for read in reads)
    wrapping = transport_wrapping_key(private.decapsulate(ciphertext), public, ciphertext, uid)
    keys = die_keys(TRANSPORT_MASTER, uid, KeySet.TRANSPORT)
    wrapped = wrapped_transport_keys(wrapping, keys, unlocking_token(uid), uid)
    _done(exchange, se1.command("PUT TRANSPORT KEYS", kvn=KeySet.TRANSPORT, wrapped=wrapped))
    _done(exchange, se1.command("SET STATUS", life_cycle=LifeCycle.TEST_LOCKED))


def reopen(exchange: Exchange, uid: bytes) -> None:
    """Take a die from TEST_LOCKED to TEST_UNLOCKED."""
    _done(exchange, se1.command("VERIFY TOKEN", kind=Token.TEST, token=unlocking_token(uid)))


def _done(exchange: Exchange, command: bytes) -> bytes:
    reply = se1.split(exchange(command))
    if not reply.ok:
        raise SortError(f"die at wafer sort: {command[:4].hex(' ')} answered {se1.status_name(reply.sw)}")
    return reply.data
