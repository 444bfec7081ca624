"""What a PC/SC service answers: a status of four bytes, and behind it what was asked for.

PC/SC part 5 and the error codes of its specification, as common knowledge.
"""

from dataclasses import dataclass
from enum import IntEnum

from drivers.errors import ProtocolError

IN = 0x80


class Ask(IntEnum):
    """What is asked of the service besides sending a command."""

    POWER_ON = 1
    """Connect, or reset the chip warm; answered with protocol and ATR."""
    RESET_COLD = 2
    POWER_OFF = 3


class Status(IntEnum):
    """Statuses that tell of the chip; others tell of the reader or the service."""

    DONE = 0
    NO_CARD = 0x8010000C
    NOT_TRANSACTED = 0x80100016
    UNSUPPORTED = 0x80100065
    MUTE = 0x80100066
    UNPOWERED = 0x80100067
    RESET = 0x80100068
    REMOVED = 0x80100069


TEXTS = {
    Status.NO_CARD: "no card makes contact",
    Status.NOT_TRANSACTED: "the exchange broke off",
    Status.UNSUPPORTED: "the chip's answer to reset is not understood",
    Status.MUTE: "no answer to reset",
    Status.UNPOWERED: "the chip has no power",
    Status.RESET: "the chip was reset by somebody else",
    Status.REMOVED: "the chip has lost contact",
}
OTHERS = {
    0x80100009: "no reader of this name",
    0x8010000B: "somebody else uses the reader",
    0x80100017: "the reader is gone",
    0x8010001D: "the service does not run",
    0x8010001E: "the service was stopped",
    0x8010002E: "no reader is there",
}


@dataclass(frozen=True)
class Answer:
    """One answer of the service."""

    status: int
    data: bytes = b""

    def encode(self) -> bytes:
        """Write it."""
        return self.status.to_bytes(4, "big") + self.data

    @classmethod
    def decode(cls, raw: bytes) -> "Answer":
        """Read it; ProtocolError if it is none."""
        if len(raw) < 4:
            raise ProtocolError(f"answer of {len(raw)} bytes; a status alone has 4")
        return cls(int.from_bytes(raw[:4], "big"), raw[4:])
