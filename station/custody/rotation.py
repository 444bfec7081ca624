"""One log after the other: the last leaf of the old names the new, the first of the new what the old came to.

So neither log can be shown without the other: the old one says that it goes on elsewhere, and the new one
under which root it began.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from station.custody.checkpoint import Checkpoint, checked_origin
from station.custody.ledger import Count, Digest, Entry, decoded
from station.custody.merkle import included, leaf_hash
from station.errors import LedgerError

OPENED, ROTATED = "log.opened", "log.rotated"
VAULTS = frozenset({"vault", "desk"})
"""Who may begin and end a log; what a station says of it is a claim."""


class Before(Struct, frozen=True, forbid_unknown_fields=True):
    """`data.before` of the first leaf of a log: the final checkpoint of the log before it."""

    origin: Annotated[str, Meta(min_length=1, max_length=255)]
    size: Count
    root: Digest


class _Rotated(Struct, frozen=True):
    """`data` of a leaf `log.rotated`, as far as it counts here."""

    next: str


class _Opened(Struct, frozen=True):
    """`data` of a leaf `log.opened`, as far as it counts here."""

    origin: str
    before: Before | None = None


def told(final: Checkpoint) -> Mapping[str, object]:
    """Return `data.before` for the log that follows one with this final checkpoint."""
    return {"origin": final.origin, "size": final.size, "root": final.root.hex()}


def next_of(entry: bytes | Entry) -> str:
    """Return the log that an entry says is next, the empty text if it ends none; LedgerError."""
    found = entry if isinstance(entry, Entry) else decoded(entry)
    if found.event != ROTATED or found.src not in VAULTS:
        return ""
    try:
        return checked_origin(msgspec.convert(found.data, _Rotated).next)
    except msgspec.ValidationError as error:
        raise LedgerError(f"entry {found.seq}: does not say which log is next: {error}") from error


def before_of(entry: bytes | Entry) -> Checkpoint | None:
    """Return the final checkpoint of the log before, by a log's first entry; None if it was the first log."""
    opened = _opened(entry if isinstance(entry, Entry) else decoded(entry))
    if opened is None or opened.before is None:
        return None
    before = opened.before
    return Checkpoint(checked_origin(before.origin), before.size, bytes.fromhex(before.root))


def ended(held: Checkpoint, origin: str, last: bytes, proof: list[bytes], first: bytes) -> Iterator[str]:
    """Say why log `origin`, whose first entry is `first`, may not follow the one whose head is `held`.

    `last` is the old log's last entry, `proof` shows that it is under the head.
    """
    if not held.size or not included(leaf_hash(last), held.size - 1, held.size, proof, held.root):
        yield f"this is not the last entry of the {held.size} of {held.origin}"
        return
    yield from linked(held, origin, last, first)


def linked(held: Checkpoint, origin: str, last: bytes, first: bytes) -> Iterator[str]:
    """Say in what the last entry of one log and the first of another do not name each other."""
    try:
        named, begun, before = next_of(last), _opened(decoded(first)), before_of(first)
    except LedgerError as error:
        yield str(error)
        return
    if named != origin:
        yield f"the last entry of {held.origin} names {named or 'no log'} as the next, not {origin}"
    if begun is None or begun.origin != origin or decoded(first).seq:
        yield f"the first entry of {origin} does not open it"
    elif before != held:
        yield f"the first entry of {origin} does not name the final checkpoint of {held.origin}"


def _opened(entry: Entry) -> _Opened | None:
    if entry.event != OPENED or entry.src not in VAULTS:
        return None
    try:
        return msgspec.convert(entry.data, _Opened)
    except msgspec.ValidationError as error:
        raise LedgerError(f"entry {entry.seq}: does not say which log it opens: {error}") from error
