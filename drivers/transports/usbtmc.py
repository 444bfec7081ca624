"""USBTMC instruments without a VISA library: conversations on the thread of a USB port.

Ref: `drivers/protocols/usbtmc.py`. Service requests come by the interrupt pipe, where the instrument has one.
"""

import asyncio
from collections import deque

from drivers.errors import DeviceLost, DutError, EquipmentError, InstrumentError, ProtocolError, Silent
from drivers.protocols import usbtmc
from drivers.protocols.usbtmc import FROM_ENDPOINT, FROM_INTERFACE, PENDING, SUCCESS
from drivers.transports import (
    Clear,
    Control,
    Conversation,
    Pause,
    Port,
    Read,
    ReadStatus,
    Reply,
    Step,
    T,
    Trigger,
    Write,
)
from drivers.transports.trace import Trace
from drivers.transports.usb import UsbPort
from drivers.transports.usb_descriptors import BULK, IN, INTERRUPT

OUT = 0
RQS = 0x40
MOST_OUT = 1 << 20
MOST_IN = 65536 - 64
"""A transfer of PyUSB brings 65536 bytes at most, header included."""
STATUS_S = 1.0
LISTEN_S = 0.002
POLL_S = (0.002, 0.05)
CHECKS = 100
CHECK_S = 0.01


class UsbtmcPort(Port):
    """One instrument; the trace is that of the USB port below."""

    def __init__(self, name: str, usb: UsbPort) -> None:
        self.name = name
        self._usb = usb
        self._tag = 0
        self._status_tag = 1
        self._dirty = False
        self._statuses = deque[int]()

    @property
    def trace(self) -> Trace:
        """What crossed the port lately."""
        return self._usb.trace

    @property
    def lost(self) -> bool:
        """Whether the port must be closed before it is used again."""
        return self._usb.lost

    async def open(self) -> None:
        """Open the device; ProtocolError if its interface is no USBTMC."""
        await self._usb.open()
        try:
            self._dirty = False
            self._statuses.clear()
            await self._usb.run(self._introduced())
        except BaseException:
            await self._usb.aclose()
            raise

    async def run(self, conversation: Conversation[T]) -> T:
        return await self._usb.run(self._translated(conversation))

    async def service_request(self) -> int:
        """Wait for the interrupt pipe, or poll the status byte where there is none; between conversations."""
        wait_s = POLL_S[0]
        while not self._statuses:
            await self._usb.run(self._asked())
            if not self._statuses:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, POLL_S[1])
        return self._statuses.popleft()

    async def aclose(self) -> None:
        await self._usb.aclose()

    # -- on the port's thread
    def _introduced(self) -> Conversation[None]:
        if self._usb.interface.device_class != usbtmc.CLASS:
            raise ProtocolError(f"{self.name}: the device is no USBTMC instrument")
        told = yield from self._control(FROM_INTERFACE, usbtmc.CAPABILITIES, 0, usbtmc.CAPABILITY_BYTES)
        if told[:1] != bytes([SUCCESS]):
            raise ProtocolError(f"{self.name}: the device does not tell its capabilities: {told.hex(' ')}")

    def _translated(self, conversation: Conversation[T]) -> Conversation[T]:
        """Hold a conversation in transfers; one that fails or is cancelled leaves the port to be cleared."""
        if self._dirty:
            yield from self._cleared()
        clean = False
        reply: Reply = None
        failed: EquipmentError | None = None
        try:
            while True:
                try:
                    step = conversation.send(reply) if failed is None else conversation.throw(failed)
                except StopIteration as end:
                    clean = True
                    result: T = end.value
                    return result
                reply, failed = None, None
                try:
                    reply = yield from self._done(step)
                except EquipmentError as error:
                    failed = error
        except (InstrumentError, DutError):
            clean = True
            raise
        finally:
            self._dirty = self._dirty or not clean
            conversation.close()

    def _done(self, step: Step) -> Conversation[Reply]:
        match step:
            case Write():
                yield from self._write(step.data)
            case Read():
                return (yield from self._read(step.timeout_s))
            case ReadStatus():
                return (yield from self._status())
            case Trigger():
                yield Write(usbtmc.trigger(self._next_tag()), self._pipe(BULK, OUT))
            case Clear():
                yield from self._cleared()
            case _:
                return (yield step)
        return None

    def _write(self, data: bytes) -> Conversation[None]:
        for at in range(0, len(data) or 1, MOST_OUT):
            piece = data[at : at + MOST_OUT]
            ends = at + MOST_OUT >= len(data)
            yield Write(usbtmc.written(self._next_tag(), piece, ends=ends), self._pipe(BULK, OUT))

    def _read(self, timeout_s: float) -> Conversation[bytes]:
        message = bytearray()
        while True:
            tag = self._next_tag()
            yield Write(usbtmc.request(tag, MOST_IN), self._pipe(BULK, OUT))
            try:
                raw = yield Read(timeout_s, self._pipe(BULK, IN))
            except Silent:
                yield from self._abort(tag)
                raise
            part = self._transfer(raw, tag)
            message += part.data
            if part.ends:
                return bytes(message)

    def _transfer(self, raw: Reply, tag: int) -> usbtmc.Transfer:
        try:
            part = usbtmc.transfer(raw if isinstance(raw, bytes) else b"")
        except ValueError as error:
            raise ProtocolError(f"{self.name}: {error}") from None
        if part.tag != tag or len(part.data) < part.size:
            raise ProtocolError(
                f"{self.name}: asked with tag {tag}, answered with tag {part.tag}, "
                f"{len(part.data)} of {part.size} bytes"
            )
        return part

    def _abort(self, tag: int) -> Conversation[None]:
        """End an answer that does not come, so that the pipe is free."""
        self._dirty = True
        pipe = self._pipe(BULK, IN)
        begun = yield from self._control(FROM_ENDPOINT, usbtmc.ABORT_IN, tag, 2, index=pipe)
        if begun[:1] == bytes([SUCCESS]):
            yield from self._until_done(FROM_ENDPOINT, usbtmc.CHECK_ABORT_IN, 8, index=pipe)

    def _cleared(self) -> Conversation[None]:
        begun = yield from self._control(FROM_INTERFACE, usbtmc.CLEAR, 0, 1)
        if begun[:1] != bytes([SUCCESS]):
            raise DeviceLost(f"{self.name}: the device clear is refused: {begun.hex()}")
        yield from self._until_done(FROM_INTERFACE, usbtmc.CHECK_CLEAR, 2)
        yield Clear()
        self._dirty = False

    def _until_done(
        self, kind: int, request: int, length: int, *, index: int | None = None
    ) -> Conversation[None]:
        for _ in range(CHECKS):
            state = yield from self._control(kind, request, 0, length, index=index)
            if state[:1] != bytes([PENDING]):
                return
            yield Pause(CHECK_S)
        raise DeviceLost(f"{self.name}: request {request} does not come to an end")

    # -- status byte and service requests
    def _status(self) -> Conversation[int]:
        self._status_tag = usbtmc.next_tag(self._status_tag, 2, 127)
        tag = self._status_tag
        told = yield from self._control(FROM_INTERFACE, usbtmc.READ_STATUS, tag, 3)
        if len(told) < 3 or told[0] != SUCCESS or told[1] != tag:
            raise ProtocolError(f"{self.name}: the status query with tag {tag} is answered {told.hex(' ')}")
        if (pipe := self._usb.interface.pipe(INTERRUPT, IN)) is None:
            return told[2]
        while True:
            notice = yield Read(STATUS_S, pipe)
            if (status := self._noticed(notice, tag)) is not None:
                return status

    def _noticed(self, notice: Reply, tag: int) -> int | None:
        """Keep a service request; return the status byte if this is the answer to the query with `tag`."""
        data = notice if isinstance(notice, bytes) else b""
        if len(data) >= 2 and data[0] == usbtmc.SERVICE_REQUEST:
            self._statuses.append(data[1])
            return None
        return data[1] if len(data) >= 2 and data[0] == tag | 0x80 else None

    def _asked(self) -> Conversation[None]:
        """Look once whether the instrument asks for service."""
        if (pipe := self._usb.interface.pipe(INTERRUPT, IN)) is None:
            status = yield from self._status()
            if status & RQS:
                self._statuses.append(status)
            return
        try:
            notice = yield Read(LISTEN_S, pipe)
        except Silent:
            return
        self._noticed(notice, 0)

    # -- small things
    def _control(
        self, kind: int, request: int, value: int, length: int, *, index: int | None = None
    ) -> Conversation[bytes]:
        where = self._usb.interface.number if index is None else index
        reply = yield Control(kind, request, value, where, length=length)
        return reply if isinstance(reply, bytes) else b""

    def _next_tag(self) -> int:
        self._tag = usbtmc.next_tag(self._tag)
        return self._tag

    def _pipe(self, kind: int, direction: int) -> int:
        pipe = self._usb.interface.pipe(kind, direction)
        return 0 if pipe is None else pipe
