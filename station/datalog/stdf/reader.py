"""A reader that streams, takes both byte orders and never raises for what a file holds."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from station.datalog.stdf.fields import BIG, LITTLE, Order
from station.datalog.stdf.records import HEADER, Record, decoder
from station.datalog.stdf.table import V4_2007

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
        return decoded(offset, typ, sub, content, self.order)

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield offset, type, sub type and content of every whole record, undecoded."""
        data = self._file.read(CHUNK)
        self.order, self.fault = start = began(data)
        if start.fault:
            return
        unpack = unpacker(self.order)
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


class Start(NamedTuple):
    """What the FAR of a file tells."""

    order: Order
    fault: str
    """Why it cannot be read; empty if it can."""


def began(data: bytes) -> Start:
    """Take the byte order from the FAR, with which a file begins."""
    if len(data) < 6:
        return Start(LITTLE, "the file ends inside its first record")
    if data[2:4] != b"\x00\x0a" or data[:2] not in {b"\x02\x00", b"\x00\x02"}:
        return Start(LITTLE, f"no FAR at its start but {data[:6].hex(' ')}: it is no STDF file")
    if data[4] not in {1, 2}:
        fault = f"CPU_TYPE {data[4]} is not read: 1 (big endian) and 2 (little endian) are"
        return Start(LITTLE, fault)
    return Start(BIG if data[:2] == b"\x00\x02" else LITTLE, "")


def decoded(offset: int, typ: int, sub: int, content: bytes, order: Order) -> Record:
    """Decode one record; what is wrong with it stands in its `fault`."""
    found = decoder(typ, sub, order)
    if found is not None:
        return found.decode(content, offset)
    if (name := V4_2007.get((typ, sub))) is not None:
        return Record(name, {}, offset, typ, sub, "", content)
    fault = f"there is no record of type {typ} sub type {sub}"
    return Record(f"{typ}/{sub}", {}, offset, typ, sub, fault, content)


def unpacker(order: Order) -> Callable[[bytes, int], tuple[int, int, int]]:
    """Return what takes length, type and sub type from a header."""
    return HEADER.unpack_from if order == LITTLE else _unpack_big


def _unpack_big(data: bytes, at: int) -> tuple[int, int, int]:
    return data[at] << 8 | data[at + 1], data[at + 2], data[at + 3]


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a file."""
    with path.open("rb") as file:
        yield from Reader(file)


def read_bytes(data: bytes) -> list[Record]:
    """Return the records of a file that is in memory."""
    return list(Reader(io.BytesIO(data)))
