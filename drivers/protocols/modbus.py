"""Modbus: requests and answers, and their two ways over a line, TCP and RTU.

Common knowledge of the trade.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

from drivers.errors import InstrumentError, ProtocolError

Framing: TypeAlias = Literal["tcp", "rtu"]
MBAP = 7
LONGEST = 260
REFUSED = 0x80


class Function(IntEnum):
    """What is asked for."""

    READ_COILS = 1
    READ_INPUTS = 2
    READ_HOLDING = 3
    READ_INPUT_REGISTERS = 4
    WRITE_COIL = 5
    WRITE_REGISTER = 6
    WRITE_COILS = 15
    WRITE_REGISTERS = 16


BITS = frozenset({Function.READ_COILS, Function.READ_INPUTS})
READS = BITS | {Function.READ_HOLDING, Function.READ_INPUT_REGISTERS}
MANY = frozenset({Function.WRITE_COILS, Function.WRITE_REGISTERS})
EXCEPTIONS = {
    1: "function not known",
    2: "address not known",
    3: "value not allowed",
    4: "device failed",
    6: "busy",
}


@dataclass(frozen=True)
class Request:
    """Read `count` values, or write `values`, from an address on."""

    function: Function
    address: int
    count: int = 1
    values: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Write the PDU."""
        head = bytes((self.function,)) + self.address.to_bytes(2, "big")
        match self.function:
            case Function.WRITE_COIL:
                return head + (b"\xff\x00" if self.values[0] else b"\0\0")
            case Function.WRITE_REGISTER:
                return head + self.values[0].to_bytes(2, "big")
            case Function.WRITE_COILS | Function.WRITE_REGISTERS:
                data = packed(self.function, self.values)
                return head + len(self.values).to_bytes(2, "big") + bytes((len(data),)) + data
        return head + self.count.to_bytes(2, "big")

    @classmethod
    def decode(cls, pdu: bytes) -> "Request":
        """Read a PDU as a device does; ProtocolError if it is none."""
        try:
            function = Function(pdu[0])
        except ValueError:
            raise ProtocolError(f"function {pdu[0]} is not known") from None
        address, number = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if function in READS:
            return cls(function, address, number)
        if function in MANY:
            return cls(function, address, number, unpacked(function, pdu[6:], number))
        return cls(function, address, 1, (int(bool(number)) if function is Function.WRITE_COIL else number,))

    def answer(self, pdu: bytes) -> tuple[int, ...]:
        """Return the values of the answer; InstrumentError if the device refuses."""
        if len(pdu) == 2 and pdu[0] == self.function | REFUSED:
            raise InstrumentError(pdu[1], EXCEPTIONS.get(pdu[1], "exception of the device's maker"))
        if self.function not in READS:
            if pdu != self.encode()[:5]:
                raise ProtocolError(f"{pdu.hex(' ')} does not confirm {self.encode().hex(' ')}")
            return self.values
        size = (self.count + 7) // 8 if self.function in BITS else 2 * self.count
        if len(pdu) != 2 + size or pdu[0] != self.function or pdu[1] != size:
            raise ProtocolError(f"{pdu.hex(' ')} is no answer to {self.encode().hex(' ')}")
        return unpacked(self.function, pdu[2:], self.count)

    def answered(self, values: tuple[int, ...] = ()) -> bytes:
        """Write the PDU with which a device answers."""
        if self.function not in READS:
            return self.encode()[:5]
        data = packed(self.function, values)
        return bytes((self.function, len(data))) + data

    def refused(self, code: int) -> bytes:
        """Write the PDU with which a device refuses."""
        return bytes((self.function | REFUSED, code))


def packed(function: Function, values: tuple[int, ...]) -> bytes:
    """Write coils as bits, lowest first, and registers as words."""
    if function in BITS or function is Function.WRITE_COILS:
        number = sum(bool(value) << bit for bit, value in enumerate(values))
        return number.to_bytes((len(values) + 7) // 8, "little")
    return b"".join(value.to_bytes(2, "big") for value in values)


def unpacked(function: Function, data: bytes, count: int) -> tuple[int, ...]:
    """Read what `packed` writes."""
    if function in BITS or function is Function.WRITE_COILS:
        number = int.from_bytes(data, "little")
        return tuple(number >> bit & 1 for bit in range(count))
    return tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))


@dataclass(frozen=True)
class Frame:
    """A PDU on its way."""

    unit: int
    pdu: bytes
    transaction: int = 0
    """TCP only; RTU has none."""

    def encode(self, framing: Framing) -> bytes:
        """Write it as it crosses the line."""
        body = bytes((self.unit,)) + self.pdu
        if framing == "rtu":
            return body + crc(body)
        head = self.transaction.to_bytes(2, "big") + bytes(2) + len(body).to_bytes(2, "big")
        return head + body


class Frames:
    """Cuts what arrives into frames; what cannot be one is dropped and counted."""

    def __init__(self, framing: Framing, *, asks: bool) -> None:
        """`asks`: whether the other end asks, or answers: only that tells how long a frame of RTU is."""
        self.dropped = 0
        self._framing = framing
        self._asks = asks
        self._part = bytearray()

    def clear(self) -> None:
        """Forget what has come."""
        self._part.clear()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that they complete."""
        self._part += data
        found = list[Frame]()
        while (size := self._size()) is not None and len(self._part) >= size:
            raw = bytes(self._part[:size])
            if self._framing == "tcp":
                found.append(Frame(raw[6], raw[MBAP:], int.from_bytes(raw[:2], "big")))
            elif crc(raw[:-2]) == raw[-2:]:
                found.append(Frame(raw[0], raw[1:-2]))
            else:  # nobody knows where the next one begins
                self.dropped += 1
                self._part.clear()
                break
            del self._part[:size]
        return found

    def _size(self) -> int | None:
        part = self._part
        if self._framing == "tcp":
            if len(part) < MBAP:
                return None
            size = 6 + int.from_bytes(part[4:6], "big")
            if part[2:4] != b"\0\0" or not MBAP < size <= LONGEST:
                self.dropped += 1
                part.clear()
                return None
            return size
        return self._size_rtu()

    def _size_rtu(self) -> int | None:
        part = self._part
        if len(part) < 3:
            return None
        function = part[1]
        if function & REFUSED:
            return 5
        if self._asks:
            return (9 + part[6] if len(part) > 6 else None) if function in MANY else 8
        return 5 + part[2] if function in READS else 8


def crc(data: bytes) -> bytes:
    """Return the check of RTU: polynomial A001, from FFFF, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")
