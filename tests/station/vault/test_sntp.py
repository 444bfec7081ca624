"""A time server on loopback, and replies that are none."""

import asyncio
import socket
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.vault.sntp import EPOCH, PACKET, NoTimeError, Server, measured_s, offset_s, request

COOKIE = bytes(range(8))
NOW = 1_900_000_000.0


def reply(
    came: float, left: float, *, flags: int = 0b00_100_100, stratum: int = 2, cookie: bytes = COOKIE
) -> bytes:
    """As RFC 4330 has it: reference, origin, receive and transmit time, each in seconds and fraction."""
    times = [part for at in (came, left) for part in stamp(at)]
    return PACKET.pack(flags, stratum, 6, -20, 0, 0, 0, 0, 0, *struct.unpack(">II", cookie), *times)


def stamp(at: float) -> tuple[int, int]:
    seconds = at + EPOCH
    return int(seconds) % (1 << 32), int(seconds % 1 * (1 << 32))


def test_a_request_says_nothing_but_that_it_is_one() -> None:
    asked = request(COOKIE)
    assert (len(asked), asked[0], asked[1:40], asked[40:]) == (48, 0x23, bytes(39), COOKIE)


@pytest.mark.parametrize("off", [0.0, 0.25, -0.25, 12_345.5, -40.0])
@pytest.mark.parametrize("now", [NOW, (1 << 32) - EPOCH - 1.0], ids=["in 2030", "at the end of an era"])
def test_the_way_there_and_back_cancels_out(off: float, now: float) -> None:
    there = now + off
    answer = reply(there + 0.25, there + 0.5)
    assert offset_s(answer, COOKIE, now, now + 0.75) == pytest.approx(off, abs=1e-6)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "0 bytes are no answer"),
        (reply(NOW, NOW, cookie=bytes(8)), "what was not asked"),
        (reply(NOW, NOW, flags=0b00_100_011), "what was not asked"),
        (reply(NOW, NOW, flags=0b11_100_100), "no time itself"),
        (reply(NOW, NOW, stratum=0), "no time itself"),
        (reply(NOW, NOW, stratum=16), "no time itself"),
        (reply(NOW, NOW + 5.0), "on its way for -4"),
    ],
)
def test_what_is_no_answer(answer: bytes, why: str) -> None:
    with pytest.raises(NoTimeError, match=why):
        offset_s(answer, COOKIE, NOW, NOW + 0.1)


def test_an_answer_that_was_long_on_its_way_tells_nothing() -> None:
    with pytest.raises(NoTimeError, match=r"on its way for 1\.500 s"):
        offset_s(reply(NOW, NOW), COOKIE, NOW, NOW + 1.5)


@given(st.binary(max_size=100))
def test_any_bytes_are_an_answer_or_none(answer: bytes) -> None:
    with suppress(NoTimeError):
        assert abs(offset_s(answer, COOKIE, NOW, NOW + 0.1)) <= 1 << 32


def test_a_server_is_named_with_or_without_its_port() -> None:
    assert Server.named("ntp.example") == Server("ntp.example", 123)
    assert Server.named("127.0.0.1:1123") == Server("127.0.0.1", 1123)


async def test_a_server_is_asked() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        there.setblocking(False)

        async def answers() -> None:
            asked, whom = await loop.sock_recvfrom(there, 1024)
            await loop.sock_sendto(there, reply(NOW + 3.0, NOW + 3.0, cookie=asked[40:]), whom)

        async with asyncio.TaskGroup() as group:
            group.create_task(answers())
            server = Server("127.0.0.1", there.getsockname()[1])
            assert await measured_s(server, lambda: NOW) == pytest.approx(3.0, abs=1e-6)


async def test_where_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NoTimeError):
        await measured_s(Server("127.0.0.1", port), lambda: NOW)


@pytest.mark.parametrize("server", [Server("127.0.0.1", 99_999), Server("a" * 64 + ".example")])
async def test_a_server_that_cannot_be(server: Server) -> None:
    with pytest.raises(NoTimeError):
        await measured_s(server, lambda: NOW)
