"""A witness remembers the last checkpoint of each log, and signs only what follows (C2SP tlog-witness).

What it answers to one request is decided here; HTTP is elsewhere.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock

from station.custody import checkpoint
from station.custody.checkpoint import Note, Signature
from station.custody.checkpoint_signer import KeptNote
from station.custody.log_keys import Key, Kind, Signer, signatures_by
from station.custody.merkle import consistent
from station.errors import LedgerError

LONGEST = 63
"""Lines of a consistency proof."""
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """Status, content type and body of a response."""

    status: int
    body: str
    kind: str = TEXT_TYPE


@dataclass(frozen=True)
class Submission:
    """What a log sends: the size it believes the witness to hold, the proof from there, the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        """The body of the request."""
        rows = [f"old {self.old}", *(b64encode(one).decode() for one in self.proof), "", ""]
        return "\n".join(rows).encode() + self.note.encode()


def submission_of(body: bytes) -> Submission:
    """Read the body of a request; LedgerError if it is not one."""
    head, found, note = body.partition(b"\n\n")
    rows = head.decode(errors="replace").split("\n")
    if not found or not rows[0].startswith("old "):
        raise LedgerError("the request is `old <size>`, proof lines, an empty line and a checkpoint")
    if len(rows) - 1 > LONGEST:
        raise LedgerError(f"a proof has at most {LONGEST} lines, not {len(rows) - 1}")
    old = checkpoint.number(rows[0][4:], "old size")
    return Submission(old, tuple(map(checkpoint.hash_of, rows[1:])), checkpoint.parsed(note))


class Witness:
    """Checks and signs checkpoints of known logs; may be called by several threads."""

    def __init__(self, folder: Path, logs: Iterable[Key], signer: Signer, unix: Callable[[], float]) -> None:
        """A log's origin is the name of its keys; LedgerError if what is remembered cannot be read."""
        if signer.key.kind is not Kind.MLDSA44:
            raise LedgerError(f"witness {signer.key.name} signs with ML-DSA-44, not {signer.key.kind.name}")
        self._signer = signer
        self._unix = unix
        self._lock = Lock()
        self._keys: dict[str, list[Key]] = {}
        for key in logs:
            self._keys.setdefault(key.name, []).append(key)
        self._kept = {origin: KeptNote(folder / _file(origin), origin) for origin in self._keys}
        self._last = {origin: kept.read() for origin, kept in self._kept.items()}

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request; what was signed is on disk before the signature is out."""
        try:
            asked = submission_of(body)
        except LedgerError as error:
            return Answer(400, f"{error}\n")
        new = asked.note.checkpoint
        if new.origin not in self._keys:
            return Answer(404, f"this witness does not know log {new.origin}\n")
        signed = self._trusted(asked.note)
        if not signed:
            return Answer(403, f"no trusted key of {new.origin} has signed the checkpoint\n")
        if asked.old > new.size:
            return Answer(400, f"the old size {asked.old} is above the checkpoint's {new.size}\n")
        with self._lock:
            return self._followed(asked, signed)

    def _trusted(self, note: Note) -> tuple[Signature, ...]:
        """Return the good signatures of known keys; none if there is a bad one."""
        try:
            return tuple(signatures_by(note, self._keys[note.checkpoint.origin]).values())
        except LedgerError:
            return ()

    def _followed(self, asked: Submission, signed: tuple[Signature, ...]) -> Answer:
        new = asked.note.checkpoint
        last = self._last[new.origin]
        if asked.old != last.size:
            return Answer(409, f"{last.size}\n", SIZE_TYPE)
        if asked.old == new.size and new.root != last.root:
            return Answer(409, f"{last.size}\n", SIZE_TYPE)
        if not consistent(asked.old, last.root, new.size, new.root, asked.proof):
            return Answer(422, f"{new.size} leaves do not follow from the {last.size} that are signed\n")
        cosignature = self._signer.signature(new, int(self._unix()))
        try:
            self._kept[new.origin].keep(Note(new, (*signed, cosignature)))
        except LedgerError as error:
            return Answer(500, f"{error}\n")
        self._last[new.origin] = new
        return Answer(200, cosignature.line + "\n")


def cosignatures(answer: str, note: Note, keys: Sequence[Key]) -> Note:
    """Add a witness's answer to a note; LedgerError if it has no good signature of one of the keys."""
    found = signatures_by(Note(note.checkpoint, checkpoint.signatures(answer)), keys)
    if not found:
        raise LedgerError("the witness's answer has no signature of a key that is trusted")
    return note.extended(*found.values())


def _file(origin: str) -> str:
    """Name the file of a log; origins may have characters that file names may not."""
    return sha256(origin.encode()).hexdigest() + ".checkpoint"
