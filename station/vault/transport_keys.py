"""What a die gets at wafer sort, and what opens its test port, made of what the key store derives."""

from hashlib import sha384

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from drivers.protocols.se1_objects import token_hash
from drivers.protocols.se1_table import KeySet as Kvn
from station.vault.die import scp03
from station.vault.keyring import Keyring
from station.vault.names import RAW_TOKEN, TEST_TOKEN
from station.vault.secret import Secret

TEST_LABEL = b"PQP1-TST"
WRAPPING = b"PQP0-KW"


async def raw_token(store: Keyring, product: str, number: int) -> Secret:
    """What unlocks the virgin dies of a product's mask set."""
    return await store.derived(store.master("RAW", product), RAW_TOKEN, number.to_bytes(2))


async def test_token(store: Keyring, uid: bytes, product: str) -> Secret:
    """What opens the test port of one die again."""
    return await store.derived(store.master("TT", product), TEST_TOKEN, uid)


class Transport:
    """The transport keys of one die on their way: wrapped under what it encapsulated to the plant."""

    def __init__(self, wrapped: bytes, values: bytes) -> None:
        self.wrapped = wrapped
        """152 bytes: ENC, MAC, DEK and the hash of the test token, under AES-KWP."""
        self.values = values
        """What the die must answer: the key version and three check values."""

    @classmethod
    async def sealed(
        cls, store: Keyring, uid: bytes, kem: str, ciphertext: bytes, product: str
    ) -> "Transport":
        """Derive a die's keys and wrap them; KeyStoreError if the ciphertext is none of `kem`'s."""
        keys = await store.die_keys(uid, Kvn.TRANSPORT, product)
        parts = (keys.enc, keys.mac, keys.dek)
        try:
            with (
                await test_token(store, uid, product) as token,
                await store.opened(kem, ciphertext) as shared,
            ):
                proof = token_hash(TEST_LABEL, uid, bytes(token.reveal()))
                content = b"".join(bytes(part.reveal()) for part in parts) + proof
                kek = wrapping_key(shared, store.kem_public(kem), ciphertext, uid)
                wrapped = aes_key_wrap_with_padding(kek, content)
            values = bytes((Kvn.TRANSPORT,)) + b"".join(scp03.check_value(part) for part in parts)
        finally:
            keys.wipe()
        return cls(wrapped, values)


def wrapping_key(shared: Secret, public: bytes, ciphertext: bytes, uid: bytes) -> bytes:
    """HKDF-SHA384 over the shared secret, bound to both halves of the encapsulation and to the UID."""
    salt = sha384(public + ciphertext).digest()
    return HKDF(hashes.SHA384(), 32, salt, WRAPPING + uid).derive(bytes(shared.reveal()))
