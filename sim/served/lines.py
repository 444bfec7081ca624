"""A simulated machine as the bytes of one line, whatever it is at in its cell: bus, serial line, TCP port."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from sim.clock import unmark_simulated
from sim.instrument import Instrument
from sim.serial.machine import SerialMachine
from sim.served.clock import ServedClock
from sim.served.seat import Seat
from sim.tcp.machine import Connection, TcpMachine

Send = Callable[[bytes], None]
HangUp = Callable[[], None]
CHUNK = 4096


class Busy(Exception):  # noqa: N818 - what it is
    """Another client has the line."""


class Line(ABC):
    """One client at a machine."""

    @abstractmethod
    def take(self, data: bytes, *, bits_per_s: float = 0.0) -> None:
        """Bytes of the client; where the line has a rate, they take their time."""

    @abstractmethod
    def close(self) -> None:
        """The client has gone."""


class InstrumentLine(Line):
    """A machine on a bus: its answers go out as they come, LF ends a message."""

    def __init__(self, instrument: Instrument, clock: ServedClock, send: Send, hang_up: HangUp) -> None:
        self._instrument = instrument
        self._pump = asyncio.get_running_loop().create_task(self._send_answers(Seat(instrument, clock), send))
        self._hang_up = hang_up

    async def _send_answers(self, seat: Seat, send: Send) -> None:
        while True:
            data, end = await seat.read()
            if end == "gone":
                self._hang_up()
                return
            if data:
                send(data)

    def take(self, data: bytes, *, bits_per_s: float = 0.0) -> None:
        del bits_per_s
        self._instrument.bus_write(data, end=False)

    def close(self) -> None:
        self._pump.cancel()
        self._instrument.bus_disconnect()


class SerialLine(Line):
    """A machine on a serial line."""

    def __init__(self, machine: SerialMachine, send: Send, hang_up: HangUp) -> None:
        if machine.line.busy:
            raise Busy
        self._machine = machine
        self._send = send
        self._hang_up = hang_up
        self._fd = machine.line.open()
        unmark_simulated(self._fd)
        machine.line.bits_per_s = 0.0
        asyncio.get_running_loop().add_reader(self._fd, self._arrived)

    def _arrived(self) -> None:
        line = self._machine.line
        with line.condition:
            data = line.taken(CHUNK)
        if data:
            self._send(data)
        elif line.gone:
            self._hang_up()

    def take(self, data: bytes, *, bits_per_s: float = 0.0) -> None:
        self._machine.line.bits_per_s = bits_per_s
        self._machine.take(data)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._machine.line.close()


class TcpLine(Line):
    """A machine at a TCP port."""

    def __init__(self, machine: TcpMachine, send: Send, hang_up: HangUp) -> None:
        self._peer = _Peer(send, hang_up)
        self._connection: Connection = machine.connected(self._peer)

    def take(self, data: bytes, *, bits_per_s: float = 0.0) -> None:
        del bits_per_s
        self._connection.take(data)

    def close(self) -> None:
        self._connection.closed()


class _Peer:
    def __init__(self, send: Send, hang_up: HangUp) -> None:
        self.arrived = send
        self.reset = hang_up


class Exchange:
    """Lets clients onto one machine: one at a time, but where the machine is a TCP host itself."""

    def __init__(self, machine: "Instrument | SerialMachine | TcpMachine", clock: ServedClock) -> None:
        self.machine = machine
        self._clock = clock
        self._taken = False

    def line(self, send: Send, hang_up: HangUp) -> Line:
        """Connect a client; Busy if another one is there."""
        match self.machine:
            case TcpMachine():
                return TcpLine(self.machine, send, hang_up)
            case SerialMachine():
                return SerialLine(self.machine, send, hang_up)
        if self._taken:
            raise Busy
        self._taken = True
        return _Released(InstrumentLine(self.machine, self._clock, send, hang_up), self)

    def released(self) -> None:
        """The client has gone."""
        self._taken = False


class _Released(Line):
    """A line that makes room for the next client when it is closed."""

    def __init__(self, line: Line, exchange: Exchange) -> None:
        self._line = line
        self._exchange = exchange

    def take(self, data: bytes, *, bits_per_s: float = 0.0) -> None:
        self._line.take(data, bits_per_s=bits_per_s)

    def close(self) -> None:
        self._line.close()
        self._exchange.released()


class LineServer(asyncio.Protocol):
    """One TCP connection to a machine."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._line: Line | None = None
        self._transport: asyncio.Transport | None = None

    def close(self) -> None:
        """Send the client away."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport).__name__)
        self._transport = transport
        with suppress(Busy):
            self._line = self._exchange.line(transport.write, transport.abort)
            return
        transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._line is not None:
            self._line.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._line is not None:
            self._line.close()
