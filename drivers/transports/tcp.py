"""TCP lines: controllers that talk over a socket, driven on the loop."""

import asyncio
import select
import socket
from contextlib import suppress

from drivers.errors import DeviceLost, Silent, TransportError
from drivers.transports import Stream
from drivers.transports.trace import Trace

CHUNK = 65536
CONNECT_S = 5.0
CLOSE_S = 1.0
WRITE_S = 10.0
KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A peer that lost power is noticed after 25 s (names of the operating system, seconds and count)."""


class TcpStream(Stream):
    """One connection to `host:port`, without Nagle's delay and with keep-alive probes."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()
        self._trace: Trace | None = None

    @property
    def trace(self) -> Trace:
        """What crossed the connection lately, since it was opened last."""
        if self._trace is None:
            raise TransportError(f"{self.name} was never open")
        return self._trace

    async def open(self) -> None:
        """Connect within 5 s: Silent if nobody answers, TransportError if the peer refuses."""
        if self._writer is not None:
            raise TransportError(f"{self.name} is open already")
        where = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(CONNECT_S):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except TimeoutError:
            raise Silent(f"{self.name}: no answer from {where} within {CONNECT_S:g} s") from None
        except OSError as error:
            raise TransportError(f"{self.name}: cannot connect to {where}: {error}") from error
        if (line := self._writer.get_extra_info("socket")) is not None:  # a simulated one has none
            tune(line)
        self._trace = Trace(asyncio.get_running_loop().time)

    async def write(self, data: bytes) -> None:
        """Send all of `data`; DeviceLost if the peer is gone or takes nothing for 10 s."""
        async with self._turn:
            if self._writer is None:
                raise TransportError(f"{self.name} is not open")
            self.trace.recorder().note(">", data)
            try:
                self._writer.write(data)
                async with asyncio.timeout(WRITE_S):
                    await self._writer.drain()
            except TimeoutError:
                raise DeviceLost(f"{self.name}: the peer takes nothing for {WRITE_S:g} s") from None
            except OSError as error:
                raise DeviceLost(f"{self.name}: the connection broke: {error}") from error

    async def receive(self) -> bytes:
        """Return the next bytes; DeviceLost when the peer has closed or the connection broke."""
        if self._reader is None:
            raise TransportError(f"{self.name} is not open")
        try:
            data = await self._reader.read(CHUNK)
        except OSError as error:
            raise DeviceLost(f"{self.name}: the connection broke: {error}") from error
        if not data:
            raise DeviceLost(f"{self.name}: the peer closed the connection")
        self.trace.keep("<", data, 0)
        return data

    def _arriving(self) -> bool:
        line = None if self._writer is None else self._writer.get_extra_info("socket")
        return line is not None and line.fileno() >= 0 and readable(line.fileno())

    async def aclose(self) -> None:
        """Close within 1 s, whatever the peer does; who waits for bytes gets DeviceLost."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await writer.wait_closed()
        writer.transport.abort()


def readable(fd: int) -> bool:
    """Whether the system has bytes, or the end, of a line that nobody has read yet."""
    asked = select.poll()
    asked.register(fd, select.POLLIN)
    return bool(asked.poll(0))


def tune(line: socket.socket) -> None:
    """Send without Nagle's delay, and probe a peer that is silent."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEP_ALIVE.items():
        if hasattr(socket, option):  # not every system has each of them
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
