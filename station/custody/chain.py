"""The logs of one ledger in their folders, each of which begins where the one before it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from station.custody import rotation
from station.custody.audit import Finding, Trust
from station.custody.checkpoint import Checkpoint, Note, parsed
from station.custody.tiles import CHECKPOINT, TileReader
from station.errors import LedgerError


def trust_of(folder: Path, trust: Trust) -> Trust:
    """What of an auditor's trust concerns one log: keys of its name, if there are any, and checkpoints."""
    origin = _head(folder).origin
    own = [key for key in trust.log if key.name == origin]
    older = [note for note in trust.older if note.checkpoint.origin == origin]
    return replace(trust, log=own or trust.log, older=older)


def findings(folders: Sequence[Path]) -> Iterator[Finding]:
    """Say where one log does not follow on the other; that each is sound is the audit's matter."""
    for old, new in pairwise(folders):
        for what in _faults(old, new):
            yield Finding(str(new), what)


def strangers(folders: Sequence[Path], older: Sequence[Note]) -> Iterator[Finding]:
    """Say which checkpoints from before are of logs that are not shown: those may have been hidden."""
    shown = {_head(folder).origin for folder in folders}
    for note in older:
        if note.checkpoint.origin not in shown:
            name = f"checkpoint of {note.checkpoint.size} leaves"
            yield Finding(name, f"is of log {note.checkpoint.origin}, which is not among these")


def _faults(old: Path, new: Path) -> Iterator[str]:
    ended, begun = _head(old), _head(new)
    if not ended.size or not begun.size:
        yield f"{ended.origin} and {begun.origin} do not name each other: one has no entries"
        return
    try:
        last = TileReader(old, ended.size).entry(ended.size - 1)
        first = TileReader(new, begun.size).entry(0)
    except LedgerError as error:
        yield str(error)
        return
    yield from rotation.linked(ended, begun.origin, last, first)


def _head(folder: Path) -> Checkpoint:
    path = folder / CHECKPOINT
    try:
        return parsed(path.read_bytes()).checkpoint
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
    except LedgerError as error:
        raise LedgerError(f"{path}: {error}") from error
