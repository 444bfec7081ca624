"""Checkpoints: what a log promises, as a signed note (C2SP signed-note and tlog-checkpoint).

The text has three lines: origin, number of leaves, root in base64. After an empty line come signature lines:
an em dash, the key's name, and base64 of the key's id followed by the signature. Extension lines, which no
monitor could check, are refused.
"""

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from station.custody.merkle import HASH_BYTES
from station.errors import LedgerError

NOTE_BYTES = 256 * 1024
SIGNATURES = 64
"""At most in one note."""
KEY_ID_BYTES = 4
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")
_SIGNATURE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\Z")


@dataclass(frozen=True)
class Checkpoint:
    """A log had this root when it had this many leaves."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """The three lines."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode()


@dataclass(frozen=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    content: bytes

    @property
    def line(self) -> str:
        """The line, without its end."""
        return f"\u2014 {self.name} {b64encode(self.key_id + self.content).decode()}"


@dataclass(frozen=True)
class Note:
    """A checkpoint and who signed it; that a signature is there does not mean that it is good."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The note as a file has it."""
        lines = "".join(signature.line + "\n" for signature in self.signatures)
        return self.checkpoint.text + b"\n" + lines.encode()

    def extended(self, *more: Signature) -> "Note":
        """Return the note with more signatures; one of the same key takes the place of the one before."""
        new = {(one.name, one.key_id) for one in more}
        kept = tuple(one for one in self.signatures if (one.name, one.key_id) not in new)
        return Note(self.checkpoint, kept + more)


def parsed(data: bytes) -> Note:
    """Read a note; LedgerError if one byte of it is not as a writer would have put it."""
    if len(data) > NOTE_BYTES:
        raise LedgerError(f"a checkpoint of {len(data)} bytes, at most {NOTE_BYTES} are allowed")
    try:
        text, found, lines = data.decode().rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise LedgerError("the checkpoint is not UTF-8") from error
    if not found or not lines.endswith("\n"):
        raise LedgerError("the checkpoint has no signature lines after an empty line")
    return Note(_checkpoint(text), signatures(lines))


def signatures(lines: str) -> tuple[Signature, ...]:
    """Read signature lines, each with its end."""
    rows = lines.split("\n")
    if rows.pop() or not rows:
        raise LedgerError("signature lines end with a line feed")
    if len(rows) > SIGNATURES:
        raise LedgerError(f"the checkpoint has {len(rows)} signatures, at most {SIGNATURES} are allowed")
    return tuple(_signature(row) for row in rows)


def base64(text: str) -> bytes:
    """Decode strictly: one text for one value; LedgerError for any other."""
    try:
        value = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LedgerError(f"not base64: {text[:80]!r}") from error
    if b64encode(value).decode() != text:
        raise LedgerError(f"not base64 as it is written: {text[:80]!r}")
    return value


def hash_of(text: str) -> bytes:
    """Decode a hash in base64."""
    value = base64(text)
    if len(value) != HASH_BYTES:
        raise LedgerError(f"a hash has {HASH_BYTES} bytes, not {len(value)}")
    return value


def number(text: str, what: str) -> int:
    """Read a decimal number as the formats write it: no sign, no leading zero."""
    if not _SIZE.match(text):
        raise LedgerError(f"the {what} is a decimal number without leading zeros, not {text[:80]!r}")
    return int(text)


def checked_origin(origin: str) -> str:
    """Return a name that may be an origin or a key's name; LedgerError for others."""
    if not origin.isprintable() or re.search(r"[\s+]", origin) or not 0 < len(origin.encode()) < 256:
        raise LedgerError(f"a name has 1 to 255 bytes and neither spaces nor `+`, not {origin[:80]!r}")
    return origin


def _checkpoint(text: str) -> Checkpoint:
    rows = text.split("\n")
    if len(rows) != 3:
        raise LedgerError(f"the checkpoint has {len(rows)} lines; it is origin, size and root")
    return Checkpoint(checked_origin(rows[0]), number(rows[1], "size"), hash_of(rows[2]))


def _signature(row: str) -> Signature:
    match = _SIGNATURE.match(row)
    if match is None:
        raise LedgerError(f"not a signature line: {row[:80]!r}")
    content = base64(match[2])
    if len(content) <= KEY_ID_BYTES:
        raise LedgerError(f"the signature of {match[1]} is empty")
    return Signature(checked_origin(match[1]), content[:KEY_ID_BYTES], content[KEY_ID_BYTES:])
