"""The character protocol T=0 of ISO/IEC 7816-3, chapter 12, above a reader that does the procedure bytes."""

from collections.abc import Generator

GET_RESPONSE = 0xC0
SECURE = 0x0C
"""Bits of the class byte that mark secure messaging, which GET RESPONSE has not."""
ROUNDS = 300

Exchange = Generator[bytes, bytes, bytes]


class T0Error(Exception):
    """An answer that T=0 does not allow."""


def transmit(command: bytes) -> Exchange:
    """Send a short command: yields what to send, is sent each answer, returns data and status word."""
    header = _header(command)
    data = b""
    answer = yield header
    for _ in range(ROUNDS):
        if len(answer) < 2:
            raise T0Error(f"an answer of {len(answer)} bytes has no status word")
        first, second = answer[-2:]
        if first == 0x6C:
            answer = yield header[:4] + bytes((second,))
        elif first == 0x61:
            data += answer[:-2]
            header = bytes((command[0] & ~SECURE, GET_RESPONSE, 0, 0, second))
            answer = yield header
        else:
            return data + answer
    raise T0Error(f"no end after {ROUNDS} answers")


def _header(command: bytes) -> bytes:
    """Return the command as T=0 carries it; ValueError for one of extended length."""
    if len(command) == 4:
        return command + b"\0"
    if len(command) == 5 or len(command) == 5 + command[4] or len(command) == 6 + command[4]:
        return command[: 5 + command[4]] if len(command) > 5 else command
    raise ValueError(f"command of {len(command)} bytes: T=0 carries short commands of at most 261 bytes")
