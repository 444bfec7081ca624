"""The development key store: one file of seeds, in the vault's own process. Production needs another.

It holds the embedded roots, the issuing key, the issuer master and the keys that sign device records. The
transport master is public, SHA-256 of a known text: simulated chips carry keys diversified from it.
"""

import os
from hashlib import sha256, sha384
from pathlib import Path
from typing import TypeAlias

import msgspec
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from station.errors import ConfigError
from station.vault.scp03 import KeySet, kdf
from station.vault.secret import Secret
from station.vault.signing import VerifyingKey

FILE = "development.keys"
TRANSPORT, ISSUER = 0x30, 0x31
TRANSPORT_MASTER = "TM-se1-1"
TRANSPORT_MASTER_TEXT = b"hardbin development transport master"
ROOT, ISSUING, ISSUING_EC, RECORD, RECORD_EC, MASTER, RMA, RMA_EC = (
    "ROOT-PQ-1",
    "ICA-PQ-1",
    "ICA-EC-1",
    "REC-1",
    "REC-EC-1",
    "IM-se1-1",
    "RMA-se1-1",
    "RMA-EC-se1-1",
)
SIZES = {
    ROOT: 32,
    ISSUING: 32,
    ISSUING_EC: 32,
    RECORD: 32,
    RECORD_EC: 32,
    MASTER: 32,
    RMA: 64,
    RMA_EC: 32,
}
P384_ORDER_BYTES = 48

SigningKey: TypeAlias = mldsa.MLDSA87PrivateKey | mldsa.MLDSA65PrivateKey | ec.EllipticCurvePrivateKey


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    mode: str
    seed: int | None
    """What the keys were drawn from; None: from the system's generator."""
    keys: dict[str, str]


class KeyStore:
    """Keys by name. Private keys never leave it; nothing of it is printable."""

    mode = "development"

    def __init__(self, keys: dict[str, Secret]) -> None:
        self._keys = keys
        self._transport = Secret(sha256(TRANSPORT_MASTER_TEXT).digest())
        self._signing: dict[str, SigningKey] = {
            ROOT: mldsa.MLDSA87PrivateKey.from_seed_bytes(self._seed(ROOT)),
            ISSUING: mldsa.MLDSA65PrivateKey.from_seed_bytes(self._seed(ISSUING)),
            ISSUING_EC: _p384(self._seed(ISSUING_EC)),
        }
        self._record = mldsa.MLDSA65PrivateKey.from_seed_bytes(self._seed(RECORD))
        self._record_ec = _p384(self._seed(RECORD_EC))
        rma = mlkem.MLKEM1024PrivateKey.from_seed_bytes(self._seed(RMA))
        self._rma = hpke.MLKEM1024P384PrivateKey(rma, _p384(self._seed(RMA_EC))).public_key()
        self._suite = hpke.Suite(hpke.KEM.MLKEM1024_P384, hpke.KDF.HKDF_SHA384, hpke.AEAD.AES_256_GCM)

    @classmethod
    def open(cls, folder: Path, seed: int | None) -> "KeyStore":
        """Open the store of a folder, made at the first start; ConfigError if it is of another seed."""
        path = folder / FILE
        if not path.exists():
            _create(path, seed)
        try:
            file = msgspec.json.decode(path.read_bytes(), type=_File)
            keys = {name: Secret(bytes.fromhex(key)) for name, key in file.keys.items()}
        except (msgspec.DecodeError, ValueError) as error:
            raise ConfigError(f"{path}: not a development key store: {type(error).__name__}") from error
        if wrong := [name for name, size in SIZES.items() if len(keys.get(name, b"")) != size]:
            raise ConfigError(
                f"{path}: lacks {', '.join(wrong)}, as of an earlier version; use another folder"
            )
        if seed is not None and seed != file.seed:
            raise ConfigError(f"{path}: made with seed {file.seed}, not {seed}; use another folder")
        return cls(keys)

    def random(self, size: int) -> bytes:
        """Fresh random bytes: challenges, nonces, tokens."""
        return os.urandom(size)

    def die_keys(self, uid: bytes, kvn: int) -> KeySet:
        """The key set 30 or 31 of one die."""
        master = {TRANSPORT: self._transport, ISSUER: self._keys[MASTER]}[kvn]
        context = uid + bytes([kvn])
        enc, mac, dek = (
            kdf(master, label, context, 256) for label in (b"PQP1-DIE-ENC", b"PQP1-DIE-MAC", b"PQP1-DIE-DEK")
        )
        return KeySet(kvn, enc, mac, dek)

    def public(self, key: str) -> VerifyingKey:
        """The public half of a key that certifies."""
        return self._signing[key].public_key()

    async def sign(self, key: str, message: bytes, order: str) -> bytes:
        """Sign with a key that certifies; this store counts nothing, so the order is only named."""
        del order
        signer = self._signing[key]
        if isinstance(signer, ec.EllipticCurvePrivateKey):
            return signer.sign(message, ec.ECDSA(hashes.SHA384()))
        return signer.sign(message)

    def sign_record(self, header: bytes, message: bytes) -> bytes:
        """ML-DSA-65 signature of a device record, over `header . message`."""
        return self._record.sign(header + b"." + message)

    def sign_record_ec(self, header: bytes, message: bytes) -> bytes:
        """ES384 signature of a device record, r then s."""
        r, s = decode_dss_signature(self._record_ec.sign(header + b"." + message, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(P384_ORDER_BYTES) + s.to_bytes(P384_ORDER_BYTES)

    def drawn(self, uid: bytes, one_in: int) -> bool:
        """Whether a die is one of those drawn for an extra check; the die cannot know it beforehand."""
        with kdf(self._keys[MASTER], b"PQP1-DRAW-CK", uid, 32) as lot:
            return int.from_bytes(lot.reveal()) % one_in == 0

    def rma_token(self, uid: bytes) -> tuple[bytes, bytes]:
        """Return the hash of a new RMA token and the box, opened by the offline key only, that holds it."""
        with Secret(self.random(32)) as token:
            digest = sha384(b"PQP1-RMA" + uid + bytes(token.reveal())).digest()
            sealed = self._suite.encrypt(bytes(token.reveal()), self._rma, info=b"PQP1-RMA" + uid)
        return digest, b"HBX1\x01\x00\x01" + sha256(RMA.encode()).digest()[:8] + sealed

    def _seed(self, name: str) -> bytes:
        return bytes(self._keys[name].reveal())


def _create(path: Path, seed: int | None) -> None:
    keys = {name: _drawn(name, size, seed).hex() for name, size in SIZES.items()}
    body = msgspec.json.encode(_File(1, KeyStore.mode, seed, keys))
    temporary = path.with_suffix(".new")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, body)
        os.fsync(file)
    finally:
        os.close(file)
    temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _drawn(name: str, size: int, seed: int | None) -> bytes:
    if seed is None:
        return os.urandom(size)
    text = f"hardbin development {seed} {name} ".encode()
    return b"".join(sha256(text + bytes([block])).digest() for block in range(-(-size // 32)))[:size]


def _p384(seed: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(seed) or 1, ec.SECP384R1())
