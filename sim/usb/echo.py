"""USB devices that answer at once: the far end of a bench of ports."""

import asyncio
import time

from sim.clock import RealClock
from sim.usb import descriptors
from sim.usb.backend import SimUsbBackend, UsbBus
from sim.usb.device import UsbDevice

VENDOR, PRODUCT = 0x1209, 0x0003
OUT, IN, NOTICE = 0x01, 0x82, 0x83
ANSWER = b"+1.234560E+00\n"
LATER_S = 0.003
_PIPES = (
    descriptors.endpoint(OUT, descriptors.BULK, 512),
    descriptors.endpoint(IN, descriptors.BULK, 512),
    descriptors.endpoint(NOTICE, descriptors.INTERRUPT, 64, 1),
)


class Echo(UsbDevice):
    """Answers each transfer; `LATER` also by an interrupt, with the time in ns at which that was sent."""

    descriptor = descriptors.device(VENDOR, PRODUCT)
    configuration = descriptors.configuration(descriptors.interface(0xFF, b"", _PIPES))

    def __init__(self, clock: RealClock, serial: str) -> None:
        super().__init__(clock)
        self.strings = ("hardbin", "echo", serial)

    def on_out(self, endpoint: int, data: bytes) -> None:
        del endpoint
        self.push_on_credit(IN, ANSWER, after_s=0.0)
        if data.startswith(b"LATER"):
            self.clock.call_later(LATER_S, self._notice)

    def _notice(self) -> None:
        self.push_on_credit(NOTICE, b"%d\n" % time.monotonic_ns(), after_s=0.0)


def echoes(count: int, loop: asyncio.AbstractEventLoop) -> SimUsbBackend:
    """Return a PyUSB backend with devices whose serial numbers are E1, E2 ...; in real time, on this loop."""
    clock = RealClock(loop)
    bus = UsbBus(clock)
    for number in range(1, count + 1):
        bus.attach(Echo(clock, f"E{number}"))
    return SimUsbBackend(bus)
