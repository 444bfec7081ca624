"""A simulated code reader that is a USB keyboard: it types what somebody holds in front of it."""

from drivers.protocols.codes import typing
from sim.faults import NO_FAULTS, Faults
from sim.usb import descriptors
from sim.usb.backend import UsbBus
from sim.usb.device import UsbDevice, stalled

HID = 0x03
INTERRUPT_IN = 0x81
CLASS_OUT = 0x21
SET_PROTOCOL = 0x0B
F1 = 0x3A
KEY_S = 0.001


class KeyboardReader(UsbDevice):
    """The reader; `scan` is somebody who holds a code in front of it."""

    knobs = frozenset({"no_read", "double_read", "noise", "usb_detach"})
    """`noise` types another key among the code."""

    def __init__(
        self,
        bus: UsbBus,
        *,
        faults: Faults = NO_FAULTS,
        vid: int = 0x1209,
        pid: int = 0x0003,
        serial: str = "K0001",
    ) -> None:
        super().__init__(bus.clock)
        self.faults = faults
        self.descriptor = descriptors.device(vid, pid)
        pipe = descriptors.endpoint(INTERRUPT_IN, descriptors.INTERRUPT, 8, 1)
        self.configuration = descriptors.configuration(descriptors.interface(HID, b"", (pipe,)))
        self.strings = ("hardbin", "code reader (simulated)", serial)
        self._bus = bus

    def on_out(self, endpoint: int, data: bytes) -> None:
        """It has no pipe out."""
        raise stalled()

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        del value, index, data
        if (request_type, request) != (CLASS_OUT, SET_PROTOCOL):
            raise stalled()
        return b""

    def scan(self, code: str) -> None:
        """Read a code and type it."""
        if self.faults.strikes("no_read") is not None:
            return
        if self.faults.strikes("usb_detach") is not None:
            self._bus.detach(self, back_after_s=0.5)
            return
        for _ in range(2 if self.faults.strikes("double_read") is not None else 1):
            reports = list(typing(code))
            if self.faults.strikes("noise") is not None:
                reports.insert(2, bytes((0, 0, F1, 0, 0, 0, 0, 0)))
            for number, report in enumerate(reports):
                self.clock.call_later(KEY_S * number, self.push, INTERRUPT_IN, report)
