"""Signing checkpoints without ever forking: only what is consistent with the last one that was signed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from station.custody import durable_file
from station.custody.checkpoint import Checkpoint, Note, checked_origin, parsed
from station.custody.log_keys import Signer
from station.custody.merkle import EMPTY, consistent
from station.errors import LedgerError


class KeptNote:
    """The last note of a log in a file, replaced durably; a log that is new has none."""

    def __init__(self, path: Path, origin: str) -> None:
        self._path = path
        self._none = Checkpoint(origin, 0, EMPTY)

    def read(self) -> Checkpoint:
        """Return the last checkpoint, that of the empty log if there is none; LedgerError if unreadable."""
        try:
            checkpoint = parsed(self._path.read_bytes()).checkpoint
        except FileNotFoundError:
            return self._none
        except (OSError, LedgerError) as error:
            raise LedgerError(f"{self._path}: {error}") from error
        if checkpoint.origin != self._none.origin:
            raise LedgerError(f"{self._path}: is of log {checkpoint.origin}, not {self._none.origin}")
        return checkpoint

    def keep(self, note: Note) -> None:
        """Replace the note; LedgerError if it cannot be made durable."""
        try:
            durable_file.replace(self._path, note.encode())
        except OSError as error:
            raise LedgerError(f"{self._path}: {error.strerror}") from error


class CheckpointSigner:
    """The rule of the key store, which is so the ledger's first witness."""

    def __init__(
        self, origin: str, signers: Sequence[Signer], kept: KeptNote, unix: Callable[[], float]
    ) -> None:
        """`unix` tells seconds since 1970; LedgerError if what was signed last cannot be known."""
        self._origin = checked_origin(origin)
        self._signers = tuple(signers)
        self._kept = kept
        self._unix = unix
        self._lock = Lock()
        self._last = kept.read()

    @property
    def last(self) -> Checkpoint:
        """The last checkpoint that was signed."""
        return self._last

    def sign(self, old: int, size: int, root: bytes, proof: Sequence[bytes]) -> Note:
        """Sign a checkpoint, with the proof of consistency from `old`, the size signed last.

        What is signed is on disk before anybody has the signature. LedgerError if it does not follow from
        the last one, or cannot be kept.
        """
        with self._lock:
            last = self._last
            if old != last.size or size < last.size:
                raise LedgerError(f"{self._origin}: {last.size} leaves are signed; asked for {old} to {size}")
            if not consistent(old, last.root, size, root, proof):
                raise LedgerError(
                    f"{self._origin}: {size} leaves do not follow from the {old} that are signed"
                )
            checkpoint = Checkpoint(self._origin, size, root)
            now_s = int(self._unix())
            note = Note(checkpoint, tuple(one.signature(checkpoint, now_s) for one in self._signers))
            self._kept.keep(note)
            self._last = checkpoint
            return note
