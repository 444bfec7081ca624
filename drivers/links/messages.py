"""Text messages over a port: one line out, one line back."""

from drivers.errors import ProtocolError
from drivers.transports import Conversation, Pause, Read, Write


def say(text: str, *, gap_s: float = 0.0) -> Conversation[None]:
    """Write one line, `gap_s` after what was before."""
    if gap_s:
        yield Pause(gap_s)
    yield Write(text.encode("ascii") + b"\n")


def hear(*, timeout_s: float) -> Conversation[str]:
    """Read one line and return it without its end; ProtocolError unless it is ASCII."""
    reply = yield Read(timeout_s)
    if not isinstance(reply, bytes) or not reply.isascii():
        raise ProtocolError(f"answered {reply!r}, which is not a line of ASCII")
    return reply.decode("ascii").rstrip("\r\n")
