"""A simulated USBTMC device: puts a simulated instrument on a USB bus.

Ref: `drivers/protocols/usbtmc.py`. With the USB488 part: status byte, trigger, service requests by interrupt.
"""

from drivers.protocols import usbtmc
from drivers.protocols.usbtmc import NOT_IN_PROGRESS, SUCCESS
from sim.instrument import Instrument
from sim.usb import descriptors
from sim.usb.device import UsbDevice, stalled

OUT, IN, NOTICE = 0x01, 0x82, 0x83
LOOK_S = 0.001
_PIPES = (
    descriptors.endpoint(OUT, descriptors.BULK, 512),
    descriptors.endpoint(IN, descriptors.BULK, 512),
    descriptors.endpoint(NOTICE, descriptors.INTERRUPT, 64, 1),
)
USB488 = 0b111
"""Trigger, remote and local, 488.2."""


class UsbtmcDevice(UsbDevice):
    """The USB side of an instrument."""

    configuration = descriptors.configuration(descriptors.interface(usbtmc.CLASS, b"", _PIPES))

    def __init__(self, instrument: Instrument, vendor: int, product: int, serial: str) -> None:
        super().__init__(instrument.clock)
        self.descriptor = descriptors.device(vendor, product)
        self.strings = ("hardbin", "simulated USBTMC instrument", serial)
        self._instrument = instrument
        self._asked: tuple[int, int] | None = None
        """Tag and size of the answer that the station waits for."""
        instrument.on_service_request.append(self._requested)

    def on_reset(self) -> None:
        super().on_reset()
        self._asked = None

    def on_out(self, endpoint: int, data: bytes) -> None:
        del endpoint
        try:
            taken = usbtmc.transfer(data)
        except ValueError:
            self.stall(OUT)
            return
        match taken.kind:
            case usbtmc.MESSAGE_OUT:
                self._instrument.bus_write(taken.data, end=taken.ends)
            case usbtmc.MESSAGE_IN:
                self._asked = taken.tag, taken.size
                self._look(taken.tag)
            case usbtmc.TRIGGER:
                self._instrument.triggered()
            case _:
                self.stall(OUT)

    def _look(self, tag: int) -> None:
        """Answer if an answer is due, else look again: a device answers when it can."""
        if self._asked is None or self._asked[0] != tag:
            return
        data, end = self._instrument.bus_read(self._asked[1], None, self.clock.time())
        if end in ("timeout", "aborted"):
            self.clock.call_later(LOOK_S, self._look, tag)
        elif end != "gone":
            self._asked = None
            self.push(IN, usbtmc.answered(tag, data, ends=end == "end"))

    def _requested(self) -> None:
        self.push(NOTICE, bytes((usbtmc.SERVICE_REQUEST, self._instrument.bus_status())))

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        del index, data
        match request_type, request:
            case usbtmc.FROM_INTERFACE, usbtmc.CAPABILITIES:
                told = bytearray(usbtmc.CAPABILITY_BYTES)
                told[0], told[14] = SUCCESS, USB488
                return bytes(told)
            case usbtmc.FROM_INTERFACE, usbtmc.READ_STATUS:
                self.push(NOTICE, bytes((value | 0x80, self._instrument.bus_status())))
                return bytes((SUCCESS, value, 0))
            case usbtmc.FROM_INTERFACE, usbtmc.CLEAR:
                self._asked = None
                self.pipe(IN).transfers.clear()
                self._instrument.bus_clear()
                return bytes((SUCCESS,))
            case usbtmc.FROM_INTERFACE, usbtmc.CHECK_CLEAR:
                return bytes((SUCCESS, 0))
            case usbtmc.FROM_ENDPOINT, usbtmc.ABORT_IN:
                pending = self._asked is not None and self._asked[0] == value
                self._asked = None if pending else self._asked
                return bytes((SUCCESS if pending else NOT_IN_PROGRESS, value))
            case usbtmc.FROM_ENDPOINT, usbtmc.CHECK_ABORT_IN:
                return bytes((SUCCESS, *bytes(7)))
        raise stalled()
