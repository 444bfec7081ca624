"""The station's end of a simulated USB device."""

from array import array

import usb.core

from sim.usb.backend import SimUsbBackend, UsbBus
from tests.player import ANSWER_WITHIN_S, Player


class UsbPlayer(Player):
    """Speaks to the one device of a bus through the backend that PyUSB would call."""

    def __init__(self, bus: UsbBus, *, out: int, back: int, interrupt: int = 0) -> None:
        self._backend = SimUsbBackend(bus)
        self._handle = self._backend.open_device(bus.attached[0])
        self._out = out
        self._in = back
        self._interrupt = interrupt
        self._answer: bytes | None = None

    def say(self, data: bytes) -> None:
        self._backend.bulk_write(self._handle, self._out, 0, array("B", data), 1000)

    def hear(self, size: int, endpoint: int) -> bytes:
        if self._answer is not None:
            answer, self._answer = self._answer[:size], None
            return answer
        buffer = array("B", bytes(1024))
        at = endpoint or self._in
        read = self._backend.intr_read if at == self._interrupt else self._backend.bulk_read
        try:
            count = read(self._handle, at, 0, buffer, int(ANSWER_WITHIN_S * 1000))
        except usb.core.USBTimeoutError:
            return b""
        return buffer[:count].tobytes()

    def control(self, setup: bytes) -> None:
        value, index = int.from_bytes(setup[2:4], "big"), int.from_bytes(setup[4:6], "big")
        buffer = array("B", setup[6:] if setup[0] < 0x80 else bytes(255))
        count = self._backend.ctrl_transfer(self._handle, setup[0], setup[1], value, index, buffer, 1000)
        self._answer = buffer[:count].tobytes() if setup[0] >= 0x80 else None
