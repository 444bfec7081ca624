"""A simulated FT232H in MPSSE mode: 16 lines behind two bulk pipes, and what may hang at D0, D1 and D2.

Common knowledge of the trade, as `drivers.protocols.mpsse`; a transfer takes 1 ms.
"""

from drivers.protocols.mpsse import (
    BAD,
    MPSSE_MODE,
    VENDOR_OUT,
    Code,
    Command,
    Commands,
    Purge,
    Request,
    Unknown,
)
from sim.dio.i2c import Bus
from sim.dio.lines import Lines
from sim.dio.spi import Register
from sim.faults import NO_FAULTS, Faults
from sim.usb import descriptors
from sim.usb.backend import UsbBus
from sim.usb.device import UsbDevice, stalled

BULK_OUT = 0x02
BULK_IN = 0x81
PACKET = 512
VENDOR_CLASS = 0xFF
STATUS = bytes((0x32, 0x60))
"""Modem status of a bridge that has nothing to say."""
DETACHED_MS = 500.0
NAMES = (*(f"D{n}" for n in range(8)), *(f"C{n}" for n in range(8)))


class FtdiMpsse(UsbDevice):
    """The chip; `lines` is what its pins are soldered to."""

    knobs = frozenset({"usb_detach", "stuck", "desync", "empty_packet", "lost_bit", "nack"})
    """`usb_detach` takes how many ms it lasts, `stuck` the name of a line; `lost_bit`: the last byte that is
    shifted in does not come; `nack`: a device on I2C does not take a byte."""

    def __init__(
        self,
        bus: UsbBus,
        *,
        lines: Lines | None = None,
        faults: Faults = NO_FAULTS,
        vid: int = 0x0403,
        pid: int = 0x6014,
        serial: str = "FT0001",
    ) -> None:
        super().__init__(bus.clock)
        self.lines = lines or Lines()
        self.faults = faults
        self.descriptor = descriptors.device(vid, pid, release=0x0900)
        pipes = (
            descriptors.endpoint(BULK_IN, descriptors.BULK, PACKET),
            descriptors.endpoint(BULK_OUT, descriptors.BULK, PACKET),
        )
        self.configuration = descriptors.configuration(descriptors.interface(VENDOR_CLASS, b"", pipes))
        self.strings = ("FTDI", "FT232H (simulated)", serial)
        self._bus = bus
        self._commands = Commands()
        self._mode = 0
        self._values = [0, 0]
        self._directions = [0, 0]
        self.register = Register()
        self.i2c = Bus()
        self._three_phases = False

    def on_reset(self) -> None:
        super().on_reset()
        self._commands = Commands()
        self._mode = 0
        self._three_phases = False

    def on_control(self, request_type: int, request: int, value: int, index: int, data: bytes) -> bytes:
        del index, data
        if request_type != VENDOR_OUT:
            raise stalled()
        match request, value:
            case Request.RESET, Purge.ALL | Purge.RECEIVED:
                self._commands = Commands()
            case Request.RESET, Purge.SENT:
                pipe = self.pipe(BULK_IN)
                with pipe.lock:
                    pipe.transfers.clear()
            case Request.BIT_MODE, _:
                self._mode = value >> 8
            case Request.LATENCY, _:
                pass
            case _:
                raise stalled()
        return b""

    def on_out(self, endpoint: int, data: bytes) -> None:
        del endpoint
        if (lasting := self.faults.strikes("usb_detach")) is not None:
            self._bus.detach(self, back_after_s=float(lasting or DETACHED_MS) / 1000)
            return
        if self._mode != MPSSE_MODE:
            return
        if data[0] in (Code.READ_LOW, Code.READ_HIGH) and self.faults.strikes("desync") is not None:
            data = bytes((0xAB,)) + data[1:]
        answer = bytearray()
        for taken in self._commands.feed(data):
            answer += self._done(taken)
        if answer:
            if self.faults.strikes("empty_packet") is not None:
                self.answer(BULK_IN, STATUS)
            self.answer(BULK_IN, STATUS + answer)

    def _done(self, taken: Command | Unknown) -> bytes:
        match taken:
            case Unknown(byte):
                return bytes((BAD, byte))
            case Command(Code.SET_LOW, arguments):
                self._set(0, *arguments)
            case Command(Code.SET_HIGH, arguments):
                self._set(1, *arguments)
            case Command(Code.READ_LOW):
                return bytes((self._pins(0),))
            case Command(Code.READ_HIGH):
                return bytes((self._pins(1),))
            case _:
                return self._clocked(taken)
        return b""

    def _clocked(self, taken: Command) -> bytes:
        """Do what has to do with the clock: shift, say and hear."""
        match taken:
            case Command(Code.THREE_PHASES):
                self._three_phases = True
            case Command(Code.SHIFT | Code.SHIFT_BACK, arguments):
                return self._shift(taken.code, arguments[2:])
            case Command(Code.SHIFT_OUT, arguments):
                self.i2c.hear(arguments[2])
            case Command(Code.BITS_IN):
                return self._came(bytes((self.i2c.answer(refuses=self.faults.strikes("nack") is not None),)))
            case Command(Code.SHIFT_IN):
                return self._came(bytes((self.i2c.say(),)))
            case Command(Code.BITS_OUT, arguments) if arguments[1]:
                self.i2c.heard_last()
        return b""

    def _shift(self, code: Code, data: bytes) -> bytes:
        return self._came(
            self.register.shift(
                data, rests_high=bool(self._values[0] & 1), code=code, three_phases=self._three_phases
            )
        )

    def _came(self, data: bytes) -> bytes:
        return data if self.faults.strikes("lost_bit") is None else data[:-1]

    def _set(self, half: int, value: int, direction: int) -> None:
        self._values[half], self._directions[half] = value, direction
        stuck = self.faults.strikes("stuck")
        for bit in range(8):
            line = NAMES[8 * half + bit]
            if direction >> bit & 1 and line != stuck:
                self.lines.drive(line, high=bool(value >> bit & 1))
        if half == 0:
            self.i2c.drive(clock=bool(value & 1), data=bool(value & 2 or not direction & 2))

    def _pins(self, half: int) -> int:
        return sum(self.lines.high(NAMES[8 * half + bit]) << bit for bit in range(8))
