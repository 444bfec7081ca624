"""Ports that are driven on the loop, without a thread: conversations in order, each step awaited."""

import asyncio
from abc import abstractmethod
from contextlib import suppress

from drivers.errors import DeviceLost, DutError, EquipmentError, InstrumentError, TransportError
from drivers.transports import (
    Clear,
    Conversation,
    Pause,
    Port,
    Read,
    ReadStatus,
    Reply,
    Step,
    T,
    Timestamp,
    Trigger,
    Write,
)
from drivers.transports.trace import Recorder, Trace

RECOVER_S = 2.0


class LoopPort(Port):
    """What such ports share; one opens its connection in `_connect` and moves bytes in the steps below it.

    A conversation that fails or is cancelled leaves the port dirty: it is cleared before the next one. A port
    that cannot be cleared, or whose connection is gone, is lost until it is opened anew.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._turn = asyncio.Lock()
        self._trace: Trace | None = None
        self._lost: str | None = None
        self._dirty = False
        self._owes = False
        """Whether an answer may still come that nobody waits for."""

    @property
    def lost(self) -> bool:
        """Whether the port must be closed before it is used again."""
        return self._lost is not None

    @property
    def trace(self) -> Trace:
        """What crossed the port lately."""
        if self._trace is None:
            raise TransportError(f"{self.name} is not open")
        return self._trace

    async def open(self) -> None:
        if self._trace is not None:
            raise TransportError(f"{self.name} is open already")
        self._lost, self._dirty, self._owes = None, False, False
        trace = Trace(asyncio.get_running_loop().time)
        await self._connect()
        self._trace = trace

    async def aclose(self) -> None:
        if self._trace is not None:
            self._trace = None
            await self._disconnect()

    async def run(self, conversation: Conversation[T]) -> T:
        recorder = self.trace.recorder()
        async with self._turn:
            await self._made_clean()
            try:
                return await self._hold(conversation, recorder)
            except (InstrumentError, DutError):
                raise
            except DeviceLost as error:
                self._lost = str(error)
                raise
            except BaseException:  # also a cancel: what is on its way is not for the next conversation
                self._dirty = True
                raise
            finally:
                self._dirty = self._dirty or self._owes
                conversation.close()

    async def _made_clean(self) -> None:
        if self._lost is not None:
            raise DeviceLost(f"{self.name}: {self._lost.removeprefix(f'{self.name}: ')}")
        if not self._dirty:
            return
        try:
            async with asyncio.timeout(RECOVER_S):
                self.trace.keep(">clear", b"", 0)
                await self._clear()
        except (EquipmentError, TimeoutError) as error:
            self._lost = f"it could not be made clean again: {error or 'it takes too long'}"
            raise DeviceLost(f"{self.name}: {self._lost}") from error
        self._dirty = self._owes = False

    async def _hold(self, conversation: Conversation[T], recorder: Recorder) -> T:
        reply: Reply = None
        failed: EquipmentError | None = None
        while True:
            try:
                step = conversation.send(reply) if failed is None else conversation.throw(failed)
            except StopIteration as end:
                result: T = end.value
                return result
            reply, failed = None, None
            try:
                reply = await self._done(step, recorder)
            except EquipmentError as error:
                failed = error

    async def _done(self, step: Step, recorder: Recorder) -> Reply:
        match step:
            case Write():
                recorder.note(">", step.data)
                await self._write(step.data)
            case Read():
                return await self._heard(step, recorder)
            case ReadStatus():
                status = await self._status()
                recorder.note("<stb", bytes([status]))
                return status
            case Trigger():
                recorder.note(">trigger")
                await self._trigger()
            case Clear():
                recorder.note(">clear")
                await self._clear()
                self._owes = False
            case Pause():
                await asyncio.sleep(step.seconds)
            case Timestamp():
                return asyncio.get_running_loop().time()
            case _:
                raise TypeError(f"{self.name}: such a port has no step {type(step).__name__}")
        return None

    async def _heard(self, step: Read, recorder: Recorder) -> bytes:
        self._owes = True
        try:
            data = await self._read(step.timeout_s)
        except EquipmentError:
            recorder.note("<-")
            raise
        self._owes = False
        recorder.note("<", data)
        return data

    # -- what one kind of port does
    @abstractmethod
    async def _connect(self) -> None:
        """Open; TransportError if nobody answers."""

    @abstractmethod
    async def _disconnect(self) -> None:
        """Close, within 2 s, and raise nothing."""

    @abstractmethod
    async def _write(self, data: bytes) -> None:
        """Send one message."""

    @abstractmethod
    async def _read(self, timeout_s: float) -> bytes:
        """Receive one message; Silent if none comes."""

    @abstractmethod
    async def _status(self) -> int:
        """Poll the status byte."""

    @abstractmethod
    async def _trigger(self) -> None:
        """Group execute trigger."""

    @abstractmethod
    async def _clear(self) -> None:
        """Device clear: nothing said before is answered afterwards."""


async def closed(writer: asyncio.StreamWriter, within_s: float = 1.0) -> None:
    """Close a connection, whatever its other end does."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(within_s):
            await writer.wait_closed()
    writer.transport.abort()
