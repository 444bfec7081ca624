"""Keys of logs and witnesses, and what they sign of a checkpoint.

Ed25519 (type 01, signed-note) signs the text. ML-DSA-44 (type 06, tlog-cosignature) signs a structure with
its own name, a time, origin, size and root, and carries the time before the signature. A public key is
written `<name>+<key id>+<base64 of type and key>`.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from station.custody.checkpoint import KEY_ID_BYTES, Checkpoint, Note, Signature, base64, checked_origin
from station.errors import LedgerError

TIME_BYTES = 8
LABEL = b"subtree/v1\n\0"


class Kind(IntEnum):
    """How a key signs; the number is the signature type."""

    ED25519 = 1
    MLDSA44 = 6


KEY_BYTES = {Kind.ED25519: 32, Kind.MLDSA44: 1312}


@dataclass(frozen=True)
class Key:
    """A public key and its name."""

    name: str
    kind: Kind
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that name the key in a signature line."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return sha256(named).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        material = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    def message(self, checkpoint: Checkpoint, time_s: int) -> bytes:
        """Return the bytes that are signed; `time_s` counts for ML-DSA-44 only."""
        match self.kind:
            case Kind.ED25519:
                return checkpoint.text
            case Kind.MLDSA44:
                return _cosigned(self.name, time_s, checkpoint)

    def verifies(self, checkpoint: Checkpoint, signature: Signature) -> bool:
        """Whether the signature is this key's, of this checkpoint."""
        try:
            match self.kind:
                case Kind.ED25519:
                    key = Ed25519PublicKey.from_public_bytes(self.public)
                    key.verify(signature.content, checkpoint.text)
                case Kind.MLDSA44:
                    cosigner = MLDSA44PublicKey.from_public_bytes(self.public)
                    message = self.message(checkpoint, time_of(signature))
                    cosigner.verify(signature.content[TIME_BYTES:], message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A key, and whatever can sign with its private half: a key store, a token."""

    key: Key
    sign: Callable[[bytes], bytes]

    def signature(self, checkpoint: Checkpoint, time_s: int) -> Signature:
        """Sign a checkpoint."""
        content = self.sign(self.key.message(checkpoint, time_s))
        if self.key.kind is Kind.MLDSA44:
            content = time_s.to_bytes(TIME_BYTES) + content
        return Signature(self.key.name, self.key.id, content)


def time_of(signature: Signature) -> int:
    """Return when an ML-DSA-44 signature was made, in seconds since 1970."""
    return int.from_bytes(signature.content[:TIME_BYTES])


def key_of(text: str) -> Key:
    """Read a public key; LedgerError if it is none, or its id is another's."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise LedgerError(f"a public key is name+id+base64, not {text[:80]!r}")
    material = base64(parts[2])
    if not material or material[0] not in set(Kind):
        raise LedgerError(f"key {parts[0]}: its type is 01 (Ed25519) or 06 (ML-DSA-44)")
    key = Key(checked_origin(parts[0]), Kind(material[0]), material[1:])
    if len(key.public) != KEY_BYTES[key.kind]:
        raise LedgerError(f"key {key.name}: {key.kind.name} has {KEY_BYTES[key.kind]} bytes")
    if key.id.hex() != parts[1]:
        raise LedgerError(f"key {key.name}: its id is {key.id.hex()}, not {parts[1][:80]}")
    return key


def signatures_by(note: Note, keys: Iterable[Key]) -> dict[Key, Signature]:
    """Return the good signatures of known keys; LedgerError if one of theirs is bad.

    Signatures of other keys are passed over, as the format demands.
    """
    known = {(key.name, key.id): key for key in keys}
    found: dict[Key, Signature] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(note.checkpoint, signature):
            raise LedgerError(f"the {key.kind.name} signature of {key.name} does not verify")
        found[key] = signature
    return found


def _cosigned(name: str, time_s: int, checkpoint: Checkpoint) -> bytes:
    parts = (
        LABEL,
        _short(name),
        time_s.to_bytes(TIME_BYTES),
        _short(checkpoint.origin),
        (0).to_bytes(TIME_BYTES),
        checkpoint.size.to_bytes(TIME_BYTES),
        checkpoint.root,
    )
    return b"".join(parts)


def _short(text: str) -> bytes:
    encoded = text.encode()
    return bytes([len(encoded)]) + encoded
