"""A VXI-11 server for one simulated instrument: core, abort and interrupt channel.

Ref: VXI-11 1.0, sections B.4 to B.6; PyVISA-py `protocols/vxi11`. A client is told the port, as in
`TCPIP::127.0.0.1,5000::inst0::INSTR` of PyVISA-py, or asks a port mapper for it. All get locks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import TypeAlias

from sim.instrument import Instrument, ReadEnd
from sim.served.clock import ServedClock
from sim.served.rpc import (
    GARBAGE,
    PROCEDURE_UNAVAILABLE,
    PROGRAM_UNAVAILABLE,
    SUCCESS,
    Call,
    CallConnection,
    Reader,
    call,
    integers,
    opaque,
)
from sim.served.seat import Seat

CORE, ABORT, VERSION = 0x0607AF, 0x0607B0, 1
ABORT_LINK = 1
MOST_RECEIVED = 1 << 20
OK, LINK_UNKNOWN, NOT_ESTABLISHED, TIMED_OUT, ABORTED, ESTABLISHED = 0, 4, 6, 15, 23, 29
END_FLAG, TERMCHAR_FLAG = 0x08, 0x80
REASONS: dict[ReadEnd, int] = {"count": 1, "termination": 2, "end": 4}
INTERRUPT_SRQ = 30
CREATE, WRITE, READ, STATUS, TRIGGER, CLEAR = 10, 11, 12, 13, 14, 15
REMOTE, LOCAL, LOCK, UNLOCK, ENABLE_SRQ, DESTROY, OPEN_INTERRUPT, CLOSE_INTERRUPT = (
    16,
    17,
    18,
    19,
    20,
    23,
    25,
    26,
)
Procedure: TypeAlias = Callable[[Reader], Awaitable[bytes]]


class Links:
    """The links of all clients of one instrument, and where they are aborted."""

    def __init__(self, abort_port: int = 0) -> None:
        self.abort_port = abort_port
        self._numbers = count(1)
        self._reading: dict[int, Callable[[], None] | None] = {}
        """What ends the read that is under way, by link; None while there is none."""

    def new(self) -> int:
        """Return the number of a link that no client has."""
        self._reading[link := next(self._numbers)] = None
        return link

    def gone(self, link: int) -> None:
        """Forget a link."""
        self._reading.pop(link, None)

    @contextmanager
    def reading(self, link: int, end: Callable[[], None]) -> Iterator[None]:
        """Let the read inside be aborted."""
        self._reading[link] = end
        try:
            yield
        finally:
            if link in self._reading:
                self._reading[link] = None

    def abort(self, link: int) -> int:
        """End the read of a link, if there is one; the code says whether there is such a link."""
        if link not in self._reading:
            return LINK_UNKNOWN
        if (end := self._reading[link]) is not None:
            end()
        return OK


class AbortConnection(CallConnection):
    """One client on the abort channel, which is answered while the core channel waits."""

    def __init__(self, links: Links) -> None:
        super().__init__()
        self._links = links

    def called(self, asked: Call) -> None:
        self._transport.write(self._answered(asked))

    def _answered(self, asked: Call) -> bytes:
        if (asked.program, asked.version) != (ABORT, VERSION):
            return asked.reply(b"", PROGRAM_UNAVAILABLE)
        if asked.procedure != ABORT_LINK:
            return asked.reply(b"", PROCEDURE_UNAVAILABLE if asked.procedure else SUCCESS)
        (link,) = asked.arguments.integers(1)
        return asked.reply(integers(self._links.abort(link)))


class Vxi11Connection(CallConnection):
    """One client on the core channel; its calls are answered one after the other."""

    def __init__(self, instrument: Instrument, clock: ServedClock, links: Links | None = None) -> None:
        super().__init__()
        self._instrument = instrument
        self._all_links = links or Links()
        self._seat = Seat(instrument, clock)
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._links = set[int]()
        self._xids = count(1)
        self._handle: bytes | None = None
        self._interrupt: tuple[asyncio.StreamWriter, int, int] | None = None
        self._procedures: dict[int, Procedure] = {
            CREATE: self._create,
            WRITE: self._write,
            READ: self._read,
            STATUS: self._status,
            TRIGGER: self._on_link(instrument.triggered),
            CLEAR: self._on_link(instrument.bus_clear),
            **dict.fromkeys((REMOTE, LOCAL, LOCK, UNLOCK), self._on_link(lambda: None)),
            ENABLE_SRQ: self._enable_srq,
            DESTROY: self._destroy,
            OPEN_INTERRUPT: self._open_interrupt,
            CLOSE_INTERRUPT: self._close_interrupt,
        }

    # -- the connection
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._answering = asyncio.get_running_loop().create_task(self._answer())
        self._instrument.on_service_request.append(self._requested)

    def called(self, asked: Call) -> None:
        self._calls.put_nowait(asked)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._answering.cancel()
        for link in self._links:
            self._all_links.gone(link)
        self._instrument.on_service_request.remove(self._requested)
        if self._interrupt is not None:
            self._interrupt[0].close()

    async def _answer(self) -> None:
        while True:
            asked = await self._calls.get()
            self._transport.write(await self._answered(asked))

    async def _answered(self, asked: Call) -> bytes:
        if (asked.program, asked.version) != (CORE, VERSION):
            return asked.reply(b"", PROGRAM_UNAVAILABLE)
        if asked.procedure == 0:
            return asked.reply(b"")
        if (procedure := self._procedures.get(asked.procedure)) is None:
            return asked.reply(b"", PROCEDURE_UNAVAILABLE)
        try:
            return asked.reply(await procedure(asked.arguments))
        except ValueError:
            return asked.reply(b"", GARBAGE)

    # -- procedures
    def _known(self, link: int) -> bool:
        return link in self._links

    def _on_link(self, act: Callable[[], None]) -> Procedure:
        async def procedure(arguments: Reader) -> bytes:
            (link,) = arguments.integers(1)
            if not self._known(link):
                return integers(LINK_UNKNOWN)
            act()
            return integers(OK)

        return procedure

    async def _create(self, arguments: Reader) -> bytes:
        arguments.integers(3)
        arguments.opaque()  # whatever device is asked for: there is one
        self._links.add(link := self._all_links.new())
        return integers(OK, link, self._all_links.abort_port, MOST_RECEIVED)

    async def _write(self, arguments: Reader) -> bytes:
        link, _, _, flags = arguments.integers(4)
        data = arguments.opaque()
        if not self._known(link):
            return integers(LINK_UNKNOWN, 0)
        self._instrument.bus_write(data, end=bool(flags & END_FLAG))
        return integers(OK, len(data))

    async def _read(self, arguments: Reader) -> bytes:
        link, size, timeout_ms, _, flags, termination = arguments.integers(6)
        if not self._known(link):
            return integers(LINK_UNKNOWN, 0) + opaque(b"")
        ends = bytes([termination & 0xFF]) if flags & TERMCHAR_FLAG else None
        with self._all_links.reading(link, self._instrument.bus_abort):
            data, end = await self._seat.read(max(1, size), ends, timeout_ms / 1000)
        if end not in REASONS:
            return integers(ABORTED if end == "aborted" else TIMED_OUT, 0) + opaque(b"")
        return integers(OK, REASONS[end]) + opaque(data)

    async def _status(self, arguments: Reader) -> bytes:
        (link,) = arguments.integers(1)
        if not self._known(link):
            return integers(LINK_UNKNOWN, 0)
        return integers(OK, self._instrument.bus_status())

    async def _destroy(self, arguments: Reader) -> bytes:
        (link,) = arguments.integers(1)
        if not self._known(link):
            return integers(LINK_UNKNOWN)
        self._links.remove(link)
        self._all_links.gone(link)
        return integers(OK)

    # -- service requests
    async def _enable_srq(self, arguments: Reader) -> bytes:
        link, enable = arguments.integers(2)
        handle = arguments.opaque()
        if not self._known(link):
            return integers(LINK_UNKNOWN)
        self._handle = handle if enable else None
        return integers(OK)

    async def _open_interrupt(self, arguments: Reader) -> bytes:
        host, port, program, version, _ = arguments.integers(5)
        if self._interrupt is not None:
            return integers(ESTABLISHED)
        address = ".".join(str(part) for part in host.to_bytes(4, "big"))
        with suppress(OSError):
            _, writer = await asyncio.open_connection(address, port)
            self._interrupt = writer, program, version
            return integers(OK)
        return integers(NOT_ESTABLISHED)

    async def _close_interrupt(self, arguments: Reader) -> bytes:
        del arguments
        if self._interrupt is None:
            return integers(NOT_ESTABLISHED)
        self._interrupt[0].close()
        self._interrupt = None
        return integers(OK)

    def _requested(self) -> None:
        if self._interrupt is not None and self._handle is not None:
            writer, program, version = self._interrupt
            writer.write(call(next(self._xids), program, version, INTERRUPT_SRQ, opaque(self._handle)))
