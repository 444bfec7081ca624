"""ONC RPC over TCP, as much as VXI-11 needs: records, calls, replies.

Ref: RFC 5531, sections 9 (messages) and 11 (record marking); RFC 4506 (XDR).
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

LAST = 0x80000000
LONGEST = 1 << 21
RPC_VERSION = 2
CALL, REPLY = 0, 1
ACCEPTED, SUCCESS, PROGRAM_UNAVAILABLE, PROCEDURE_UNAVAILABLE, GARBAGE = 0, 0, 1, 3, 4


class Reader:
    """Values out of XDR; ValueError where there are too few bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integers(self, count: int) -> tuple[int, ...]:
        """Read unsigned integers."""
        return struct.unpack(f">{count}I", self._take(4 * count))

    def opaque(self) -> bytes:
        """Read a string or variable opaque."""
        (length,) = self.integers(1)
        data = self._take(length)
        self._take(-length % 4)
        return data

    def _take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise ValueError(f"{size} bytes wanted, {len(self._data) - self._at} left")
        self._at += size
        return self._data[self._at - size : self._at]


def opaque(data: bytes) -> bytes:
    """Write a variable opaque."""
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def integers(*values: int) -> bytes:
    """Write unsigned integers."""
    return struct.pack(f">{len(values)}I", *values)


@dataclass(frozen=True)
class Call:
    """One call."""

    xid: int
    program: int
    version: int
    procedure: int
    arguments: Reader

    def reply(self, results: bytes, how: int = SUCCESS) -> bytes:
        """Write the reply as a record."""
        return record(integers(self.xid, REPLY, ACCEPTED, 0, 0, how) + results)


def read_call(data: bytes) -> Call:
    """Read a call; ValueError if it is none."""
    reader = Reader(data)
    xid, kind, version, program, program_version, procedure = reader.integers(6)
    if kind != CALL or version != RPC_VERSION:
        raise ValueError(f"message type {kind}, RPC version {version}")
    for _ in ("credentials", "verifier"):
        reader.integers(1)
        reader.opaque()
    return Call(xid, program, program_version, procedure, reader)


def call(xid: int, program: int, version: int, procedure: int, arguments: bytes) -> bytes:
    """Write a call without credentials as a record."""
    return record(integers(xid, CALL, RPC_VERSION, program, version, procedure, 0, 0, 0, 0) + arguments)


def record(data: bytes) -> bytes:
    """Write one fragment, which is the last."""
    return integers(LAST | len(data)) + data


class Records:
    """Records out of the pieces in which they arrive."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._fragments = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the records that they complete; ValueError for one that is too long."""
        self._received += data
        found = list[bytes]()
        while len(self._received) >= 4:
            (mark,) = struct.unpack_from(">I", self._received)
            end = 4 + (mark & ~LAST)
            if end > LONGEST:
                raise ValueError(f"a record of {end - 4} bytes")
            if len(self._received) < end:
                break
            self._fragments += bytes(self._received[4:end])
            del self._received[:end]
            if mark & LAST:
                found.append(self._fragments)
                self._fragments = b""
        return found


class CallConnection(asyncio.Protocol, ABC):
    """One client that calls; one that speaks no RPC is sent away."""

    def __init__(self) -> None:
        self._records = Records()

    @abstractmethod
    def called(self, asked: Call) -> None:
        """Take a call."""

    def close(self) -> None:
        """Send the client away."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport).__name__)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for one in self._records.feed(data):
                self.called(read_call(one))
        except ValueError:
            self._transport.close()
