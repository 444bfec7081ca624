"""PNS, the protocol of PATLITE's signal towers on a network.

As in the makers' sample programs for the LR5-LAN and the LA6-POE.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from drivers.errors import InstrumentError, ProtocolError

Model: TypeAlias = Literal["lr5", "la6"]
Letter: TypeAlias = Literal["S", "C", "G"]
"""Run control, clear, status."""

ACK, NAK = 0x06, 0x15
HEAD = 6
LAMPS = 5
OFF, ON, KEEP = 0, 1, 9
BLINK = {"lr5": 3, "la6": 2}
"""Blinking at medium speed on the LR5, flashing on the LA6."""
MOST = {"lr5": 7, "la6": 2}
"""The highest lamp state but "keep"."""
STATUS_BYTES = {"lr5": LAMPS + 1, "la6": 8 + 1 + LAMPS + 1}
"""Status of an LA6 in signal-light mode: eight inputs, the mode, then lamps and buzzer as an LR5."""
SIZES: dict[Letter, int] = {"S": LAMPS + 1, "C": 0, "G": 0}


@dataclass(frozen=True)
class Request:
    """Station to tower."""

    letter: Letter
    data: bytes = b""

    def encode(self, prefix: str) -> bytes:
        """Write it; `prefix` is AB, on older towers XX."""
        return (
            prefix.encode("ascii")
            + bytes((ord(self.letter), 0))
            + len(self.data).to_bytes(2, "big")
            + self.data
        )


def taken(buffer: bytearray, prefix: str) -> Request | None:
    """Take one request from the beginning of what has come; None while it is not whole."""
    if len(buffer) < HEAD or len(buffer) < (size := HEAD + int.from_bytes(buffer[4:6], "big")):
        return None
    raw = bytes(buffer[:size])
    del buffer[:size]
    for letter, expected in SIZES.items():
        if raw[:4] == prefix.encode("ascii") + bytes((ord(letter), 0)) and size == HEAD + expected:
            return Request(letter, raw[HEAD:])
    raise ProtocolError(f"{raw.hex(' ')} is no request of PNS")


def answered(letter: Letter, buffer: bytes, model: Model) -> bytes | None:
    """Return the answer to a request, without what follows; None while it is not whole.

    What an answer means depends on the request: a status may begin with 06, which elsewhere is "taken".
    InstrumentError if the tower refuses.
    """
    if not buffer:
        return None
    if buffer[0] == NAK:
        raise InstrumentError(NAK, f"the tower refuses command {letter}")
    if letter != "G":
        if buffer[0] != ACK:
            raise ProtocolError(f"{buffer.hex(' ')} is no answer to command {letter}")
        return buffer[:1]
    size = STATUS_BYTES[model]
    return buffer[:size] if len(buffer) >= size else None


def lamps_of(status: bytes) -> bytes:
    """Return lamps and buzzer of a status."""
    return status[-(LAMPS + 1) :]
