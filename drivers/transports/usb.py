"""USB devices through PyUSB: one worker for the bulk and control pipes, one for the interrupt pipe.

libusb's synchronous transfers cannot be cancelled, so each is cut into slices with finite time-outs, and a
cancel waits for the end of the slice.
"""

import asyncio
import errno
from array import array
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, Protocol

import usb.core
import usb.util

from drivers.errors import DeviceLost, ProtocolError, Silent, TransportError
from drivers.protocols.usb import BULK, CONFIGURATION, GET_DESCRIPTOR, IN, INTERRUPT, Interface, interfaces
from drivers.transports import (
    Clear,
    Control,
    Conversation,
    Pause,
    Port,
    Read,
    Reply,
    Step,
    T,
    Timestamp,
    Write,
)
from drivers.transports.worker import Worker

SLICE_S = 0.5
"""How long a transfer waits before it looks whether it is still wanted."""
GRACE_S = 2 * SLICE_S
LISTEN_S = 0.25
WRITE_S = 2.0
CONTROL_S = 1.0
BUFFER = 65536
"""The most that one transfer brings; devices end their transfers themselves: `Read.size` means nothing."""
_MILLI = 1000


class Backend(Protocol):
    """A PyUSB backend (`usb.backend.IBackend`); what opens a port needs nothing of it but that it is one."""

    def enumerate_devices(self) -> object:
        """Find all devices."""


class Device(Protocol):
    """What is used of `usb.core.Device`."""

    def write(self, endpoint: int, data: bytes, timeout: int) -> int:
        """Send one transfer."""

    def read(self, endpoint: int, size_or_buffer: "array[int]", timeout: int) -> int:
        """Receive one transfer."""

    def ctrl_transfer(
        self, request_type: int, request: int, value: int, index: int, data: bytes | int, timeout: int
    ) -> "array[int] | int":
        """Make a control transfer."""

    def clear_halt(self, endpoint: int) -> None:
        """End the stall of a pipe."""

    def get_active_configuration(self) -> object:
        """Return the configuration in use; USBError if none is."""

    def set_configuration(self) -> None:
        """Choose the first configuration."""

    def is_kernel_driver_active(self, interface: int) -> bool:
        """Tell whether a driver of the system has the interface."""

    def detach_kernel_driver(self, interface: int) -> None:
        """Take the interface from it."""


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
        """Take what identifies the device; `interface` is by default the first with two bulk pipes."""
        self.name = name
        self.configuration: bytes = b""
        """The configuration descriptor, with those of interfaces, classes and pipes; known once open."""
        self.interface: Interface | None = None
        """The interface in use, with its pipes; known once open."""
        self._identity = vid, pid, serial
        self._backend = backend
        self._wanted = interface
        self._pipes: _Pipes | None = None
        self._worker: Worker | None = None
        self._listener: Worker | None = None

    async def open(self) -> None:
        """Find the device, take its interface from the system's own driver and claim it."""
        if self._worker is not None:
            raise TransportError(f"{self.name} is open already")
        self._worker = Worker(self.name, grace_s=GRACE_S)
        try:
            self._pipes = await self._worker.call(self._find, asyncio.get_running_loop().time)
        except BaseException:
            await self.aclose()
            raise
        self._listener = Worker(f"{self.name} interrupt", grace_s=GRACE_S)

    async def run(self, conversation: Conversation[T]) -> T:
        """Hold the conversation; cancelled, it ends after the slice of the transfer under way."""
        worker, pipes = self._open()
        return await worker.call(_converse, conversation, pipes, worker)

    async def service_request(self) -> int:
        """Raise TransportError: USB class devices have no service request, but an interrupt pipe."""
        raise TransportError(f"{self.name}: USB has no service request; wait for `interrupt()`")

    async def interrupt(self) -> bytes:
        """Return the next transfer of the interrupt pipe, however long it takes; one caller at a time."""
        _, pipes = self._open()
        if self._listener is None or pipes.interface.pipe(INTERRUPT, IN) is None:
            raise TransportError(f"{self.name} has no interrupt pipe")
        while True:
            if (data := await self._listener.call(pipes.listen)) is not None:
                return data

    async def interrupts(self) -> AsyncGenerator[bytes, None]:
        """Yield the transfers of the interrupt pipe as they come."""
        while True:
            yield await self.interrupt()

    async def aclose(self) -> None:
        """Give the interface back; within 2 s even if the device hangs."""
        workers, pipes = (self._listener, self._worker), self._pipes
        self._listener = self._worker = self._pipes = None
        listener, worker = workers
        if listener is not None:
            await listener.aclose(timeout_s=GRACE_S)
        if worker is not None:
            await worker.aclose(pipes.release if pipes else None, timeout_s=2.0 - GRACE_S)

    def _open(self) -> "tuple[Worker, _Pipes]":
        if self._worker is None or self._pipes is None:
            raise TransportError(f"{self.name} is not open")
        return self._worker, self._pipes

    def _find(self, time: Callable[[], float]) -> "_Pipes":
        vid, pid, serial = self._identity
        known_by = {} if serial is None else {"serial_number": serial}
        try:
            device = usb.core.find(backend=self._backend, idVendor=vid, idProduct=pid, **known_by)
        except (OSError, ValueError) as error:  # ValueError: no libusb, or strings that may not be read
            raise TransportError(f"{self.name}: cannot search for the device: {error}") from error
        if device is None:
            raise TransportError(f"{self.name}: no device {vid:04x}:{pid:04x} with serial number {serial!r}")
        self.configuration, self.interface = self._claim(device)
        return _Pipes(self.name, device, self.interface, time)

    def _claim(self, device: Device) -> tuple[bytes, Interface]:
        try:
            raw = _configuration(device)
            interface = self._chosen(raw)
            _take_over(device, interface.number)
            usb.util.claim_interface(device, interface.number)
        except OSError as error:
            usb.util.dispose_resources(device)
            raise _mapped(self.name, "opening", error) from error
        return raw, interface

    def _chosen(self, configuration: bytes) -> Interface:
        for interface in interfaces(configuration):
            both = interface.pipe(BULK, 0) is not None and interface.pipe(BULK, IN) is not None
            if interface.number == self._wanted or (self._wanted is None and both):
                return interface
        what = "with two bulk pipes" if self._wanted is None else str(self._wanted)
        raise ProtocolError(f"{self.name}: the device has no interface {what}")


@dataclass
class _Pipes:
    """An open device; its methods run on the workers' threads and raise mapped errors."""

    name: str
    device: Device
    interface: Interface
    time: Callable[[], float]

    def __post_init__(self) -> None:
        self._buffer = array("B", bytes(BUFFER))
        self._heard = array("B", bytes(64))

    def do(self, step: Step, worker: Worker) -> Reply:
        match step:
            case Write(data, endpoint):
                self._tried(endpoint, partial(self.device.write, endpoint, data, int(WRITE_S * _MILLI)))
                return None
            case Read(timeout_s, endpoint):
                return self._read(endpoint, timeout_s, worker)
            case Control():
                return self._control(step)
            case Clear():
                for pipe in self.interface.endpoints:
                    self._tried(0, partial(self.device.clear_halt, pipe.address))
                return None
            case Pause(seconds):
                worker.pause(seconds)
                return None
            case Timestamp():
                return self.time()
        raise TransportError(f"{self.name}: USB has no {type(step).__name__}")

    def listen(self) -> bytes | None:
        """Wait a quarter of a second for an interrupt transfer."""
        endpoint = self.interface.pipe(INTERRUPT, IN) or 0
        return self._slice(endpoint, self._heard, LISTEN_S)

    def release(self) -> None:
        """Close the device."""
        usb.util.dispose_resources(self.device)

    def _read(self, endpoint: int, timeout_s: float, worker: Worker) -> bytes:
        left = timeout_s
        while not worker.interrupted:
            data = self._slice(endpoint, self._buffer, min(left, SLICE_S))
            if data is not None:
                return data
            left -= SLICE_S
            if left <= 0:
                break
        raise Silent(f"{self.name}: nothing from pipe {endpoint:02x} within {timeout_s:g} s")

    def _slice(self, endpoint: int, buffer: "array[int]", timeout_s: float) -> bytes | None:
        try:
            count = self.device.read(endpoint, buffer, max(1, round(timeout_s * _MILLI)))
        except OSError as error:
            if _timed_out(error):
                return None
            self._failed(endpoint, error)
        return buffer[:count].tobytes()

    def _control(self, step: Control) -> bytes:
        data: bytes | int = step.length if step.request_type & IN else step.data
        fields = step.request_type, step.request, step.value, step.index, data
        answer = self._tried(0, partial(self.device.ctrl_transfer, *fields, int(CONTROL_S * _MILLI)))
        return b"" if isinstance(answer, int) else answer.tobytes()

    def _tried(self, endpoint: int, transfer: Callable[[], T]) -> T:
        try:
            return transfer()
        except OSError as error:
            self._failed(endpoint, error)

    def _failed(self, endpoint: int, error: OSError) -> NoReturn:
        if error.errno == errno.EPIPE and endpoint:
            self._tried(0, partial(self.device.clear_halt, endpoint))
        raise _mapped(self.name, f"pipe {endpoint:02x}", error) from error


def _converse(conversation: Conversation[T], pipes: _Pipes, worker: Worker) -> T:
    """Run on the worker's thread; the failure of a step goes into the conversation, which may know help."""
    answer: Callable[[], Step] = partial(next, conversation)
    while True:
        try:
            step = answer()
        except StopIteration as end:
            result: T = end.value
            return result
        if worker.interrupted:
            conversation.close()
            raise Silent(f"{pipes.name}: cancelled")
        try:
            answer = partial(conversation.send, pipes.do(step, worker))
        except (TransportError, ProtocolError) as error:
            answer = partial(conversation.throw, error)


def _take_over(device: Device, interface: int) -> None:
    with suppress(NotImplementedError):  # a system without drivers of its own
        if device.is_kernel_driver_active(interface):
            device.detach_kernel_driver(interface)
    try:
        device.get_active_configuration()
    except OSError:
        device.set_configuration()


def _configuration(device: Device) -> bytes:
    head = _descriptor(device, 9)
    return _descriptor(device, int.from_bytes(head[2:4], "little"))


def _descriptor(device: Device, length: int) -> bytes:
    raw = device.ctrl_transfer(IN, GET_DESCRIPTOR, CONFIGURATION << 8, 0, length, int(CONTROL_S * _MILLI))
    return b"" if isinstance(raw, int) else raw.tobytes()


def _timed_out(error: OSError) -> bool:
    return isinstance(error, usb.core.USBTimeoutError) or error.errno == errno.ETIMEDOUT


def _mapped(name: str, what: str, error: OSError) -> TransportError | ProtocolError:
    match error.errno:
        case errno.ENODEV | errno.ESHUTDOWN | errno.ENXIO:
            return DeviceLost(f"{name}: the device is gone ({what}): {error}")
        case errno.EPIPE | errno.EOVERFLOW:
            return ProtocolError(f"{name}: {what}: {error}")
        case errno.ETIMEDOUT:
            return Silent(f"{name}: {what}: {error}")
    return TransportError(f"{name}: {what}: {error}")
