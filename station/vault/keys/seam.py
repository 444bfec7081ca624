"""The seam: all that the vault may ask of a key store, whatever holds the keys."""

from collections.abc import Sequence
from typing import Protocol

from station.vault.keys.header import Head
from station.vault.keys.words import (
    Approval,
    Attributes,
    Entry,
    Health,
    KeyProfile,
    KeyRef,
    KeyState,
    SealedKey,
    Ticket,
    Use,
)
from station.vault.secret import Secret


class KeyStore(Protocol):
    """Keys by name. Every verb raises a KeyStoreError that says why it was not done."""

    async def generate(self, profile: KeyProfile) -> KeyRef:
        """Make a new key, pre-active."""

    async def load(self, profile: KeyProfile, key: Secret) -> KeyRef:
        """Take over a symmetric key that was made elsewhere; it stays marked as imported."""

    async def derive(self, key: KeyRef, label: bytes, context: bytes, bits: int) -> Secret:
        """SP 800-108 counter mode with AES-CMAC, in SCP03's order."""

    async def derive_all(
        self, key: KeyRef, labels: tuple[bytes, ...], context: bytes, bits: int
    ) -> tuple[Secret, ...]:
        """One key for each label, in one question."""

    async def random(self, size: int) -> bytes:
        """Random bytes, of the module if there is one."""

    async def random_secret(self, size: int) -> Secret:
        """Random bytes that are to be a key."""

    async def rma_token(self, uid: bytes, sealed: SealedKey) -> Secret:
        """The RMA token of a die that was sealed to the store."""

    async def wrap(self, kek: KeyRef | Secret, key: Secret) -> bytes:
        """AES-KWP (RFC 5649) under a key of the store, or under a key of a session."""

    async def unwrap(self, kek: KeyRef | Secret, wrapped: bytes) -> Secret:
        """The other way; PolicyError if it was changed."""

    async def sign(self, key: KeyRef, message: bytes, ticket: Ticket) -> bytes:
        """Sign, having counted: ECDSA-SHA384 in DER, pure ML-DSA with an empty context, or Ed25519."""

    async def sign_all(self, asked: Sequence[tuple[KeyRef, bytes, Ticket]]) -> list[bytes]:
        """Several signatures in one question; if one is refused, none comes, though some may be counted."""

    async def decapsulate(self, key: KeyRef, ciphertext: bytes) -> Secret:
        """The shared secret of an ML-KEM ciphertext."""

    async def open_ledger(self, origin: str) -> Head:
        """Name the ledger whose heads are signed, once; the head that was signed last."""

    async def rotate_ledger(self, origin: str, last: bytes, proof: list[bytes], first: bytes) -> Head:
        """Sign for the next ledger from now on, and never again for the one that has ended.

        `last` is the old one's last entry, proven to be under the head signed last; it and `first`, the first
        entry of the new one, name each other.
        """

    async def sign_checkpoint(self, old: int, size: int, root: bytes, proof: list[bytes]) -> list[str]:
        """Signature lines for a head of the ledger that grew from the last one signed, and only for such."""

    async def sign_request(self, key: KeyRef, info: bytes) -> bytes:
        """Have an issuing key sign the body of a PKCS #10 request for itself; nothing is counted."""

    async def open_order(self, statement: bytes) -> None:
        """Let issuing keys sign for a work order, if persons whom the store knows have signed it."""

    async def change(self, key: KeyRef, state: KeyState, approval: Approval) -> None:
        """Bring a key into another state; only legal transitions."""

    async def destroy(self, key: KeyRef, approval: Approval) -> None:
        """End a deactivated or compromised key for good."""

    async def zeroise(self) -> None:
        """Destroy the store: no custodian can open it again."""

    async def public(self, key: KeyRef) -> bytes:
        """SubjectPublicKeyInfo, DER."""

    async def prove(self, key: KeyRef, nonce: bytes) -> bytes:
        """Proof of possession, also of a pre-active key: a signature or MAC that nothing else accepts."""

    async def attest(self, key: KeyRef) -> Attributes:
        """What protects the key: sensitive, extractable, never_extractable, local, token."""

    async def usage(self, key: KeyRef) -> Use:
        """How often it was used, and how often it may be."""

    async def entries(self) -> list[Entry]:
        """The register."""

    async def state_register(self, keys: tuple[str, ...]) -> bytes:
        """The register as a statement that these keys of the store sign."""

    async def health(self) -> Health:
        """Whether it is activated, and sound."""

    async def aclose(self) -> None:
        """Let go of it."""
