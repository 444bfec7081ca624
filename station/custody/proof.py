"""`.tlog-proof` files: that an entry is in a ledger, to be checked offline years later (C2SP tlog-proof)."""

from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from station.custody import checkpoint, merkle
from station.custody.checkpoint import Note
from station.custody.log_keys import Key, signatures_by
from station.custody.merkle import Nodes, included, leaf_hash
from station.errors import LedgerError

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
LONGEST = 63
"""Hashes of a proof in the largest tree."""


@dataclass(frozen=True)
class Proof:
    """Where an entry is, the hashes from its sibling up, and the checkpoint that they lead to."""

    index: int
    hashes: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        """The proof as a file has it."""
        rows = [HEADER, f"index {self.index}", *(b64encode(one).decode() for one in self.hashes), "", ""]
        return "\n".join(rows).encode() + self.note.encode()

    def shows(self, entry: bytes) -> bool:
        """Whether the entry has this place in the checkpoint's tree; signatures are another matter."""
        head = self.note.checkpoint
        return included(leaf_hash(entry), self.index, head.size, self.hashes, head.root)


def proof_of(nodes: Nodes, index: int, note: Note) -> Proof:
    """Make the proof of one leaf under a checkpoint."""
    return Proof(index, tuple(merkle.inclusion(nodes, index, note.checkpoint.size)), note)


def parsed(data: bytes) -> Proof:
    """Read a proof; LedgerError if it is not as a writer would have put it, or carries extra data."""
    text, found, note = data.partition(b"\n\n")
    rows = text.split(b"\n")
    if not found or rows[0] != HEADER.encode() or len(rows) < 2 or not rows[1].startswith(b"index "):
        raise LedgerError(f"not a proof: it begins with `{HEADER}` and `index <n>`")
    if len(rows) - 2 > LONGEST:
        raise LedgerError(f"a proof has at most {LONGEST} hashes, not {len(rows) - 2}")
    index = checkpoint.number(rows[1][6:].decode(errors="replace"), "index")
    hashes = tuple(checkpoint.hash_of(row.decode(errors="replace")) for row in rows[2:])
    return Proof(index, hashes, checkpoint.parsed(note))


def verify(proof: Proof, entry: bytes, *, log: Sequence[Key], witnesses: Collection[Key] = ()) -> None:
    """Return if all given keys signed the checkpoint and the entry is under it; else LedgerError."""
    keys = [*log, *witnesses]
    if not log:
        raise LedgerError("without a key of the log a proof proves nothing")
    origin = proof.note.checkpoint.origin
    signed = signatures_by(proof.note, keys)
    for key in keys:
        if key not in signed:
            raise LedgerError(f"{origin}: {key.name} ({key.kind.name}) has not signed the checkpoint")
    if not proof.shows(entry):
        raise LedgerError(f"{origin}: the entry is not at {proof.index} in the tree of the checkpoint")
