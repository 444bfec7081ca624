"""Frames of the Velleman K8090 relay board: seven bytes with a checksum.

As pymeasure reads the K8090 protocol manual. A frame is `04 command mask p1 p2 checksum 0F`; the checksum is
the two's complement of the sum of what is before it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from drivers.errors import ProtocolError

START = 0x04
END = 0x0F
SIZE = 7
RELAYS = range(1, 9)


class Code(IntEnum):
    """What a frame is about."""

    ON = 0x11
    OFF = 0x12
    ASK_STATUS = 0x18
    STATUS = 0x51
    """Relays: before in `mask`, now in `first`, running timers in `second`. Also comes unasked."""
    VERSION = 0x71
    """Asked with nothing, answered with year - 2000 in `first` and the week in `second`."""


@dataclass(frozen=True)
class Frame:
    """One frame, either way."""

    code: int
    mask: int = 0
    first: int = 0
    second: int = 0

    def encode(self) -> bytes:
        """Write the frame."""
        body = bytes((START, self.code, self.mask, self.first, self.second))
        return body + bytes((-sum(body) & 0xFF, END))

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read a frame; ProtocolError says what is wrong with it."""
        if len(raw) != SIZE or raw[0] != START or raw[-1] != END:
            raise ProtocolError(f"{raw.hex(' ')} is no frame of a K8090")
        if sum(raw[:-1]) & 0xFF:
            raise ProtocolError(
                f"{raw.hex(' ')} has checksum {raw[5]:02x}, {-sum(raw[:5]) & 0xFF:02x} is right"
            )
        return cls(raw[1], raw[2], raw[3], raw[4])


class Frames:
    """Finds frames in what arrives, however it was cut; bytes that belong to none are dropped and counted."""

    def __init__(self) -> None:
        self._part = bytearray()
        self.dropped = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that they complete."""
        self._part += data
        found: list[Frame] = []
        while len(self._part) >= SIZE:
            try:
                found.append(Frame.decode(bytes(self._part[:SIZE])))
                del self._part[:SIZE]
            except ProtocolError:
                del self._part[0]
                self.dropped += 1
        return found
