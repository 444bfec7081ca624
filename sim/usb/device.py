"""A simulated USB device: descriptor bytes, pipes, and what the model does with transfers."""

import errno
import math
from abc import ABC, abstractmethod
from array import array
from collections import deque
from threading import Condition, Lock

import usb.core

from sim.clock import Clock
from sim.usb.descriptors import string

TRANSFER_S = 1e-3
"""What one transfer takes."""


class Pipe:
    """One IN pipe: transfers and when each is due."""

    def __init__(self) -> None:
        self.lock = Lock()
        """The condition's own: taken and left at once, where the condition calls it in turn."""
        self.condition = Condition(self.lock)
        self.transfers: deque[tuple[float, bytes]] = deque()
        self.halted = False


class UsbDevice(ABC):
    """What stays when a device is unplugged and comes back: its model. Each plugging in is an `Attachment`.

    A model overrides `on_out` and, where it matters, `on_control`, `on_poll` and `on_reset`; it calls `push`.
    """

    descriptor: bytes
    configuration: bytes
    strings: tuple[str, str, str]
    """Maker, product, serial number."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pipes: dict[int, Pipe] = {}
        self._began = self._out_s = 0.0
        """When the last transfer that came out began, and when it has arrived."""

    # -- the model's side
    @abstractmethod
    def on_out(self, endpoint: int, data: bytes) -> None:
        """Take a transfer."""

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        """Take a request of class or vendor; return the answer, or raise what `stalled` returns."""
        raise stalled()

    def on_poll(self, endpoint: int) -> None:
        """The station begins to wait for an interrupt transfer."""
        del endpoint

    def on_reset(self) -> None:
        """The device was plugged in, or reset."""
        self._out_s = 0.0

    def push(self, endpoint: int, data: bytes, *, after_s: float = 0.0) -> None:
        """Give the station a transfer `after_s` after the last one that came out has arrived."""
        self._push(endpoint, data, max(self.clock.time(), self._out_s) + after_s + TRANSFER_S)

    def answer(self, endpoint: int, data: bytes, *, after_s: float = 0.0) -> None:
        """As `push`, for the transfer that is being taken, however long the model thinks about it."""
        if self._out_s:  # else the device was reset meanwhile
            self._push(endpoint, data, self._out_s + after_s + TRANSFER_S)

    def push_on_credit(self, endpoint: int, data: bytes, *, after_s: float) -> float:
        """Give a transfer at once; return the seconds that the next one has to be later by."""
        now = self.clock.time()
        self._push(endpoint, data, now)
        return TRANSFER_S + after_s + TRANSFER_S - (now - self._began)

    def _push(self, endpoint: int, data: bytes, due: float) -> None:
        pipe = self.pipe(endpoint)
        with pipe.lock:
            pipe.transfers.append((due, data))
            self.clock.notify(pipe.condition)

    def stall(self, endpoint: int) -> None:
        """Halt a pipe until the station clears it."""
        pipe = self.pipe(endpoint)
        with pipe.lock:
            pipe.halted = True
            self.clock.notify(pipe.condition)

    def pipe(self, endpoint: int) -> Pipe:
        """Return a pipe by its address."""
        if (pipe := self.pipes.get(endpoint)) is None:
            pipe = self.pipes[endpoint] = Pipe()
        return pipe

    # -- the bus's side
    def out(self, endpoint: int, data: bytes) -> None:
        """Take a transfer from the bus."""
        if self.pipe(endpoint).halted:
            raise stalled()
        self._began = self.clock.time()
        self._out_s = self._began + TRANSFER_S
        self.on_out(endpoint, data)

    def standard(self, request: int, value: int) -> bytes:
        """Answer GET_DESCRIPTOR."""
        kind, index = value >> 8, value & 0xFF
        match request, kind:
            case 6, 1:
                return self.descriptor
            case 6, 2 if index == 0:
                return self.configuration
            case 6, 3 if index <= len(self.strings):
                return string(self.strings[index - 1] if index else None)
        raise stalled()


class Attachment:
    """One device as long as it stays plugged in at one address."""

    def __init__(self, device: UsbDevice, bus: int, address: int) -> None:
        self.device = device
        self.bus = bus
        self.address = address
        self.gone = False
        self.configured = 0
        self.claimed: dict[int, Handle] = {}
        """Who has which interface."""
        self.kernel: set[int] = set()
        """Interfaces that a driver of the system has."""

    def check(self) -> None:
        """Raise what libusb raises for a device that is gone."""
        if self.gone:
            raise gone()

    def detach(self) -> None:
        """The device is gone; whoever waits for a transfer learns it at once."""
        self.gone = True
        for pipe in self.device.pipes.values():
            with pipe.lock:
                pipe.transfers.clear()
                pipe.halted = False
                self.device.clock.notify(pipe.condition)

    def out(self, endpoint: int, data: bytes) -> int:
        """Send a transfer."""
        if self.gone:
            raise gone()
        self.device.out(endpoint, data)
        return len(data)

    def receive(self, endpoint: int, buffer: "array[int]", timeout_ms: int) -> int:
        """Wait for a transfer, at most `timeout_ms`; 0 is for ever, as in libusb."""
        clock = self.device.clock
        now = clock.time()
        deadline = now + timeout_ms / 1000 if timeout_ms else math.inf
        pipe = self.device.pipe(endpoint)
        with pipe.lock:
            while (data := self._due(pipe, now)) is None:
                if now >= deadline:
                    raise silent()
                wakes = min(pipe.transfers[0][0], deadline) if pipe.transfers else deadline
                clock.wait(pipe.condition, None if wakes == math.inf else wakes)
                now = clock.time()
        count = min(len(data), len(buffer))
        buffer[:count] = array("B", data[:count])
        if count < len(data):
            raise overflow()
        return count

    def _due(self, pipe: Pipe, now: float) -> bytes | None:
        if self.gone:
            raise gone()
        if pipe.halted:
            raise stalled()
        if pipe.transfers and pipe.transfers[0][0] <= now:
            return pipe.transfers.popleft()[1]
        return None


class Handle:
    """One opening of a device; several may be open, and an interface is only one's."""

    def __init__(self, attachment: Attachment) -> None:
        self.attachment = attachment
        self.device = attachment.device

    def checked(self) -> Attachment:
        """Return the attachment; raise what libusb raises if it is gone."""
        self.attachment.check()
        return self.attachment

    def claim(self, interface: int) -> None:
        """Take an interface."""
        attachment = self.checked()
        if interface in attachment.kernel or attachment.claimed.get(interface, self) is not self:
            raise busy()
        attachment.claimed[interface] = self

    def release(self) -> None:
        """Give back all that this opening has taken."""
        claimed = self.attachment.claimed
        for interface in [number for number, holder in claimed.items() if holder is self]:
            del claimed[interface]


def gone() -> OSError:
    """Return what libusb raises for a device that was unplugged."""
    return _error("No such device (it may have been disconnected)", -4, errno.ENODEV)


def stalled() -> OSError:
    """Return what libusb raises for a pipe that is halted, or a request that the device refuses."""
    return _error("Pipe error", -9, errno.EPIPE)


def busy() -> OSError:
    """Return what libusb raises for an interface that somebody else has."""
    return _error("Resource busy", -6, errno.EBUSY)


def silent() -> OSError:
    """Return what libusb raises when nothing came in time."""
    error: OSError = usb.core.USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)
    return error


def overflow() -> OSError:
    """Return what libusb raises for a transfer that is longer than the buffer."""
    return _error("Overflow", -8, errno.EOVERFLOW)


def _error(text: str, libusb: int, code: int) -> OSError:
    error: OSError = usb.core.USBError(text, libusb, code)
    return error
