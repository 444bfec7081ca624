"""Words with whatever is at a port, without a driver."""

import asyncio
from collections.abc import Callable

from drivers.errors import Silent
from drivers.transports import Clear, Conversation, Port, Read, ReadStatus, Stream, Write
from drivers.transports.trace import Trace

QUIET_S = 0.2
"""A line that says nothing for so long after some bytes has ended."""
IN, OUT = 0x80, 0x00


async def say(port: Port | Stream, data: bytes) -> None:
    """Send bytes."""
    if isinstance(port, Stream):
        await port.write(data)
    else:
        await port.run(_saying(port, data))


async def ask(port: Port | Stream, data: bytes, *, timeout_s: float) -> bytes:
    """Send bytes and return the answer; Silent if there is none."""
    if isinstance(port, Stream):
        await port.write(data)
        return await _heard(port, timeout_s)
    return await port.run(_asking(port, data, timeout_s))


async def hear(port: Port | Stream, *, timeout_s: float) -> bytes:
    """Return what comes by itself; Silent if nothing does."""
    if isinstance(port, Stream):
        return await _heard(port, timeout_s)
    return await port.run(_hearing(port, timeout_s))


async def status(port: Port | Stream) -> int:
    """Poll the status byte."""
    return await _bus(port).run(_polling())


async def clear(port: Port | Stream) -> None:
    """Clear the device."""
    await _bus(port).run(_clearing())


def trace_of(port: Port | Stream) -> Trace:
    """Return what crossed a port; every kind of port keeps it."""
    trace = getattr(port, "trace", None)
    if not isinstance(trace, Trace):
        raise TypeError(f"{port.name} keeps no trace")
    return trace


def _bus(port: Port | Stream) -> Port:
    if isinstance(port, Stream):
        raise Silent(f"{port.name}: a line has neither status byte nor device clear")
    return port


async def _heard(stream: Stream, timeout_s: float) -> bytes:
    heard = b""
    wait_s = timeout_s
    while not heard.endswith((b"\n", b"\r")):
        try:
            async with asyncio.timeout(wait_s):
                heard += await stream.receive()
        except TimeoutError:
            if not heard:
                raise Silent(f"{stream.name}: nothing within {timeout_s:g} s") from None
            break
        wait_s = QUIET_S
    return heard


def _pipe(port: Port, direction: int) -> int:
    """The bulk pipe of a USB device; other ports have but one way."""
    interface = getattr(port, "interface", None)
    find: Callable[[int, int], int | None] | None = getattr(interface, "pipe", None)
    return 0 if find is None else find(2, direction) or 0


def _saying(port: Port, data: bytes) -> Conversation[None]:
    yield Write(data, _pipe(port, OUT))


def _asking(port: Port, data: bytes, timeout_s: float) -> Conversation[bytes]:
    yield Write(data, _pipe(port, OUT))
    return (yield from _hearing(port, timeout_s))


def _hearing(port: Port, timeout_s: float) -> Conversation[bytes]:
    reply = yield Read(timeout_s, _pipe(port, IN))
    return reply if isinstance(reply, bytes) else b""


def _polling() -> Conversation[int]:
    reply = yield ReadStatus()
    return reply if isinstance(reply, int) else 0


def _clearing() -> Conversation[None]:
    yield Clear()
