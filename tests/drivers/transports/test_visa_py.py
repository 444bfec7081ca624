"""A VISA port on PyVISA-py over TCP: a library that has no events and cannot abort."""

import asyncio
import os
import socket
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from drivers.errors import DeviceLost, ProtocolError, Silent
from drivers.transports import Conversation, visa_session
from drivers.transports.visa import VisaLibrary, VisaPort
from drivers.transports.visa_input import CHUNK, MOST_SURPLUS, taken, waits
from tests.drivers.transports.visa_bench import query, run


@asynccontextmanager
async def tcp_instrument() -> AsyncIterator[tuple[VisaPort, asyncio.Event]]:
    asked_in_vain = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"LATE?\n":
                asyncio.get_running_loop().call_later(0.05, writer.write, b"LATE-ANSWER\n")
            elif line == b"HALF?\n":
                writer.write(b"HALF-")
                asyncio.get_running_loop().call_later(0.2, writer.write, b"ANSWER\n")
            elif line == b"NEVER?\n":
                asked_in_vain.set()
            elif line == b"DOUBLE?\n":
                writer.write(b"FIRST\r\nSECOND\n")
            elif line == b"AFTERTHOUGHT?\n":
                writer.write(b"FIRST\n")
                asyncio.get_running_loop().call_later(0.02, writer.write, b"SECOND\n")
            elif line == b"PADDED?\n":
                writer.write(b"PADDED\n\r\0")
            elif line == b"LAST?\n":
                writer.write(b"LAST\n")
                break
            else:
                writer.write(b"ANSWER-TO-" + line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, number = server.sockets[0].getsockname()
    resource = f"TCPIP0::{host}::{number}::SOCKET"
    library = VisaLibrary("@py")
    async with server, VisaPort(f"visa:{resource}", resource, library, grace_s=5.0) as port:
        yield port, asked_in_vain
    library.close()


def test_pyvisa_py_over_tcp() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, asked_in_vain):
            assert port.strategy == "none"
            assert port._owner is not None
            line = getattr(port._owner.session._underneath(), "interface", None)
            assert isinstance(line, socket.socket)
            assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), "a half-open line ends"
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert await port.run(query("HALF?")) == "HALF-ANSWER", "half of it came before a slice ended"
            with pytest.raises(Silent):
                await port.run(query("LATE?", timeout_s=0.01))
            assert await port.run(query("B?")) == "ANSWER-TO-B?", "not the late answer"
            call = asyncio.create_task(port.run(query("NEVER?", timeout_s=60)))
            await asked_in_vain.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not port.lost
            assert await port.run(query("C?")) == "ANSWER-TO-C?"

    run(main, asyncio.SelectorEventLoop)


async def _until_more_came(port: VisaPort) -> None:
    """Wait until the system has something for the port that nobody has read, or the end of the line."""
    assert port._owner is not None
    while not waits(port._owner.session._underneath()):  # noqa: ASYNC110 - nobody else looks there
        await asyncio.sleep(0)


def _strays(port: VisaPort) -> int:
    assert port._owner is not None
    return port._owner.session.strays


def nothing() -> Conversation[None]:
    yield from ()


def two(first: str, second: str) -> Conversation[list[str]]:
    one = yield from query(first)
    other = yield from query(second)
    return [one, other]


def test_two_answers_in_one_segment_are_no_answer() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, _):
            with pytest.raises(ProtocolError, match="6 bytes more than was asked for"):
                await port.run(query("DOUBLE?"))
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            with pytest.raises(ProtocolError, match="more than was asked for"):
                await port.run(two("DOUBLE?", "A?"))
            assert await port.run(two("A?", "B?")) == ["ANSWER-TO-A?", "ANSWER-TO-B?"]
            assert _strays(port) == 2

    run(main, asyncio.SelectorEventLoop)


def test_an_answer_that_comes_once_more_is_not_the_next() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, _):
            assert await port.run(query("AFTERTHOUGHT?")) == "FIRST"
            await _until_more_came(port)
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert _strays(port) == 1
            assert b"SECOND" in [entry.data for entry in port.trace.entries()], "it is told"

    run(main, asyncio.SelectorEventLoop)


def test_line_ends_in_another_order_are_no_surplus() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, _):
            assert await port.run(query("PADDED?")) == "PADDED"
            assert await port.run(query("A?")) == "ANSWER-TO-A?"
            assert _strays(port) == 0

    run(main, asyncio.SelectorEventLoop)


def test_a_connection_that_the_instrument_closed_is_asked_nothing() -> None:
    async def main() -> None:
        async with tcp_instrument() as (port, _):
            assert await port.run(query("LAST?")) == "LAST"
            await _until_more_came(port)
            with pytest.raises(DeviceLost, match="closed the connection"):
                await port.run(query("A?"))
            assert port.lost
            await port.aclose()
            await port.open()
            assert await port.run(query("A?")) == "ANSWER-TO-A?"

    run(main, asyncio.SelectorEventLoop)


def test_a_late_answer_on_a_serial_name_is_not_the_next() -> None:
    """PyVISA-py has no device clear there: the line is listened to until it is quiet."""
    far, near = os.openpty()
    tty.setraw(near)
    library = VisaLibrary("@py")

    async def main() -> None:
        async with VisaPort("visa:tty", f"ASRL{os.ttyname(near)}::INSTR", library, grace_s=5.0) as port:
            with pytest.raises(Silent):
                await port.run(query("LATE?", timeout_s=0.01))
            assert os.read(far, 64) == b"LATE?\n"
            await port.run(nothing())  # so it has been made clean
            os.write(far, b"LATE-ANSWER\n")
            await _until_more_came(port)
            answer = asyncio.get_running_loop().run_in_executor(None, _answered, far, b"A?\n", b"1\n")
            assert await port.run(query("A?")) == "1"
            await answer
            assert not port.lost

    try:
        run(main, asyncio.SelectorEventLoop)
    finally:
        library.close()
        os.close(far)
        os.close(near)


def test_a_serial_name_that_does_not_rest_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visa_session, "MOST_LINES", 0)
    far, near = os.openpty()
    tty.setraw(near)
    library = VisaLibrary("@py")

    async def main() -> None:
        async with VisaPort("visa:tty", f"ASRL{os.ttyname(near)}::INSTR", library, grace_s=5.0) as port:
            with pytest.raises(Silent):
                await port.run(query("LATE?", timeout_s=0.01))
            with pytest.raises(DeviceLost, match="the line does not rest"):
                await port.run(nothing())

    try:
        run(main, asyncio.SelectorEventLoop)
    finally:
        library.close()
        os.close(far)
        os.close(near)


def _answered(far: int, question: bytes, answer: bytes) -> None:
    heard = b""
    while not heard.endswith(question):
        heard += os.read(far, 64)
    os.write(far, answer)


def test_a_connection_that_does_not_rest_is_not_emptied_for_ever() -> None:
    class Endless(socket.socket):
        """One that has bytes to read, always."""

        read = 0

        def recv(self, size: int, flags: int = 0) -> bytes:
            del flags
            self.read += size
            assert self.read < 2 * MOST_SURPLUS, "it is read on and on"
            return b"x" * size

    @dataclass
    class Session:
        interface: socket.socket

    here, far = socket.socketpair()
    with far, Endless(fileno=here.detach()) as line:
        far.send(b"x")
        surplus = taken(Session(line))
    assert surplus is not None
    assert MOST_SURPLUS <= len(surplus) < MOST_SURPLUS + CHUNK
