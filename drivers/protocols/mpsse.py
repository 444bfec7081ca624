"""Commands of the MPSSE engine in USB bridges of FTDI, as far as lines, SPI and I2C need it; and its set-up.

No maker's text was at hand: byte values and framing are common knowledge of the trade.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

VENDOR_OUT = 0x40
MPSSE_MODE = 2
STATUS_BYTES = 2
"""Modem status in front of each packet that the chip sends."""
BAD = 0xFA
"""The chip's answer to a command that it does not know, followed by that command."""
SYNC = 0xAA
"""A command that no chip knows: its echo marks the end of an answer."""
MARK = bytes((BAD, SYNC))


class Request(IntEnum):
    """Vendor requests on the control pipe."""

    RESET = 0x00
    LATENCY = 0x09
    BIT_MODE = 0x0B


class Purge(IntEnum):
    """What a RESET resets."""

    ALL = 0
    RECEIVED = 1
    """What the station has sent and the chip not yet taken."""
    SENT = 2


class Code(IntEnum):
    """First bytes of the commands."""

    SHIFT_OUT = 0x11
    """Bytes out while the clock falls, highest bit first; two bytes say how many, less one."""
    BITS_OUT = 0x13
    """Up to eight bits of a byte, likewise; a byte says how many, less one."""
    SHIFT_IN = 0x20
    """Bytes in while the clock rises."""
    BITS_IN = 0x22
    """Up to eight bits, likewise; they come as a byte, the last one lowest."""
    SHIFT = 0x31
    """Bytes out while the clock falls, and in while it rises."""
    SHIFT_BACK = 0x34
    """Bytes out while the clock rises, and in while it falls."""
    SET_LOW = 0x80
    READ_LOW = 0x81
    SET_HIGH = 0x82
    READ_HIGH = 0x83
    LOOP_ON = 0x84
    LOOP_OFF = 0x85
    DIVISOR = 0x86
    SEND_NOW = 0x87
    DIVIDE_OFF = 0x8A
    THREE_PHASES = 0x8C
    """Data stay half a period longer than the pulse of the clock, so that they hold at both its edges."""


ARGUMENTS = {
    Code.SET_LOW: 2,
    Code.SET_HIGH: 2,
    Code.DIVISOR: 2,
    Code.SHIFT_OUT: 2,
    Code.SHIFT_IN: 2,
    Code.SHIFT: 2,
    Code.SHIFT_BACK: 2,
    Code.BITS_OUT: 2,
    Code.BITS_IN: 1,
}
"""How many bytes follow; none follow the others."""
CARRIES_DATA = (Code.SHIFT_OUT, Code.SHIFT, Code.SHIFT_BACK)
"""Behind the length of these come the bytes themselves."""
HALF_CLOCK_HZ = 30e6
PHASES_LONGER = 1.5
"""A period of three phases against one of two."""


@dataclass(frozen=True)
class Command:
    """One command with its arguments."""

    code: Code
    arguments: bytes = b""

    def encode(self) -> bytes:
        """Write it."""
        return bytes((self.code,)) + self.arguments


@dataclass(frozen=True)
class Unknown:
    """A byte that is no command."""

    byte: int


Taken: TypeAlias = Command | Unknown


def levels(value: int, direction: int) -> bytes:
    """Drive 16 lines, low byte first in both numbers; direction bit 1 for an output."""
    low = Command(Code.SET_LOW, bytes((value & 0xFF, direction & 0xFF)))
    high = Command(Code.SET_HIGH, bytes((value >> 8, direction >> 8)))
    return low.encode() + high.encode()


def clock(hz: float, *, three_phases: bool = False) -> bytes:
    """Set the clock to `hz` or the next slower one; 458 Hz to 30 MHz, of three phases to 20 MHz."""
    ticks = HALF_CLOCK_HZ / hz / (PHASES_LONGER if three_phases else 1.0)
    divisor = max(math.ceil(ticks) - 1, 0)
    phases = Command(Code.THREE_PHASES).encode() if three_phases else b""
    return (
        Command(Code.DIVIDE_OFF).encode()
        + phases
        + Command(Code.DIVISOR, divisor.to_bytes(2, "little")).encode()
    )


def counted(code: Code, data: bytes = b"", *, size: int = 0) -> bytes:
    """Shift bytes: those of `data`, or `size` that come in."""
    return Command(code, ((len(data) or size) - 1).to_bytes(2, "little") + data).encode()


QUESTION = bytes((Code.READ_LOW, Code.READ_HIGH, SYNC, Code.SEND_NOW))
"""Ask for the 16 lines; the mark behind the answer shows that nothing was lost before it."""
ANSWER_BYTES = 2 + len(MARK)


def answered(payload: bytes) -> int | None:
    """Return the 16 lines; None if the answer is out of step."""
    if len(payload) != ANSWER_BYTES or payload[2:] != MARK:
        return None
    return int.from_bytes(payload[:2], "little")


def payload_of(transfer: bytes, packet: int) -> bytes:
    """Take the status bytes out of a transfer, which has them in front of each packet."""
    pieces = (transfer[at + STATUS_BYTES : at + packet] for at in range(0, len(transfer), packet))
    return b"".join(pieces)


class Commands:
    """Cuts what the station sends into commands, as the chip does."""

    def __init__(self) -> None:
        self._part = bytearray()

    def feed(self, data: bytes) -> list[Taken]:
        """Take bytes; return what is complete."""
        self._part += data
        found: list[Taken] = []
        while self._part:
            try:
                code = Code(self._part[0])
            except ValueError:
                found.append(Unknown(self._part.pop(0)))
                continue
            size = 1 + ARGUMENTS.get(code, 0)
            if code in CARRIES_DATA and len(self._part) >= size:
                size += int.from_bytes(self._part[1:3], "little") + 1
            if len(self._part) < size:
                break
            found.append(Command(code, bytes(self._part[1:size])))
            del self._part[:size]
        return found

    @classmethod
    def of(cls, data: bytes) -> list[Taken]:
        """Return the commands of one transfer."""
        return cls().feed(data)
