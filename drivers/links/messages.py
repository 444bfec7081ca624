"""Messages over a port: one line out, one line or block back."""

from collections.abc import Callable

from drivers.errors import InstrumentError, ProtocolError, Silent, TransportError
from drivers.protocols.scpi import read_block
from drivers.transports import Clear, Conversation, Pause, Read, T, Write


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


def hear_block(*, timeout_s: float, size: int | None = None) -> Conversation[bytes]:
    """Read one block and return its data; ProtocolError if it is none, or not as long as announced.

    `size` is the length of a block that announces none. A line end within the data ends no block.
    """
    message = b""
    while True:
        try:
            reply = yield Read(timeout_s)
        except Silent as silence:
            if not message:
                raise
            yield from clear_after(silence)
            raise ProtocolError(f"a block ended after {len(message)} bytes, short of its length") from None
        message += reply if isinstance(reply, bytes) else b""
        try:
            data = read_block(message, size=size)
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        if data is not None:
            return data


def clear_after(silence: Silent) -> Conversation[None]:
    """Device clear, so that a late answer is not taken for the next; `silence` where a port has none."""
    try:
        yield Clear()
    except TransportError:
        raise silence from None


def insisting(attempt: Callable[[], Conversation[T]]) -> Conversation[T]:
    """Hold a conversation, and once more if it ends in silence or a queued error."""
    try:
        return (yield from attempt())
    except (Silent, InstrumentError):
        return (yield from attempt())
