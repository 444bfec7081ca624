"""The hosts that a virtual loop reaches: asyncio connects to them as to any other."""

import asyncio
from collections.abc import Callable
from typing import Any

from sim.tcp.machine import Connection, TcpMachine


class TcpHosts:
    """Which machine listens at which host and port, in one simulated cell."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._machines: dict[tuple[str, int], TcpMachine] = {}

    def plug(self, host: str, port: int, machine: TcpMachine) -> None:
        """Let `machine` listen."""
        if (host, port) in self._machines:
            raise ValueError(f"tcp port {host}:{port} is taken")
        self._machines[host, port] = machine

    def unplug(self, host: str, port: int) -> None:
        """Take the machine away; who is connected loses the connection."""
        if (machine := self._machines.pop((host, port), None)) is not None:
            machine.unplug()

    def machine(self, host: str, port: int) -> TcpMachine | None:
        """Return what listens there."""
        return self._machines.get((host, port))

    def knows(self, host: object, port: object) -> bool:
        """Tell whether this is a host of the simulated cell."""
        return (host, port) in self._machines

    def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect; ConnectionRefusedError, like a real host, if nobody listens there."""
        machine = self._machines.get((host, port))
        if machine is None or machine.gone:
            raise ConnectionRefusedError(111, f"no simulated machine listens at {host}:{port}")
        protocol = factory()
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError(f"{type(protocol).__name__} is no protocol of a stream")
        end = _End(self._loop, protocol)
        end.connection = machine.connected(end)
        protocol.connection_made(end)
        return end, protocol


class _End(asyncio.Transport):
    """The station's end of a connection, which asyncio's streams are built on."""

    connection: Connection

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("simulated", 0)})
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._paused = False
        self._waiting: list[bytes] = []

    # -- what the machine calls
    def arrived(self, data: bytes) -> None:
        if self._paused:
            self._waiting.append(data)
        elif not self._closing:
            self._protocol.data_received(data)

    def reset(self) -> None:
        self._end(ConnectionResetError(104, "connection reset by the simulated machine"))

    # -- what the station calls
    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if not self._closing and data:
            self.connection.take(bytes(data))

    def close(self) -> None:
        self.connection.closed()
        self._end(None)

    abort = close

    def _end(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.arrived(data)

    def is_reading(self) -> bool:
        return not self._paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever held back."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError(f"{type(protocol).__name__} is no protocol of a stream")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol
