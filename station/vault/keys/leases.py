"""Uses of keys, counted ahead: a block is durable before its first use, so a crash wastes counts, gains none.

The file `leases` is appended only: a line is MessagePack `[counter, up to]` in hex, a space, and HMAC-SHA256
over the MAC of the line before and this one, under a key of the store. A last line cut short was never used.
"""

import os
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from pathlib import Path

import msgspec

from station.vault.keys.errors import DamagedError, LimitError
from station.vault.keys.hbks import sync_folder
from station.vault.keys.words import Use
from station.vault.secret import Secret

FILE = "leases"
BLOCK = 100
MAC = 32
UNLIMITED = 10**15


def block_of(limit: int | None) -> int:
    """How many uses are leased at a time: 100, of a small limit one in a hundred, at least 1."""
    return BLOCK if limit is None else max(1, min(BLOCK, limit // 100))


class Leases:
    """The counters of one store, and their file."""

    def __init__(self, path: Path, key: Secret, floor: Mapping[str, int]) -> None:
        self._path, self._key, self._file = path, key, -1
        self._last = b"\0" * MAC
        self._leased = dict(floor)
        self._used: dict[str, int] = {}
        self._failed = False

    def open(self) -> None:
        """Read the file, made if missing; what was leased counts as used. DamagedError if it was changed."""
        fresh = not self._path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        try:
            self._replay()
        except BaseException:
            self.close()
            raise
        if fresh:
            sync_folder(self._path.parent)
        self._used = dict(self._leased)

    def _replay(self) -> None:
        content = self._path.read_bytes()
        *lines, torn = content.split(b"\n")
        for line in lines:
            self._replayed(line)
        if torn:
            os.ftruncate(self._file, len(content) - len(torn))
            os.fsync(self._file)

    def _replayed(self, line: bytes) -> None:
        try:
            body, _, mac = line.partition(b" ")
            packed, told = bytes.fromhex(body.decode()), bytes.fromhex(mac.decode())
            counter, upto = msgspec.msgpack.decode(packed, type=tuple[str, int])
        except (ValueError, msgspec.DecodeError):
            raise DamagedError(f"{self._path}: damaged, or not of this store") from None
        if line != self._line(packed, told) or not compare_digest(told, self._mac(packed)):
            raise DamagedError(f"{self._path}: damaged, or not of this store")
        self._last = told
        self._leased[counter] = max(self._leased.get(counter, 0), upto)

    def take(self, *counters: tuple[str, int | None]) -> None:
        """Count one use of each of the counters; LimitError, with nothing counted, if one has none left."""
        for counter, limit in counters:
            if limit is not None and self._used.get(counter, 0) >= limit:
                raise LimitError(f"{counter}: all {limit} uses are spent")
        for counter, limit in counters:
            if self._used.get(counter, 0) >= self._leased.get(counter, 0):
                self._lease(counter, limit)
        for counter, _ in counters:
            self._used[counter] = self._used.get(counter, 0) + 1

    def waste(self, counter: str, limit: int | None, count: int) -> None:
        """Count uses that nobody knows more of than that they may have been; durable."""
        leased = self._leased.get(counter, 0)
        upto = min(leased + count, UNLIMITED if limit is None else limit)
        self._lease_up_to(counter, upto)
        self._used[counter] = upto

    def use(self, counter: str, limit: int | None) -> Use:
        """Tell how far a counter has come."""
        return Use(self._used.get(counter, 0), self._leased.get(counter, 0), limit)

    def used(self, counter: str) -> int:
        """Uses so far, those that a crash wasted among them; what the header keeps at a rewrite."""
        return self._leased.get(counter, 0)

    def _lease(self, counter: str, limit: int | None) -> None:
        leased = self._leased.get(counter, 0)
        self._lease_up_to(counter, min(leased + block_of(limit), UNLIMITED if limit is None else limit))

    def _lease_up_to(self, counter: str, upto: int) -> None:
        packed = msgspec.msgpack.encode((counter, upto))
        mac = self._mac(packed)
        self._append(self._line(packed, mac) + b"\n")
        self._last, self._leased[counter] = mac, upto

    def _append(self, line: bytes) -> None:
        """After a failure nobody knows how much of a line is there: none is granted until the next start."""
        if self._failed or self._file < 0:
            raise LimitError(f"{self._path}: could not be written; uses are not counted, so none is granted")
        self._failed = True
        try:
            written = os.write(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            raise LimitError(f"{self._path}: {error.strerror}; no use is granted") from error
        if written != len(line):
            raise LimitError(f"{self._path}: could not be written whole; no use is granted")
        self._failed = False

    @staticmethod
    def _line(packed: bytes, mac: bytes) -> bytes:
        return f"{packed.hex()} {mac.hex()}".encode()

    def _mac(self, packed: bytes) -> bytes:
        return hmac_digest(bytes(self._key.reveal()), self._last + packed, sha256)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
