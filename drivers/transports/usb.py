"""USB devices through PyUSB: one worker for the bulk and control pipes, one for the interrupt pipe.

libusb's synchronous transfers cannot be cancelled, so each is cut into slices with finite time-outs, and a
cancel waits for the end of the slice.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import TypeVar

from drivers.errors import EquipmentError, TransportError
from drivers.transports import Conversation, Pause, Port, Read, Reply, Step, Timestamp, Write
from drivers.transports.trace import Recorder, Trace
from drivers.transports.usb_descriptors import Interface
from drivers.transports.usb_device import SLICE_MS, Backend, UsbDevice, find
from drivers.transports.worker import Load, Worker

T = TypeVar("T")

OPEN_S = 5.0
GRACE_S = 2e-3 * SLICE_MS
CLOSE_S = 2.0 - GRACE_S


class UsbPort(Port):
    """One USB device, known by vendor, product and serial number; it is found anew at each `open`.

    After DeviceLost: `aclose`, then `open` when the device is back; it may have another address by then.
    """

    def __init__(
        self,
        name: str,
        vid: int,
        pid: int,
        serial: str | None,
        *,
        backend: Backend | None = None,
        interface: int | None = None,
    ) -> None:
        """Take what identifies it; `interface`: else the first with bulk pipes, or that interrupts."""
        self.name = name
        self._identity = vid, pid, serial
        self._backend = backend
        self._wanted = interface
        self._owner: _Owner | None = None

    @property
    def lost(self) -> bool:
        """Whether the port must be closed before it is used again."""
        return self._owner is not None and self._owner.worker.lost

    @property
    def trace(self) -> Trace:
        """What crossed the port lately."""
        return self._open().trace

    @property
    def load(self) -> Load:
        """What its conversations have cost."""
        return self._open().worker.load

    @property
    def configuration(self) -> bytes:
        """The configuration descriptor, with those of interfaces, classes and pipes."""
        return self._open().device.configuration

    @property
    def interface(self) -> Interface:
        """The interface in use, with its pipes and the descriptors of its class."""
        return self._open().device.interface

    async def open(self) -> None:
        """Find the device, take its interface from the system's own driver and claim it."""
        if self._owner is not None:
            raise TransportError(f"{self.name} is open already")
        worker = Worker(self.name, grace_s=GRACE_S)
        try:
            device = await worker.settle(
                find, self.name, *self._identity, self._backend, self._wanted, bound_s=OPEN_S
            )
        except BaseException:
            await worker.aclose()
            raise
        self._owner = _Owner(self.name, device, worker)

    def run(self, conversation: Conversation[T]) -> Coroutine[None, None, T]:
        """Hold the conversation; cancelled, it ends after the slice of the transfer under way."""
        owner = self._open()
        return owner.worker.call(owner.hold, conversation, owner.trace.recorder())

    async def service_request(self) -> int:
        """Raise TransportError: a USB device has no service requests, but an interrupt pipe."""
        raise TransportError(f"{self.name}: USB has no service requests; wait for `interrupt` instead")

    async def interrupt(self) -> bytes:
        """Return the next transfer of the interrupt pipe, however long it takes; one caller at a time."""
        return await self._open().interrupt()

    async def interrupts(self) -> AsyncGenerator[bytes, None]:
        """Yield the transfers of the interrupt pipe as they come."""
        while True:
            yield await self.interrupt()

    async def aclose(self) -> None:
        """Give the interface back; within 2 s even if the device hangs."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.listener.aclose(timeout_s=GRACE_S)
            await owner.worker.aclose(owner.device.close, timeout_s=CLOSE_S)

    def _open(self) -> "_Owner":
        if self._owner is None:
            raise TransportError(f"{self.name} is not open")
        return self._owner


class _Owner:
    """What exists while a port is open: its device, its threads, its trace."""

    def __init__(self, name: str, device: UsbDevice, worker: Worker) -> None:
        self.device = device
        self.worker = worker
        self.listener = Worker(f"{name} interrupt", grace_s=GRACE_S)
        self._name = name
        self._now = asyncio.get_running_loop().time
        self.trace = Trace(self._now)

    async def interrupt(self) -> bytes:
        """Wait in slices for a transfer of the interrupt pipe."""
        if (endpoint := self.device.listens_at) is None:
            raise TransportError(f"{self._name} has no interrupt pipe")
        while (data := await self.listener.call(self.device.listen, endpoint)) is None:
            pass
        self.trace.keep("<", data, endpoint)
        return data

    def hold(self, conversation: Conversation[T], recorder: Recorder) -> T:
        """Hold a conversation, on its thread; a failing step raises inside it, a cancel closes it."""
        reply: Reply = None
        failed: EquipmentError | None = None
        worker, device = self.worker, self.device
        while True:
            try:
                step = conversation.send(reply) if failed is None else conversation.throw(failed)
            except StopIteration as end:
                result: T = end.value
                return result
            if worker.interrupted:
                conversation.close()
                raise TransportError(f"{self._name}: the conversation was cancelled")
            reply = failed = None
            try:
                match step:
                    case Write():
                        device.write(step, recorder)
                    case Read():
                        reply = device.read(step, recorder, worker)
                    case _:
                        reply = self._done(step, recorder)
            except EquipmentError as error:
                failed = error

    def _done(self, step: Step, recorder: Recorder) -> Reply:
        match step:
            case Timestamp():
                return self._now()
            case Pause():
                self.worker.pause(step.seconds)
                return None
            case _:
                return self.device.do(step, recorder)
