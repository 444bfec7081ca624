"""Heads of the ledger: consistency proofs (RFC 9162, 2.1.4.2) and signature lines.

The lines are those of C2SP signed-note and tlog-cosignature.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

HASH = 32
EMPTY_ROOT = sha256(b"").digest()
ED25519_NOTE, ML_DSA_44_COSIGNATURE = 0x01, 0x06
SUBTREE = b"subtree/v1\n\0"
NAME_MAX = 255


@dataclass(frozen=True)
class Growth:
    """A claim that a tree grew from an older head."""

    old: int
    old_root: bytes
    size: int
    root: bytes
    proof: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether the proof shows that the newer tree begins with the older one."""
        if any(len(node) != HASH for node in (self.root, *self.proof)) or not 0 <= self.old <= self.size:
            return False
        if self.old == self.size:
            return not self.proof and self.root == self.old_root
        if self.old == 0:
            return not self.proof
        return self._consistent()

    def _consistent(self) -> bool:
        power_of_two = self.old & (self.old - 1) == 0
        nodes = iter((self.old_root, *self.proof) if power_of_two else self.proof)
        first, second = self.old - 1, self.size - 1
        while first & 1:
            first, second = first >> 1, second >> 1
        begin = next(nodes, None)
        if begin is None:
            return False
        old = new = begin
        for node in nodes:
            if second == 0:
                return False
            if first & 1 or first == second:
                old, new = _node(node, old), _node(node, new)
                while first and not first & 1:
                    first, second = first >> 1, second >> 1
            else:
                new = _node(new, node)
            first, second = first >> 1, second >> 1
        return second == 0 and (old, new) == (self.old_root, self.root)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def note_body(origin: str, size: int, root: bytes) -> bytes:
    """What an Ed25519 key signs of a head."""
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n".encode()


def cosigned(origin: str, size: int, root: bytes, now: int) -> bytes:
    """What an ML-DSA-44 key signs of a head; the log cosigns under its own name."""
    name = origin.encode()
    named = bytes([len(name)]) + name
    return SUBTREE + named + now.to_bytes(8) + named + bytes(8) + size.to_bytes(8) + root


def line(origin: str, kind: int, spki: bytes, signature: bytes) -> str:
    """A signature line; for kind 06 the signature begins with its time."""
    raw = load_der_public_key(spki).public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = sha256(origin.encode() + b"\n" + bytes([kind]) + raw).digest()[:4]
    return f"\N{EM DASH} {origin} {b64encode(key_id + signature).decode()}"


def names(origin: str) -> Iterator[str]:
    """Yield what is wrong with the name of a log."""
    if not 1 <= len(origin.encode()) <= NAME_MAX:
        yield f"it has 1 to {NAME_MAX} bytes"
    if any(character.isspace() or character == "+" for character in origin):
        yield "it has no space and no plus sign"
