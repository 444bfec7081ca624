"""The write-ahead record of a lot: append-only, hash-chained, on disk before anything depends on it.

One line an event: `<first 32 hex of SHA-256 over the chain before and this event> <JSON>`. A reserve file
holds space back, so that a full disk can still take the records that bring the lot to a stop.
"""

import asyncio
import errno
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from station import events
from station.custody import durable_file
from station.errors import StorageError
from station.writer import Writer

RESERVE_BYTES = 16 * 1024 * 1024
CHAIN_HEX = 32
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What giving the reserve back can help against; after any other failure the disk is not to be trusted."""
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[events.Any] = msgspec.json.Decoder(events.Any)


class Journal:
    """Commits of many tasks that come together share one fsync."""

    def __init__(self, path: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        self._path = path
        self._reserve = path.with_suffix(".reserve")
        self._reserve_bytes = reserve_bytes
        self._writer = Writer("journal")
        self._file = -1
        self._size = 0
        self._head = b"0" * CHAIN_HEX
        self._pending: list[events.Any] = []
        self._flush: asyncio.Future[None] | None = None
        self.failed: str | None = None
        """Why the journal is unsafe; None while it is sound."""

    def open(self) -> None:
        """Create the journal, or go on behind the last whole line of one; set the reserve aside."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            for line in _whole_lines(self._path.read_bytes()):
                self._head = line[:CHAIN_HEX]
                self._size += len(line) + 1
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            self._set_reserve_aside()
            durable_file.sync(self._path.parent)
        except OSError as error:
            raise StorageError(f"journal {self._path}: {error.strerror}") from error

    async def commit(self, *entries: events.Any) -> None:
        """Return when the entries are on disk; StorageError when they cannot be."""
        self._pending.extend(entries)
        if self._flush is None:
            self._flush = asyncio.ensure_future(self._flushed())
        await asyncio.shield(self._flush)

    async def _flushed(self) -> None:
        await asyncio.sleep(0)  # whoever commits in this turn of the loop shares the fsync
        self._flush, entries = None, self._pending
        self._pending = []
        if self.closed:
            raise StorageError(f"journal {self._path}: it is closed")
        await self._writer.run(self._append, entries)

    def _append(self, entries: list[events.Any]) -> None:
        data, head = bytearray(), self._head
        for entry in entries:
            body = _ENCODER.encode(entry)
            head = _chained(head, body)
            data += head + b" " + body + b"\n"
        try:
            self._write(bytes(data))
        except OSError as error:
            self.failed = f"journal {self._path}: {error.strerror}"
            raise StorageError(self.failed) from error
        self._head = head
        self._size += len(data)

    def _write(self, data: bytes) -> None:
        try:
            self._write_whole(data)
        except OSError as error:
            if error.errno not in NO_SPACE or not self._reserve.exists():
                raise
            self.failed = f"journal {self._path}: disk full, writing into the reserve"
            self._reserve.unlink()
            self._write_whole(data)

    def _write_whole(self, data: bytes) -> None:
        """Write all of it, or nothing."""
        try:
            _write_all(self._file, data)
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise

    def _set_reserve_aside(self) -> None:
        if self._reserve_bytes == 0:
            return
        file = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.posix_fallocate(file, 0, self._reserve_bytes)
        finally:
            os.close(file)

    @property
    def closed(self) -> bool:
        """Whether its file is not open."""
        return self._file < 0

    def close(self) -> None:
        """Close the file and give the reserve back."""
        self._writer.close()
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
            self._reserve.unlink(missing_ok=True)


def read(path: Path) -> Iterator[events.Any]:
    """Yield the events in order, without a torn tail; StorageError where the chain is broken."""
    head = b"0" * CHAIN_HEX
    for number, line in enumerate(_whole_lines(path.read_bytes()), start=1):
        chain, _, body = line.partition(b" ")
        head = _chained(head, body)
        if chain != head:
            raise StorageError(f"journal {path}: line {number} does not follow from the line before it")
        yield _DECODER.decode(body)


def _chained(head: bytes, body: bytes) -> bytes:
    return sha256(head + body).hexdigest()[:CHAIN_HEX].encode()


def _whole_lines(data: bytes) -> list[bytes]:
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
