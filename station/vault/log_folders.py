"""Where a vault's logs lie: the one that grows in `ledger`, those that have ended in `ledgers/<number>`.

Each folder that is put away keeps the public keys of its log in the file `keys`. It is moved whole, by one
rename, so after any crash it is in one place or the other.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from station.custody import checkpoint, durable_file
from station.custody.checkpoint import Checkpoint
from station.custody.leaf_table import Log
from station.custody.log_keys import Key, key_of
from station.custody.tiles import CHECKPOINT
from station.errors import LedgerError

ENDED, KEYS, KEYS_NOW = "ledgers", "keys", ".keys"


class LogFolders:
    """The folders of a vault's logs; numbers count from 1."""

    def __init__(self, growing: Path) -> None:
        self.growing = growing

    def of(self, number: int, count: int) -> Path:
        """The folder of a log, of so many that there are."""
        return self.growing if number == count else self._ended(number)

    def put_away(self, logs: tuple[Log, ...]) -> None:
        """Move what lies in the growing log's place if it is one that has ended; again does nothing.

        LedgerError if it is not whole: nobody would sign what it lacks.
        """
        try:
            held = self._checkpoint()
            for number, log in enumerate(logs[:-1], 1):
                if held is not None and held.origin == log.origin:
                    self._move(number, log, held)
        except OSError as error:
            raise LedgerError(f"{error.filename or self.growing}: {error.strerror}") from error

    def keep_keys(self, keys: Iterable[Key]) -> None:
        """Write the public keys of the growing log beside its folder; LedgerError."""
        try:
            durable_file.replace(self._keys_now, "".join(f"{key}\n" for key in keys).encode())
        except OSError as error:
            raise LedgerError(f"{self._keys_now}: {error.strerror}") from error

    def keys(self, count: int) -> Iterator[Key]:
        """Yield the public keys of the logs that have ended; LedgerError."""
        for number in range(1, count):
            path = self._ended(number) / KEYS
            try:
                yield from map(key_of, path.read_bytes().decode(errors="replace").splitlines())
            except OSError as error:
                raise LedgerError(f"{path}: {error.strerror}") from error

    @property
    def _keys_now(self) -> Path:
        return self.growing.with_name(self.growing.name + KEYS_NOW)

    def _ended(self, number: int) -> Path:
        return self.growing.with_name(ENDED) / str(number)

    def _checkpoint(self) -> Checkpoint | None:
        path = self.growing / CHECKPOINT
        return checkpoint.parsed(path.read_bytes()).checkpoint if path.exists() else None

    def _move(self, number: int, log: Log, held: Checkpoint) -> None:
        if held.size != log.size:
            raise LedgerError(
                f"{self.growing}: has {held.size} of the {log.size} leaves of {log.origin}, which has ended"
            )
        durable_file.replace(self.growing / KEYS, self._keys_now.read_bytes())
        to = self._ended(number)
        durable_file.sync_all(durable_file.make_folder(to.parent))
        self.growing.rename(to)
        durable_file.sync_all((to.parent, self.growing.parent))
