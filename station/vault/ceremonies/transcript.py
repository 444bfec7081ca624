"""The transcript of a ceremony: a line for each thing that happened, each with the hash of the line before.

A line is JSON; its hash is SHA-256 of its bytes without the newline, and the hash of the last line stands for
the whole ceremony. Each line is fsynced before anything follows from it.
"""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from station.custody import durable_file
from station.errors import CustodyError

FILE = "transcript"
FIRST = "0" * 64
LINE_MAX = 1 << 20


class TranscriptError(CustodyError):
    """A transcript is not what a ceremony wrote."""


class _What(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="event"):
    """Something that happened."""


class Opened(_What, frozen=True, tag="opened"):
    """The ceremony began, by this plan."""

    plan: str
    """SHA-256 of its file."""


class Enrolled(_What, frozen=True, tag="enrolled"):
    """A person gave the key that his confirmations are signed with."""

    person: str
    salt: bytes
    public: bytes
    """Ed25519, raw."""


class Attended(_What, frozen=True, tag="attended"):
    """A person came, also after an interruption, and signed for it."""

    person: str
    signature: bytes


class Activated(_What, frozen=True, tag="activated"):
    """A custodian gave his share."""

    custodian: str


class Confirmed(_What, frozen=True, tag="confirmed"):
    """A person wants a step done."""

    step: int
    """Counts from 1."""
    person: str
    signature: bytes


class Begun(_What, frozen=True, tag="begun"):
    """A step is being done, or was when power went."""

    step: int


class Done(_What, frozen=True, tag="done"):
    """A step is done, and this came of it."""

    step: int
    result: dict[str, Any]


class Failed(_What, frozen=True, tag="failed"):
    """A step could not be done; it has to be confirmed again."""

    step: int
    reason: str


class Closed(_What, frozen=True, tag="closed"):
    """All steps are done, and the bundle was signed."""

    bundle: str
    """SHA-256 of its file."""


What: TypeAlias = Opened | Enrolled | Attended | Activated | Confirmed | Begun | Done | Failed | Closed


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line."""

    n: int
    prev: str
    at: int
    """Unix seconds."""
    what: What


class Transcript:
    """The lines of one ceremony, and their file."""

    def __init__(self, path: Path, *, new: bool) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags | (os.O_CREAT | os.O_EXCL if new else 0), 0o644)
        self.lines: list[Line] = []
        self.head = FIRST
        try:
            if new:
                durable_file.sync(path.parent)
            else:
                self._take_up(path)
        except BaseException:
            self.close()
            raise

    def _take_up(self, path: Path) -> None:
        """Read what is there; what a crash cut short never happened."""
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            os.ftruncate(self._file, len(content) - len(torn))
            os.fsync(self._file)
        for line, head in parsed(whole + b"\n" if whole else b"", str(path)):
            self.lines.append(line)
            self.head = head

    def add(self, what: What, now: float) -> Line:
        """Write a line; it is durable when this returns."""
        line = Line(len(self.lines), self.head, int(now), what)
        content = msgspec.json.encode(line)
        view = memoryview(content + b"\n")
        while view:
            view = view[os.write(self._file, view) :]
        os.fsync(self._file)
        self.lines.append(line)
        self.head = sha256(content).hexdigest()
        return line

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def parsed(content: bytes, name: str) -> Iterator[tuple[Line, str]]:
    """Yield each line with its hash; TranscriptError names the first that does not follow."""
    head = FIRST
    if content and not content.endswith(b"\n"):
        raise TranscriptError(f"{name}: its last line is cut short")
    for number, raw in enumerate(content.split(b"\n")[:-1]):
        try:
            line = msgspec.json.decode(raw, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise TranscriptError(f"{name}, line {number + 1}: no line of a transcript") from None
        if (line.n, line.prev) != (number, head) or msgspec.json.encode(line) != raw:
            raise TranscriptError(f"{name}, line {number + 1}: does not follow the line before it")
        head = sha256(raw).hexdigest()
        yield line, head
