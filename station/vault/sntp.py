"""Asking a time server how far this machine's clock is off: SNTP, RFC 4330 and RFC 5905.

A reply is believed if it repeats the 64 random bits that were sent where a client's time would stand. Nobody
sets a clock by it: who forges one can stop admissions, and has no other time believed.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

PORT = 123
PACKET = struct.Struct(">BBbb11I")
CLIENT = 0b00_100_011
"""Version 4, mode 3."""
SERVER, NO_TIME, STRATUM_MAX = 4, 3, 15
EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""
ERA = 1 << 32
ANSWER_S = 2.0
REPLY_MAX = 1024
DELAY_MAX_S = 1.0
"""A reply that was longer on its way tells too little."""


class NoTimeError(Exception):
    """The server did not answer, or with nothing that tells a time."""


@dataclass(frozen=True)
class Server:
    """Where a time server listens."""

    host: str
    port: int = PORT

    @classmethod
    def named(cls, text: str) -> "Server":
        """Read `host` or `host:port`; ValueError."""
        host, colon, port = text.rpartition(":")
        return cls(host, int(port)) if colon else cls(text)


def request(cookie: bytes) -> bytes:
    """What a server is asked; the cookie has 8 bytes."""
    high, low = struct.unpack(">II", cookie)
    return PACKET.pack(CLIENT, 0, 0, 0, *(0,) * 9, high, low)


def offset_s(reply: bytes, cookie: bytes, sent: float, received: float) -> float:
    """How far the clock is behind the server's, by its reply; NoTimeError if that is none, or tells no time.

    `sent` and `received` are when that was, by the clock, in Unix seconds.
    """
    if len(reply) < PACKET.size:
        raise NoTimeError(f"{len(reply)} bytes are no answer of a time server")
    flags, stratum, _, _, *words = PACKET.unpack_from(reply)
    if flags & 7 != SERVER or struct.pack(">II", *words[5:7]) != cookie:
        raise NoTimeError("it answers what was not asked")
    if flags >> 6 == NO_TIME or not 1 <= stratum <= STRATUM_MAX:
        raise NoTimeError("it has no time itself")
    came, left = (seconds + fraction / ERA for seconds, fraction in (words[7:9], words[9:11]))
    delay = (received - sent) - (left - came)
    if not 0 <= delay <= DELAY_MAX_S:
        raise NoTimeError(f"its answer was on its way for {delay:.3f} s")
    return (_since(came, sent) + _since(left, received)) / 2


def _since(there: float, here: float) -> float:
    """Seconds from a Unix time to one of NTP, in whatever era of 136 years makes them nearest."""
    apart = (there - EPOCH - here) % ERA
    return apart - ERA if apart > ERA / 2 else apart


async def measured_s(server: Server, wall: Callable[[], float]) -> float:
    """Ask a server once; NoTimeError if it does not answer within two seconds, or not well."""
    cookie = os.urandom(8)
    try:
        async with asyncio.timeout(ANSWER_S):
            sent, reply, received = await _asked(server, cookie, wall)
    except TimeoutError as error:
        raise NoTimeError("it does not answer") from error
    except OSError as error:
        raise NoTimeError(error.strerror or "it cannot be reached") from error
    except (OverflowError, UnicodeError) as error:
        raise NoTimeError("it has no address that can be") from error
    return offset_s(reply, cookie, sent, received)


async def _asked(server: Server, cookie: bytes, wall: Callable[[], float]) -> tuple[float, bytes, float]:
    """When it was asked, what it answered, and when that came."""
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = (
        await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
    )[0]
    with socket.socket(family, kind, protocol) as line:
        line.setblocking(False)
        await loop.sock_connect(line, address)
        sent = wall()
        await loop.sock_sendall(line, request(cookie))
        reply = await loop.sock_recv(line, REPLY_MAX)
        return sent, reply, wall()
