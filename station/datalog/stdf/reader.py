"""A reader that streams, takes both byte orders and never raises for what a file holds."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from station.datalog.stdf.fields import BIG, LITTLE, Order
from station.datalog.stdf.records import HEADER, Record, decoder

CHUNK = 1 << 20
HEADER_SIZE = HEADER.size


class Reader:
    """Iterate once for every whole record; then `fault` says why the file ended early, if it did."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.order: Order = LITTLE
        self.fault = ""
        self.end = 0
        """Offset behind the last whole record."""

    def __iter__(self) -> Iterator[Record]:
        for frame in self.frames():
            yield self.decode(*frame)

    def decode(self, offset: int, typ: int, sub: int, content: bytes) -> Record:
        """Decode one record; what is wrong with it stands in its `fault`."""
        found = decoder(typ, sub, self.order)
        if found is not None:
            return found.decode(content, offset)
        fault = f"there is no record of type {typ} sub type {sub}"
        return Record(f"{typ}/{sub}", {}, offset, typ, sub, fault, content)

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield offset, type, sub type and content of every whole record, undecoded."""
        data = self._file.read(CHUNK)
        if not self._begins(data):
            return
        unpack = HEADER.unpack_from if self.order == LITTLE else _unpack_big
        at = base = 0
        while True:
            while at + HEADER_SIZE <= len(data):
                length, typ, sub = unpack(data, at)
                if at + HEADER_SIZE + length > len(data):
                    break
                content = data[at + HEADER_SIZE : at + HEADER_SIZE + length]
                self.end = base + at + HEADER_SIZE + length
                yield base + at, typ, sub, content
                at += HEADER_SIZE + length
            more = self._file.read(CHUNK)
            if not more:
                break
            base, data, at = base + at, data[at:] + more, 0
        if at < len(data):
            self.fault = f"the file ends inside a record, {len(data) - at} bytes behind the last whole one"

    def _begins(self, data: bytes) -> bool:
        """Take the byte order from the FAR."""
        if len(data) < 6:
            self.fault = "the file ends inside its first record"
            return False
        if data[2:4] != b"\x00\x0a" or data[:2] not in {b"\x02\x00", b"\x00\x02"}:
            self.fault = f"no FAR at its start but {data[:6].hex(' ')}: it is no STDF file"
            return False
        if data[4] not in {1, 2}:
            self.fault = f"CPU_TYPE {data[4]} is not read: 1 (big endian) and 2 (little endian) are"
            return False
        self.order = BIG if data[:2] == b"\x00\x02" else LITTLE
        return True


def _unpack_big(data: bytes, at: int) -> tuple[int, int, int]:
    return data[at] << 8 | data[at + 1], data[at + 2], data[at + 3]


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a file."""
    with path.open("rb") as file:
        yield from Reader(file)


def read_bytes(data: bytes) -> list[Record]:
    """Return the records of a file that is in memory."""
    return list(Reader(io.BytesIO(data)))
