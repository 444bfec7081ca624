"""TCP lines against a server of the same loop."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.errors import DeviceLost, Silent, TransportError
from drivers.transports import tcp
from drivers.transports.tcp import TcpStream, readable


class Peer:
    """A server on a free port, and its end of the last connection."""

    def __init__(self) -> None:
        self.port = 0
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.came = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.came.set()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Peer, TcpStream]]:
    peer = Peer()
    server = await asyncio.start_server(peer.take, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    async with TcpStream("tcp:peer", "127.0.0.1", peer.port) as stream:
        await peer.came.wait()
        yield peer, stream
    peer.writer.close()
    server.close()
    await server.wait_closed()


async def test_bytes_both_ways_and_what_the_trace_keeps() -> None:
    async with connected() as (peer, stream):
        await stream.write(b"hello\n")
        assert await peer.reader.readline() == b"hello\n"
        peer.writer.write(b"world\n")
        assert await stream.receive() == b"world\n"
        assert [entry.mark for entry in stream.trace.entries()] == [">", "<"]


async def test_no_delay_and_keep_alive_are_set() -> None:
    async with connected() as (_, stream):
        assert stream._writer is not None
        line = stream._writer.get_extra_info("socket")
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_peer_that_closes_is_lost() -> None:
    async with connected() as (peer, stream):
        peer.writer.write(b"last words")
        peer.writer.close()
        assert await stream.receive() == b"last words"
        with pytest.raises(DeviceLost, match="tcp:peer: the peer closed"):
            await stream.receive()


async def test_connection_that_breaks_is_lost() -> None:
    async with connected() as (peer, stream):
        line = peer.writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.writer.transport.abort()
        with pytest.raises(DeviceLost, match="broke"):
            await stream.receive()
        with pytest.raises(DeviceLost):
            for _ in range(3):
                await stream.write(b"x")


async def test_peer_that_takes_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "WRITE_S", 0.05)
    async with connected() as (_, stream):
        with pytest.raises(DeviceLost, match="takes nothing"):
            await stream.write(bytes(16 << 20))


async def test_cancelled_receive_loses_nothing() -> None:
    async with connected() as (peer, stream):
        waiting = asyncio.create_task(stream.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        peer.writer.write(b"later")
        assert await stream.receive() == b"later"


async def test_closing_ends_the_wait_of_a_reader() -> None:
    async with connected() as (_, stream):
        waiting = asyncio.create_task(stream.receive())
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(DeviceLost):
            await waiting


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        stream = TcpStream("tcp:none", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(TransportError, match="tcp:none: cannot connect to 127.0.0.1"):
            await stream.open()
    with pytest.raises(TransportError, match="not open"):
        await stream.write(b"x")
    with pytest.raises(TransportError, match="not open"):
        await stream.receive()


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CONNECT_S", 0.0)
    with pytest.raises(Silent, match="no answer from"):
        await TcpStream("tcp:deaf", "127.0.0.1", 9).open()


async def test_opened_twice_is_refused() -> None:
    async with connected() as (_, stream):
        with pytest.raises(TransportError, match="open already"):
            await stream.open()


async def test_what_has_arrived_can_be_discarded_without_waiting() -> None:
    async with connected() as (peer, stream):
        assert await stream.discard() == b""
        peer.writer.write(b"old ")
        assert await stream.receive() == b"old "
        peer.writer.write(b"older")
        assert stream._writer is not None
        while not readable(stream._writer.get_extra_info("socket").fileno()):
            pass  # without a look of the loop: the system alone has it
        assert await stream.discard() == b"older"
        assert await stream.discard() == b""
