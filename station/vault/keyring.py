"""The vault's keys, by what they are for; they live in the key store, only keys of dies come out of it."""

import hmac
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256, sha384
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec, mlkem
from cryptography.hazmat.primitives.serialization import load_der_public_key

from station.custody import log_keys
from station.errors import ConfigError
from station.vault import development
from station.vault.die.scp03 import KeySet
from station.vault.keys.client import KeyStoreClient
from station.vault.keys.errors import KeyStoreError, RequestError
from station.vault.keys.header import Head
from station.vault.keys.seam import KeyStore
from station.vault.keys.words import Algorithm, Entry, KeyRef, KeyState, Mode, Purpose, SealedKey, Ticket
from station.vault.names import ISSUER_MASTER, RECORD, RECORD_EC, RMA, TRANSPORT_KEMS
from station.vault.pki.authorities import CEREMONY
from station.vault.pki.signing import VerifyingKey
from station.vault.secret import Secret

TRANSPORT, ISSUER = 0x30, 0x31
MASTERS = {TRANSPORT: "TM", ISSUER: "IM"}
SHARED = "se1"
"""The product whose masters a development store has, for dies of every product."""
DIE_KEYS = (b"PQP1-DIE-ENC", b"PQP1-DIE-MAC", b"PQP1-DIE-DEK")
DRAW = b"PQP1-DRAW-CK"
MLKEM1024_BYTES = 1568


class Keyring:
    """Keys by name; private keys never leave their store, and nothing here is printable."""

    def __init__(self, store: KeyStore, entries: Mapping[str, Entry], mode: str, rma: bytes) -> None:
        """`rma`: the public key that RMA tokens are sealed to, ML-KEM-1024 then P-384."""
        self._store, self._entries, self.mode = store, entries, mode
        self._draws: Secret | None = None
        """What dies are drawn by; asked for once, since it tells nothing but who was drawn."""
        self._rma = hpke.MLKEM1024P384PublicKey(
            mlkem.MLKEM1024PublicKey.from_public_bytes(rma[:MLKEM1024_BYTES]),
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), rma[MLKEM1024_BYTES:]),
        )
        self._suite = hpke.Suite(hpke.KEM.MLKEM1024_P384, hpke.KDF.HKDF_SHA384, hpke.AEAD.AES_256_GCM)

    @classmethod
    async def open(
        cls, store: KeyStoreClient, folder: Path, *, production: bool, seed: int | None = None
    ) -> "Keyring":
        """Take up a vault's keys; a development store is made, and filled, at the first start.

        `seed` draws a development store's masters from a number. ConfigError if the store cannot be used.
        """
        try:
            if not production:
                await development.fill(store, folder, seed)
            entries = {entry.id: entry for entry in await store.entries()}
            health = await store.health()
            return cls(store, entries, health.mode.value, (folder / development.RMA_FILE).read_bytes())
        except (KeyStoreError, OSError, ValueError) as error:
            raise ConfigError(f"{folder}: its key store cannot be used: {error}") from error

    def random(self, size: int) -> bytes:
        """Fresh random bytes: challenges, nonces, tokens."""
        return os.urandom(size)

    def master(self, kind: str, product: str) -> str:
        """The master `TM`, `IM`, `TT` or `RAW` of a product, by its name."""
        name = f"{kind}-{product}-1"
        if name not in self._entries and self.mode == Mode.DEVELOPMENT:
            return f"{kind}-{SHARED}-1"
        return name

    def lacks(self, product: str) -> list[str]:
        """The masters that dies of a product need and the store did not have at the start."""
        needed = (self.master(kind, product) for kind in MASTERS.values())
        return [name for name in needed if name not in self._entries]

    async def die_keys(self, uid: bytes, kvn: int, product: str = SHARED) -> KeySet:
        """The key set 30 or 31 of one die."""
        context = uid + bytes([kvn])
        enc, mac, dek = await self._store.derive_all(
            KeyRef(self.master(MASTERS[kvn], product)), DIE_KEYS, context, 256
        )
        return KeySet(kvn, enc, mac, dek)

    async def seed(self, size: int) -> Secret:
        """The seed of a key that is born in the key store for a die, and kept nowhere."""
        return await self._store.random_secret(size)

    async def derived(self, master: str, label: bytes, context: bytes) -> Secret:
        """256 bits from a master, for one purpose and one context."""
        return await self._store.derive(KeyRef(master), label, context, 256)

    async def opened(self, kem: str, ciphertext: bytes) -> Secret:
        """The shared secret that was encapsulated to a key of the store."""
        return await self._store.decapsulate(KeyRef(kem), ciphertext)

    async def brought_token(self, uid: bytes, sealed: bytes) -> Secret:
        """The RMA token of a die, as a ceremony sealed it to this store; KeyStoreError if it is none."""
        try:
            return await self._store.rma_token(uid, msgspec.json.decode(sealed, type=SealedKey))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise RequestError("not a token that was sealed to a store") from None

    def transport_kems(self) -> list[str]:
        """The plant's keys that dies encapsulate to at wafer sort, newest first; a mask set knows two."""
        found = [
            entry.id
            for entry in self._entries.values()
            if entry.id.startswith(TRANSPORT_KEMS) and entry.state is KeyState.ACTIVE
        ]
        return sorted(found, key=lambda name: (len(name), name), reverse=True)

    def kem_public(self, kem: str) -> bytes:
        """The raw public key that others encapsulate to; KeyStoreError if the store has none of this name."""
        if kem not in self._entries:
            raise RequestError(f"the key store has no key {kem}")
        return load_der_public_key(self._entries[kem].public).public_bytes_raw()  # type: ignore[union-attr]

    async def drawn(self, uid: bytes, one_in: int) -> bool:
        """Whether a die is one of those drawn for an extra check; the die cannot know it beforehand."""
        if one_in == 1:
            return True
        if self._draws is None:
            self._draws = await self._store.derive(KeyRef(ISSUER_MASTER), DRAW, b"", 256)
        return int.from_bytes(hmac.digest(self._draws.reveal(), uid, "sha256")) % one_in == 0

    def public(self, key: str) -> VerifyingKey:
        """The public key of a key that signs; ConfigError if the store has none of this name."""
        if key not in self._entries:
            raise ConfigError(f"the key store has no key {key}")
        return load_der_public_key(self._entries[key].public)  # type: ignore[return-value]

    async def sign(self, key: str, message: bytes, order: str = "") -> bytes:
        """Sign a whole message: ECDSA-SHA384 in DER, or pure ML-DSA; issuing keys need an open order."""
        if order == CEREMONY and self._issues(key):
            return await self._store.sign_request(KeyRef(key), message)
        return await self._store.sign(KeyRef(key), message, self._ticket(key, order))

    async def sign_all(self, asked: Sequence[tuple[str, bytes]], order: str = "") -> list[bytes]:
        """Sign several messages, each with a key by its name, in one question to the store."""
        return await self._store.sign_all(
            [(KeyRef(key), message, self._ticket(key, order)) for key, message in asked]
        )

    def _ticket(self, key: str, order: str) -> Ticket:
        return Ticket(order if self._issues(key) else "")

    def _issues(self, key: str) -> bool:
        return self._entries[key].profile.purpose is Purpose.ISSUE

    async def open_order(self, statement: bytes) -> None:
        """Let issuing keys sign for a work order; the key store looks at its signatures itself."""
        await self._store.open_order(statement)

    async def open_ledger(self, origin: str) -> Head:
        """Name the ledger, and return the head that was signed last."""
        return await self._store.open_ledger(origin)

    async def rotate_ledger(self, origin: str, last: bytes, proof: list[bytes], first: bytes) -> Head:
        """Have heads of the next ledger signed, once the one signed until now has ended."""
        return await self._store.rotate_ledger(origin, last, proof, first)

    async def sign_checkpoint(self, old: int, size: int, root: bytes, proof: list[bytes]) -> list[str]:
        """Signature lines for a head that follows from the one signed last."""
        return await self._store.sign_checkpoint(old, size, root, proof)

    def log_keys(self, origin: str) -> tuple[log_keys.Key, ...]:
        """The public keys that sign the ledger's checkpoints."""
        found = (e for e in self._entries.values() if e.profile.purpose is Purpose.CHECKPOINT)
        return tuple(_log_key(origin, entry) for entry in found if entry.state is KeyState.ACTIVE)

    async def register(self) -> bytes:
        """Every key and its uses, as the store states it; both record keys sign."""
        return await self._store.state_register((RECORD_EC, RECORD))

    async def entries(self) -> list[Entry]:
        """Every key as the store's register has it now."""
        return await self._store.entries()

    async def compromised(self) -> frozenset[str]:
        """The keys that others may know, also those that are destroyed since."""
        return frozenset(
            entry.id
            for entry in await self._store.entries()
            if any(change.state is KeyState.COMPROMISED for change in entry.history)
        )

    def rma_token(self, uid: bytes) -> tuple[bytes, bytes]:
        """Return the hash of a new RMA token and the box, opened by the offline key only, that holds it."""
        with Secret(self.random(32)) as token:
            digest = sha384(b"PQP1-RMA" + uid + bytes(token.reveal())).digest()
            sealed = self._suite.encrypt(bytes(token.reveal()), self._rma, info=b"PQP1-RMA" + uid)
        return digest, b"HBX1\x01\x00\x01" + sha256(RMA.encode()).digest()[:8] + sealed


def _log_key(origin: str, entry: Entry) -> log_keys.Key:
    kind = log_keys.Kind.ED25519 if entry.profile.algorithm is Algorithm.ED25519 else log_keys.Kind.MLDSA44
    public = load_der_public_key(entry.public)
    return log_keys.Key(origin, kind, public.public_bytes_raw())  # type: ignore[union-attr]
