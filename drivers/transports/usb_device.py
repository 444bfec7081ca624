"""One USB device through PyUSB, as its port's threads use it: found, claimed, one transfer at a time."""

import errno
from array import array
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn, Protocol, TypeVar

import usb.core
import usb.util

from drivers.errors import DeviceLost, ProtocolError, Silent, TransportError
from drivers.transports import Clear, Control, Read, Reply, Step, Write
from drivers.transports.trace import Recorder
from drivers.transports.usb_descriptors import (
    BULK,
    CONFIGURATION,
    GET_DESCRIPTOR,
    IN,
    INTERRUPT,
    Interface,
    interfaces,
)

T = TypeVar("T")

SLICE_MS = 500
"""How long a transfer waits before it looks whether it is still wanted."""
LISTEN_MS = 250
WRITE_MS = 2000
CONTROL_MS = 1000
BUFFER = 65536
"""The most that one transfer brings; devices end their transfers themselves: `Read.size` means nothing."""


class Backend(Protocol):
    """A PyUSB backend (`usb.backend.IBackend`); nothing is asked of it here, it is handed to PyUSB."""

    def enumerate_devices(self) -> object:
        """Find all devices."""


class Device(Protocol):
    """What is used of `usb.core.Device`."""

    def write(self, endpoint: int, data: "array[int]", timeout: int) -> int:
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


class Wanted(Protocol):
    """Who knows whether a transfer is still wanted."""

    @property
    def interrupted(self) -> bool:
        """Whether it is not."""


class UsbDevice:
    """A device that is open. Each method blocks, for finite times, and raises mapped errors."""

    def __init__(self, name: str, device: Device, wanted: int | None) -> None:
        """Take the device over and its interface `wanted`; which by default: `UsbPort`."""
        self._name = name
        self._device = device
        self._buffer = array("B", bytes(BUFFER))
        self._heard = array("B", bytes(64))
        try:
            self.configuration = self._configuration()
            self.interface = self._chosen(wanted)
            _take_over(device, self.interface.number)
            usb.util.claim_interface(device, self.interface.number)
        except OSError as error:
            self.close()
            raise _mapped(name, "opening", error) from error
        except BaseException:
            self.close()
            raise

    def do(self, step: Step, recorder: Recorder) -> Reply:
        """Do one step that is neither a write nor a read."""
        match step:
            case Control():
                return self._control(step, recorder)
            case Clear():
                recorder.note(">clear")
                for pipe in self.interface.endpoints:
                    self._tried(0, partial(self._device.clear_halt, pipe.address))
                return None
        raise TransportError(f"{self._name}: USB has no {type(step).__name__}")

    @property
    def listens_at(self) -> int | None:
        """The interrupt pipe's address, if there is one."""
        return self.interface.pipe(INTERRUPT, IN)

    def listen(self, endpoint: int) -> bytes | None:
        """Wait a quarter of a second for an interrupt transfer."""
        return self._slice(endpoint, self._heard, LISTEN_MS)

    def close(self) -> None:
        """Give the device back."""
        usb.util.dispose_resources(self._device)

    def write(self, step: Write, recorder: Recorder) -> None:
        """Send one transfer."""
        recorder.note(">", step.data)
        try:
            self._device.write(step.endpoint, array("B", step.data), WRITE_MS)
        except OSError as error:
            self._failed(step.endpoint, error)

    def read(self, step: Read, recorder: Recorder, wanted: Wanted) -> bytes:
        """Receive one transfer, as long as it is wanted."""
        left_ms = max(1, round(step.timeout_s * 1000))
        while left_ms > 0:
            data = self._slice(step.endpoint, self._buffer, min(left_ms, SLICE_MS))
            if data is not None:
                recorder.note("<", data)
                return data
            if wanted.interrupted:
                break
            left_ms -= SLICE_MS
        told, pipe = recorder.tail(), f"pipe {step.endpoint:02x}"
        recorder.note("<-")
        raise Silent(f"{self._name}: nothing from {pipe} within {step.timeout_s:g} s, after {told}")

    def _slice(self, endpoint: int, buffer: "array[int]", timeout_ms: int) -> bytes | None:
        try:
            count = self._device.read(endpoint, buffer, timeout_ms)
        except OSError as error:
            if isinstance(error, usb.core.USBTimeoutError):
                return None
            self._failed(endpoint, error)
        return buffer[:count].tobytes()

    def _control(self, step: Control, recorder: Recorder) -> bytes:
        head = bytes((step.request_type, step.request))
        head += step.value.to_bytes(2, "big") + step.index.to_bytes(2, "big")
        recorder.note(">control", head + step.data)
        data: bytes | int = step.length if step.request_type & IN else step.data
        fields = step.request_type, step.request, step.value, step.index, data
        answer = self._tried(0, partial(self._device.ctrl_transfer, *fields, CONTROL_MS))
        if isinstance(answer, int):
            return b""
        recorder.note("<", answer.tobytes())
        return answer.tobytes()

    def _tried(self, endpoint: int, transfer: Callable[[], T]) -> T:
        try:
            return transfer()
        except OSError as error:
            self._failed(endpoint, error)

    def _failed(self, endpoint: int, error: OSError) -> NoReturn:
        """A pipe that stalled is cleared at once, so that the next transfer may go through."""
        if error.errno == errno.EPIPE and endpoint:
            self._tried(0, partial(self._device.clear_halt, endpoint))
        raise _mapped(self._name, f"pipe {endpoint:02x}", error) from error

    def _chosen(self, wanted: int | None) -> Interface:
        found = interfaces(self.configuration)
        for interface in found:
            both = interface.pipe(BULK, 0) is not None and interface.pipe(BULK, IN) is not None
            if interface.number == wanted or (wanted is None and both):
                return interface
        for interface in found if wanted is None else ():
            if interface.pipe(INTERRUPT, IN) is not None:
                return interface
        what = "with two bulk pipes, or one that interrupts" if wanted is None else str(wanted)
        raise ProtocolError(f"{self._name}: the device has no interface {what}")

    def _configuration(self) -> bytes:
        head = self._descriptor(9)
        return self._descriptor(int.from_bytes(head[2:4], "little"))

    def _descriptor(self, length: int) -> bytes:
        raw = self._device.ctrl_transfer(IN, GET_DESCRIPTOR, CONFIGURATION << 8, 0, length, CONTROL_MS)
        return b"" if isinstance(raw, int) else raw.tobytes()


def find(
    name: str, vid: int, pid: int, serial: str | None, backend: Backend | None, wanted: int | None
) -> UsbDevice:
    """Look for the device and open it; TransportError if it is not there."""
    known_by = {} if serial is None else {"serial_number": serial}
    try:
        device: Device | None = usb.core.find(backend=backend, idVendor=vid, idProduct=pid, **known_by)
    except (OSError, ValueError) as error:  # ValueError: no libusb, or strings that may not be read
        raise TransportError(f"{name}: cannot search for the device: {error}") from error
    if device is None:
        raise TransportError(f"{name}: no USB device {vid:04x}:{pid:04x} with serial number {serial!r}")
    return UsbDevice(name, device, wanted)


def _take_over(device: Device, interface: int) -> None:
    with suppress(NotImplementedError):  # a system without drivers of its own
        if device.is_kernel_driver_active(interface):
            device.detach_kernel_driver(interface)
    try:
        device.get_active_configuration()
    except OSError:
        device.set_configuration()


def _mapped(name: str, what: str, error: OSError) -> TransportError | ProtocolError:
    match error.errno:
        case errno.ENODEV | errno.ESHUTDOWN | errno.ENXIO:
            return DeviceLost(f"{name}: the device is gone ({what}): {error}")
        case errno.EPIPE | errno.EOVERFLOW:
            return ProtocolError(f"{name}: {what}: {error}")
        case errno.ETIMEDOUT:
            return Silent(f"{name}: {what}: {error}")
    return TransportError(f"{name}: {what}: {error}")
