"""HSMS: how SECS messages cross a TCP connection, and its control messages.

Ref: secsgem; SEMI E37 as commonly known.
"""

from dataclasses import dataclass
from enum import IntEnum

from drivers.errors import ProtocolError
from drivers.protocols.secs import Item, decode

HEADER = 10
CONTROL_SESSION = 0xFFFF
WAIT = 0x80
LONGEST = 16 << 20
"""Bytes of one message that are believed; more is a connection out of step."""


class Kind(IntEnum):
    """What a frame is (SType)."""

    DATA = 0
    SELECT_REQ = 1
    SELECT_RSP = 2
    DESELECT_REQ = 3
    DESELECT_RSP = 4
    LINKTEST_REQ = 5
    LINKTEST_RSP = 6
    REJECT_REQ = 7
    SEPARATE_REQ = 9


REASONS = {1: "type not supported", 2: "format not supported", 3: "no open transaction", 4: "not selected"}
"""Why a frame was rejected."""


@dataclass(frozen=True)
class Frame:
    """One frame: control, or a message."""

    kind: Kind
    system: int
    """Number of the transaction; a reply has that of its question."""
    session: int = CONTROL_SESSION
    byte2: int = 0
    byte3: int = 0
    text: bytes = b""

    def encode(self) -> bytes:
        """Write it with its length in front."""
        head = self.session.to_bytes(2, "big") + bytes((self.byte2, self.byte3, 0, self.kind))
        body = head + self.system.to_bytes(4, "big") + self.text
        return len(body).to_bytes(4, "big") + body

    @classmethod
    def decode(cls, body: bytes) -> "Frame":
        """Read what follows the length; ProtocolError if it is no frame."""
        if len(body) < HEADER or body[4] != 0:
            raise ProtocolError(f"{body[:HEADER].hex(' ')} is no header of HSMS")
        try:
            kind = Kind(body[5])
        except ValueError:
            raise ProtocolError(f"HSMS type {body[5]} does not exist") from None
        session, system = int.from_bytes(body[:2], "big"), int.from_bytes(body[6:10], "big")
        return cls(kind, system, session, body[2], body[3], body[HEADER:])


@dataclass(frozen=True)
class Message:
    """Stream, function and content; `wait` asks for a reply."""

    stream: int
    function: int
    item: Item | None = None
    wait: bool = False

    def __str__(self) -> str:
        return f"S{self.stream}F{self.function}"

    def frame(self, session: int, system: int) -> Frame:
        """Wrap it."""
        raw = b"" if self.item is None else self.item.encode()
        return Frame(Kind.DATA, system, session, self.stream | WAIT * self.wait, self.function, raw)

    @classmethod
    def of(cls, frame: Frame) -> "Message":
        """Read the message of a frame; ProtocolError if its content is none."""
        return cls(frame.byte2 & 0x7F, frame.byte3, decode(frame.text), bool(frame.byte2 & WAIT))


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._part = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._part)

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return complete frames; ProtocolError if the connection is out of step."""
        self._part += data
        found = list[Frame]()
        while len(self._part) >= 4:
            size = int.from_bytes(self._part[:4], "big")
            if not HEADER <= size <= LONGEST:
                raise ProtocolError(f"a frame of {size} bytes: the connection is out of step")
            if len(self._part) < 4 + size:
                break
            found.append(Frame.decode(bytes(self._part[4 : 4 + size])))
            del self._part[: 4 + size]
        return found
