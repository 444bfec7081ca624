"""HiSLIP without a VISA library: service requests come by themselves, over the second connection.

Ref: IVI-6.1 HiSLIP 1.1, synchronised mode.
"""

import asyncio
from collections import deque
from contextlib import suppress

from drivers.errors import DeviceLost, EquipmentError, ProtocolError, Silent, TransportError
from drivers.protocols.hislip import (
    ANY_ID,
    FIRST_ID,
    HEADER,
    MAX_SIZE,
    PORT,
    RMT,
    SUB_ADDRESS,
    VERSION,
    Decoder,
    Kind,
    Message,
    next_id,
)
from drivers.transports import T
from drivers.transports.loop_port import LoopPort, closed
from drivers.transports.tcp import tune
from drivers.uninterrupted import uninterrupted

RQS = 0x40
VENDOR = int.from_bytes(b"HB", "big")
CHUNK = 65536
CONNECT_S = 5.0
ANSWER_S = 2.0
SLOW_POLL_S = 1.0
MOST_REQUESTS = 64
LOOK_S = 5.0
"""For all status bytes that wait at once; it is not given up before."""
LONGEST = 1 << 26
"""The longest message that is taken: more is no measurement."""


class Channel:
    """One of the two connections."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._name = name
        self._reader = reader
        self._decoder = Decoder(LONGEST)
        self._waiting = list[Message]()

    def say(self, message: Message) -> None:
        """Send a message."""
        self.writer.write(message.encode())

    async def hear(self) -> Message:
        """Receive the next message; DeviceLost when the connection has ended."""
        while not self._waiting:
            try:
                data = await self._reader.read(CHUNK)
                self._waiting += self._decoder.feed(data)
            except OSError as error:
                raise DeviceLost(f"{self._name}: the connection broke: {error}") from error
            except ValueError as error:
                raise ProtocolError(f"{self._name}: {error}") from None
            if not data:
                raise DeviceLost(f"{self._name}: the instrument closed the connection")
        message = self._waiting.pop(0)
        if message.kind == Kind.FATAL_ERROR:
            text = message.payload.decode("latin-1")
            raise DeviceLost(f"{self._name}: the instrument ended the session: {message.control} {text}")
        return message

    async def expect(self, kind: Kind, within_s: float = ANSWER_S) -> Message:
        """Receive messages until one of this kind; Silent if it does not come, ProtocolError for an Error."""
        try:
            async with asyncio.timeout(within_s):
                while (message := await self.hear()).kind != kind:
                    if message.kind == Kind.ERROR:
                        text = message.payload.decode("latin-1")
                        raise ProtocolError(
                            f"{self._name}: the instrument answers error {message.control} {text}"
                        )
        except TimeoutError:
            raise Silent(f"{self._name}: no {kind.name} within {within_s:g} s") from None
        return message


class HislipPort(LoopPort):
    """One HiSLIP session of an instrument at `host:port`."""

    def __init__(self, name: str, host: str, port: int = PORT, sub_address: str = SUB_ADDRESS) -> None:
        super().__init__(name)
        self._where = host, port
        self._sub_address = sub_address.encode("ascii")
        self._sync: Channel | None = None
        self._async: Channel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._requested = asyncio.Event()
        self._statuses = list[int]()
        self._polls = deque[asyncio.Future[int]]()
        """Status queries without an answer so far, also those that were given up: answers come in order."""
        self._acknowledged: asyncio.Future[None] | None = None
        self._longest = MAX_SIZE
        self._id = self._asked = FIRST_ID
        self._read_to_end = 0

    # -- open and close
    async def _connect(self) -> None:
        self._id = self._asked = FIRST_ID
        self._read_to_end = 0
        self._statuses.clear()
        self._polls.clear()
        try:
            self._sync = await self._channel()
            self._sync.say(Message(Kind.INITIALIZE, 0, VERSION << 16 | VENDOR, self._sub_address))
            session = (await self._sync.expect(Kind.INITIALIZE_RESPONSE)).parameter & 0xFFFF
            self._async = await self._channel()
            self._async.say(Message(Kind.ASYNC_INITIALIZE, 0, session))
            await self._async.expect(Kind.ASYNC_INITIALIZE_RESPONSE)
            self._async.say(Message(Kind.ASYNC_MAX_MSG_SIZE, payload=MAX_SIZE.to_bytes(8, "big")))
            size = (await self._async.expect(Kind.ASYNC_MAX_MSG_SIZE_RESPONSE)).payload
            self._longest = max(1024, min(MAX_SIZE, int.from_bytes(size, "big")))
        except BaseException:
            await self._disconnect()
            raise
        self._listening = asyncio.get_running_loop().create_task(self._listen(self._async))

    async def _channel(self) -> Channel:
        host, port = self._where
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            raise Silent(f"{self.name}: no answer from {host}:{port} within {CONNECT_S:g} s") from None
        except OSError as error:
            raise TransportError(f"{self.name}: cannot connect to {host}:{port}: {error}") from error
        if (line := writer.get_extra_info("socket")) is not None:  # a simulated one has none
            tune(line)
        return Channel(self.name, reader, writer)

    async def _disconnect(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        self._end_waits(DeviceLost(f"{self.name}: closed"))
        for channel in (self._sync, self._async):
            if channel is not None:
                await closed(channel.writer)
        self._sync = self._async = self._listening = None

    # -- the second connection
    async def _listen(self, channel: Channel) -> None:
        """Take what the instrument says by itself, and hand its answers to who waits for them."""
        try:
            while True:
                message = await channel.hear()
                match message.kind:
                    case Kind.ASYNC_SERVICE_REQUEST:
                        self._requested.set()
                    case Kind.ASYNC_STATUS_RESPONSE:
                        self._told(message.control)
                    case Kind.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE if self._acknowledged is not None:
                        _settle(self._acknowledged, None)
        except EquipmentError as error:
            self._lost = self._lost or str(error)
            self._end_waits(error)

    def _told(self, status: int) -> None:
        """Hand a status byte to the query that it answers; a request for service is kept if nobody waits."""
        polled = self._polls.popleft() if self._polls else None
        if polled is not None and not polled.done():
            polled.set_result(status)
        elif status & RQS:
            self._keep(status)

    def _keep(self, status: int) -> None:
        self.trace.keep("!", bytes([status]), 0)
        self._statuses.append(status)
        self._requested.set()

    def _end_waits(self, error: EquipmentError) -> None:
        self._requested.set()
        for future in (*self._polls, self._acknowledged):
            if future is not None and not future.done():
                future.set_exception(error)

    async def service_request(self) -> int:
        """Wait for the instrument's message; it is polled once a second too, in case one was lost."""
        while not self._statuses:
            self._requested.clear()
            async with self._turn:
                await self._made_clean()
                await self._looked()
            if not self._statuses:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_POLL_S):
                        await self._requested.wait()
        return self._statuses.pop(0)

    async def _looked(self) -> None:
        """Take all status bytes, to the end though given up: one that was fetched would be lost."""
        try:
            await uninterrupted(self._poll_all(), bound_s=LOOK_S)
        except TimeoutError:
            raise Silent(f"{self.name}: status bytes without an end for {LOOK_S:g} s") from None

    async def _poll_all(self) -> None:
        for _ in range(MOST_REQUESTS):
            status = await self._status()
            if not status & RQS:
                return
            self._keep(status)

    # -- steps
    def _channels(self) -> tuple[Channel, Channel]:
        if self._sync is None or self._async is None:
            raise TransportError(f"{self.name} is not open")
        return self._sync, self._async

    async def _write(self, data: bytes) -> None:
        sync, _ = self._channels()
        size = self._longest - HEADER.size
        for at in range(0, len(data), size):
            kind = Kind.DATA_END if at + size >= len(data) else Kind.DATA
            sync.say(Message(kind, self._read_to_end, self._id, data[at : at + size]))
            self._spoken()

    def _spoken(self) -> None:
        self._asked, self._id, self._read_to_end = self._id, next_id(self._id), 0

    async def _read(self, timeout_s: float) -> bytes:
        sync, _ = self._channels()
        data = bytearray()
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    message = await sync.hear()
                    if message.kind not in (Kind.DATA, Kind.DATA_END):
                        _refuse(self.name, message)
                    elif message.parameter in (self._asked, ANY_ID):  # others answer what was asked before
                        data += message.payload
                        if message.kind == Kind.DATA_END:
                            break
        except TimeoutError:
            raise Silent(f"{self.name}: no answer within {timeout_s:g} s") from None
        self._read_to_end = RMT
        return bytes(data)

    async def _status(self) -> int:
        _, other = self._channels()
        polled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._polls.append(polled)
        other.say(Message(Kind.ASYNC_STATUS_QUERY, self._read_to_end, self._asked))
        self._read_to_end = 0
        try:
            async with asyncio.timeout(ANSWER_S):
                return await polled
        except TimeoutError:
            self._dirty = True  # if the answer was lost, each later one would be taken for the one before
            raise Silent(f"{self.name}: no status byte within {ANSWER_S:g} s") from None

    async def _trigger(self) -> None:
        sync, _ = self._channels()
        sync.say(Message(Kind.TRIGGER, self._read_to_end, self._id))
        self._spoken()

    async def _clear(self) -> None:
        sync, other = self._channels()
        self._acknowledged = asyncio.get_running_loop().create_future()
        other.say(Message(Kind.ASYNC_DEVICE_CLEAR))
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._acknowledged
        except TimeoutError:
            raise Silent(f"{self.name}: the device clear is not acknowledged") from None
        finally:
            self._acknowledged = None
        self._polls.clear()  # what was asked before it is answered before it, or never
        sync.say(Message(Kind.DEVICE_CLEAR_COMPLETE))
        await sync.expect(Kind.DEVICE_CLEAR_ACKNOWLEDGE)  # what comes before it was on its way
        self._id = self._asked = FIRST_ID
        self._read_to_end = 0


def _settle(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _refuse(name: str, message: Message) -> None:
    if message.kind == Kind.ERROR:
        text = message.payload.decode("latin-1")
        raise ProtocolError(f"{name}: the instrument answers error {message.control} {text}")
