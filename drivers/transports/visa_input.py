"""What a stream behind a VISA library has received and nobody has read: it answers no question any more.

VISA tells of it by a read that may not wait (VPP-4.3, VI_TMO_IMMEDIATE). PyVISA-py waits a millisecond in it
on a socket and loses what it had read on a serial line, so there its own line is emptied.
"""

import ctypes
import select
import socket

import serial

from drivers.errors import DeviceLost

PADDING = b"\r\n\0 "
"""What may follow the end of an answer without being one: line ends in another order, fill bytes."""
CHUNK = 65536
MOST_SURPLUS = 1 << 20
"""A line that has said more than this unasked is mad, and is opened anew."""


def taken(session: object) -> bytes | None:
    """Take what waits in a session of PyVISA-py, without waiting; None if it is of another library.

    DeviceLost if the other end has closed, which a read of PyVISA-py would not notice.
    """
    match getattr(session, "interface", None):
        case socket.socket() as line:
            return _received(line, getattr(session, "_pending_buffer", bytearray()))
        case serial.SerialBase() as line:
            return _at_hand(line)
    return None


def _at_hand(line: serial.SerialBase) -> bytes:
    count: int = getattr(line, "in_waiting", 0)  # each platform's own class has it
    return line.read(count) if count else b""


def waits(session: object) -> bool:
    """Whether something waits in a session of PyVISA-py, or its end; it stays there."""
    line = getattr(session, "interface", None)
    return line is not None and (bool(getattr(session, "_pending_buffer", b"")) or _readable(line))


def _received(line: socket.socket, pending: bytearray) -> bytes:
    data = bytes(pending)
    pending.clear()
    while len(data) < MOST_SURPLUS and _readable(line):
        if not (more := line.recv(CHUNK)):
            raise DeviceLost("the other end closed the connection")
        data += more
    return data


class _Asked(ctypes.Structure):
    """`struct pollfd` of POSIX."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


_poll = ctypes.PyDLL(None).poll
_poll.argtypes = ctypes.POINTER(_Asked), ctypes.c_ulong, ctypes.c_int


def _readable(line: socket.socket | serial.SerialBase) -> bool:
    """Ask without waiting, and without letting another thread have the interpreter, which takes longer."""
    return bool(_poll(_Asked(line.fileno(), select.POLLIN), 1, 0) > 0)
