"""A HiSLIP server for one simulated instrument, with real service requests.

Ref: IVI-6.1 HiSLIP 1.1; synchronised mode only. PyVISA-py 0.8 takes a service request for the answer to its
status query, and stays one behind from then on: a client with its vendor's letters gets none and has to poll.
"""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from drivers.protocols.hislip import (
    ANY_ID,
    HEADER,
    MAX_SIZE,
    RMT,
    VERSION,
    Decoder,
    Fatal,
    Kind,
    Message,
)
from sim.instrument import MAV, Instrument
from sim.served.clock import ServedClock
from sim.served.seat import Seat

VENDOR = int.from_bytes(b"HB", "big")
DEAF_VENDORS = frozenset({b"xx"})
"""Clients that cannot take a service request: PyVISA-py."""
MOST_SESSIONS = 64
UNKNOWN_TYPE = 1
GRANTED = 1
Handler: TypeAlias = "Callable[[Message], None]"


class Session:
    """One client: both of its connections."""

    def __init__(self, number: int, server: "HislipServer", vendor: bytes, sync: asyncio.Transport) -> None:
        self.number = number
        self._server = server
        self._sync = sync
        self._async: asyncio.Transport | None = None
        self._deaf = vendor in DEAF_VENDORS
        self._instrument = server.seat.instrument
        self._asked = ANY_ID
        self._answered = False
        """An answer has gone out whose end the client has not said to have read."""
        self._clearing = False
        self._longest = MAX_SIZE
        self._instrument.on_service_request.append(self._requested)

    def join(self, transport: asyncio.Transport) -> None:
        """Take the second connection."""
        self._async = transport
        transport.write(Message(Kind.ASYNC_INITIALIZE_RESPONSE, 0, VENDOR).encode())

    def close(self) -> None:
        """The client has gone, or must."""
        if self._requested in self._instrument.on_service_request:
            self._instrument.on_service_request.remove(self._requested)
            self._server.sessions.pop(self.number, None)
            if self._server.asker is self:
                self._server.asker = None
            for transport in (self._sync, self._async):
                if transport is not None:
                    transport.close()

    def answer(self, data: bytes, *, ends: bool) -> None:
        """Send an answer, or a part of it."""
        if self._clearing or not data:
            return
        size = self._longest - HEADER.size
        for at in range(0, len(data), size):
            last = ends and at + size >= len(data)
            kind = Kind.DATA_END if last else Kind.DATA
            self._sync.write(Message(kind, 0, self._asked, data[at : at + size]).encode())
        self._answered = True

    def _requested(self) -> None:
        if self._async is not None and not self._deaf:
            status = self._instrument.next_status or 0
            self._async.write(Message(Kind.ASYNC_SERVICE_REQUEST, status).encode())

    # -- what the client says
    def on_sync(self, message: Message) -> Message | None:
        """Take a message of the first connection."""
        match message.kind:
            case Kind.DATA | Kind.DATA_END:
                self._ask(message)
                self._instrument.bus_write(message.payload, end=message.kind == Kind.DATA_END)
                return None
            case Kind.TRIGGER:
                self._ask(message)
                self._instrument.triggered()
                return None
            case Kind.DEVICE_CLEAR_COMPLETE:
                self._clearing, self._asked = False, ANY_ID
                return Message(Kind.DEVICE_CLEAR_ACKNOWLEDGE)
            case Kind.ERROR:
                return None
        return _unknown(message)

    def on_async(self, message: Message) -> Message | None:
        """Take a message of the second connection."""
        match message.kind:
            case Kind.ASYNC_STATUS_QUERY:
                self._note_read(message)
                waiting = MAV if self._answered else 0
                return Message(Kind.ASYNC_STATUS_RESPONSE, self._instrument.bus_status() | waiting)
            case Kind.ASYNC_DEVICE_CLEAR:
                self._clearing, self._answered = True, False
                self._instrument.bus_clear()
                return Message(Kind.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE)
            case Kind.ASYNC_MAX_MSG_SIZE:
                self._longest = max(1024, min(MAX_SIZE, int.from_bytes(message.payload, "big")))
                return Message(Kind.ASYNC_MAX_MSG_SIZE_RESPONSE, payload=MAX_SIZE.to_bytes(8, "big"))
            case Kind.ASYNC_LOCK:  # every client gets it: simulated machines are shared
                return Message(Kind.ASYNC_LOCK_RESPONSE, GRANTED)
            case Kind.ASYNC_LOCK_INFO:
                return Message(Kind.ASYNC_LOCK_INFO_RESPONSE)
            case Kind.ASYNC_REMOTE_LOCAL_CONTROL:  # simulated machines are always in remote
                return Message(Kind.ASYNC_REMOTE_LOCAL_RESPONSE)
            case Kind.ERROR:
                return None
        return _unknown(message)

    def _ask(self, message: Message) -> None:
        self._asked = message.parameter
        self._server.asker = self
        self._note_read(message)

    def _note_read(self, message: Message) -> None:
        if message.control & RMT:
            self._answered = False


class HislipServer:
    """All clients of one instrument; its answers go to the one who has asked last."""

    def __init__(self, instrument: Instrument, clock: ServedClock) -> None:
        self.seat = Seat(instrument, clock)
        self.sessions: dict[int, Session] = {}
        self.asker: Session | None = None
        self._numbers = count(1)
        self._pump = asyncio.get_running_loop().create_task(self._send_answers())

    async def _send_answers(self) -> None:
        while True:
            data, end = await self.seat.read()
            if end == "gone":
                for session in tuple(self.sessions.values()):
                    session.close()
                return
            if self.asker is not None:
                self.asker.answer(data, ends=end != "count")

    def connection(self) -> "HislipConnection":
        """Return the protocol of a new connection."""
        return HislipConnection(self)

    def begin(self, message: Message, transport: asyncio.Transport) -> Session | Fatal:
        """A first connection: give it a session."""
        if len(self.sessions) >= MOST_SESSIONS:
            return Fatal.TOO_MANY_CLIENTS
        number = next(self._numbers) & 0xFFFF
        vendor = message.parameter.to_bytes(4, "big")[2:]
        session = self.sessions[number] = Session(number, self, vendor, transport)
        transport.write(Message(Kind.INITIALIZE_RESPONSE, 0, VERSION << 16 | number).encode())
        return session

    def join(self, message: Message, transport: asyncio.Transport) -> Session | Fatal:
        """A second connection: give it to its session."""
        if (session := self.sessions.get(message.parameter)) is None:
            return Fatal.INITIALIZATION
        session.join(transport)
        return session

    def close(self) -> None:
        """Send all clients away."""
        self._pump.cancel()
        for session in tuple(self.sessions.values()):
            session.close()


class HislipConnection(asyncio.Protocol):
    """One of a client's two connections; its first message says which."""

    def __init__(self, server: HislipServer) -> None:
        self._server = server
        self._decoder = Decoder(MAX_SIZE)
        self._session: Session | None = None
        self._answer: Callable[[Message], Message | None] = _unknown

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport).__name__)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except ValueError as error:
            self._refuse(Fatal.HEADER, str(error))
            return
        for message in messages:
            if self._transport.is_closing():
                return
            if self._session is None:
                self._begin(message)
            elif (answer := self._answer(message)) is not None:
                self._transport.write(answer.encode())

    def _begin(self, message: Message) -> None:
        match message.kind:
            case Kind.INITIALIZE:
                found = self._server.begin(message, self._transport)
            case Kind.ASYNC_INITIALIZE:
                found = self._server.join(message, self._transport)
            case _:
                found = Fatal.INITIALIZATION
        if isinstance(found, Fatal):
            self._refuse(found, found.name)
            return
        self._session = found
        self._answer = found.on_sync if message.kind == Kind.INITIALIZE else found.on_async

    def _refuse(self, why: Fatal, text: str) -> None:
        self._transport.write(Message(Kind.FATAL_ERROR, why, payload=text.encode()).encode())
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._session is not None:
            self._session.close()


def _unknown(message: Message) -> Message:
    return Message(Kind.ERROR, UNKNOWN_TYPE, payload=f"type {message.kind} is not known here".encode())
