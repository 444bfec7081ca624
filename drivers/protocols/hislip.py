"""HiSLIP messages: what crosses both connections of a LAN instrument.

Ref: IVI-6.1 HiSLIP 1.1, sections 2.6 (header), 3 (messages); PyVISA-py `protocols/hislip`.
"""

import struct
from enum import IntEnum

from msgspec import Struct

HEADER = struct.Struct("!2sBBIQ")
PROLOGUE = b"HS"
PORT = 4880
SUB_ADDRESS = "hislip0"
VERSION = 0x0100
"""1.0, which all speak; in the upper half of a parameter."""
FIRST_ID = 0xFFFFFF00
ANY_ID = 0xFFFFFFFF
MAX_SIZE = 1 << 20
"""The longest message that either end takes unless they agree on something else, header included."""
RMT = 1
"""Bit of the control code: the client has read the end of the last answer."""


class Kind(IntEnum):
    """Types of messages."""

    INITIALIZE = 0
    INITIALIZE_RESPONSE = 1
    FATAL_ERROR = 2
    ERROR = 3
    ASYNC_LOCK = 4
    ASYNC_LOCK_RESPONSE = 5
    DATA = 6
    DATA_END = 7
    DEVICE_CLEAR_COMPLETE = 8
    DEVICE_CLEAR_ACKNOWLEDGE = 9
    ASYNC_REMOTE_LOCAL_CONTROL = 10
    ASYNC_REMOTE_LOCAL_RESPONSE = 11
    TRIGGER = 12
    INTERRUPTED = 13
    ASYNC_INTERRUPTED = 14
    ASYNC_MAX_MSG_SIZE = 15
    ASYNC_MAX_MSG_SIZE_RESPONSE = 16
    ASYNC_INITIALIZE = 17
    ASYNC_INITIALIZE_RESPONSE = 18
    ASYNC_DEVICE_CLEAR = 19
    ASYNC_SERVICE_REQUEST = 20
    ASYNC_STATUS_QUERY = 21
    ASYNC_STATUS_RESPONSE = 22
    ASYNC_DEVICE_CLEAR_ACKNOWLEDGE = 23
    ASYNC_LOCK_INFO = 24
    ASYNC_LOCK_INFO_RESPONSE = 25


class Fatal(IntEnum):
    """Why a connection ends."""

    UNIDENTIFIED = 0
    HEADER = 1
    ONE_CHANNEL = 2
    INITIALIZATION = 3
    TOO_MANY_CLIENTS = 4


class Message(Struct, frozen=True):
    """One message; what control code and parameter mean follows from the type."""

    kind: int
    control: int = 0
    parameter: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Write it."""
        head = HEADER.pack(PROLOGUE, self.kind, self.control, self.parameter, len(self.payload))
        return head + self.payload


class Decoder:
    """Messages out of the pieces in which they arrive."""

    def __init__(self, longest: int = MAX_SIZE) -> None:
        self._longest = longest
        self._received = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes and return the messages that they complete; ValueError if they are no HiSLIP."""
        self._received += data
        found = list[Message]()
        while len(self._received) >= HEADER.size:
            prologue, kind, control, parameter, length = HEADER.unpack_from(self._received)
            if prologue != PROLOGUE:
                raise ValueError(f"a header begins with {prologue!r}, not with {PROLOGUE!r}")
            if length > self._longest:
                raise ValueError(f"a message announces {length} bytes, {self._longest} are allowed")
            end = HEADER.size + length
            if len(self._received) < end:
                break
            found.append(Message(kind, control, parameter, bytes(self._received[HEADER.size : end])))
            del self._received[:end]
        return found


def next_id(number: int) -> int:
    """Return the id of the message after the one with this id."""
    return (number + 2) & 0xFFFFFFFF
