"""USBTMC messages, and the control requests of the class and of USB488.

Ref: USBTMC 1.0, sections 3 (messages) and 4 (requests); USBTMC-USB488 1.0, 3.4 and 4.3; as PyVISA-py
`usbtmc` reads them. The interrupt messages and byte 15 of the capabilities are not in that.
"""

import struct

from msgspec import Struct

CLASS, SUBCLASS = 0xFE, 0x03
HEADER = struct.Struct("<BBBxIBBxx")
MESSAGE_OUT, MESSAGE_IN, TRIGGER = 1, 2, 128
EOM = 1
TO_DEVICE, FROM_INTERFACE, FROM_ENDPOINT = 0x21, 0xA1, 0xA2
ABORT_IN, CHECK_ABORT_IN, CLEAR, CHECK_CLEAR, CAPABILITIES = 3, 4, 5, 6, 7
READ_STATUS = 128
SUCCESS, PENDING, FAILED, NOT_IN_PROGRESS = 1, 2, 0x80, 0x81
SERVICE_REQUEST = 0x81
"""First byte of an interrupt message that asks for service; others carry the tag of a status query."""
CAPABILITY_BYTES = 24


class Transfer(Struct, frozen=True):
    """One bulk transfer of a message."""

    kind: int
    tag: int
    size: int
    attributes: int
    data: bytes

    @property
    def ends(self) -> bool:
        """Whether it is the last of its message."""
        return bool(self.attributes & EOM)


def written(tag: int, data: bytes, *, ends: bool) -> bytes:
    """Write a transfer that carries data to the instrument, filled up to a multiple of four bytes."""
    return _head(MESSAGE_OUT, tag, len(data), EOM if ends else 0) + data + bytes(-len(data) % 4)


def request(tag: int, size: int) -> bytes:
    """Write a transfer that asks for at most `size` bytes of an answer."""
    return _head(MESSAGE_IN, tag, size, 0)


def answered(tag: int, data: bytes, *, ends: bool) -> bytes:
    """Write a transfer that carries an answer."""
    return _head(MESSAGE_IN, tag, len(data), EOM if ends else 0) + data + bytes(-len(data) % 4)


def trigger(tag: int) -> bytes:
    """Write a trigger message."""
    return _head(TRIGGER, tag, 0, 0)


def transfer(data: bytes) -> Transfer:
    """Read a transfer; ValueError if it is none. Its data is what came, up to the size that it announces."""
    if len(data) < HEADER.size:
        raise ValueError(f"a transfer of {len(data)} bytes has no header")
    kind, tag, inverse, size, attributes, _ = HEADER.unpack_from(data)
    if tag ^ inverse != 0xFF:
        raise ValueError(f"a header with tag {tag:#x} and inverse {inverse:#x}")
    return Transfer(kind, tag, size, attributes, data[HEADER.size : HEADER.size + size])


def next_tag(tag: int, lowest: int = 1, highest: int = 255) -> int:
    """Return the tag after this one."""
    return tag + 1 if lowest <= tag < highest else lowest


def _head(kind: int, tag: int, size: int, attributes: int) -> bytes:
    return HEADER.pack(kind, tag, tag ^ 0xFF, size, attributes, 0)
