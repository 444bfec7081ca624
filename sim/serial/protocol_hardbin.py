"""pySerial's handler of `hardbin://<end>`: `serial.serial_for_url` opens it as it opens a tty.

It raises what a tty raises, so that drivers meet the same exceptions. `known_to_pyserial` is called once by
whoever makes simulated lines: an ImportError in here would otherwise read "protocol not known".
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import serial
from serial.serialutil import PortNotOpenError, SerialBase, SerialException

from sim.serial.machine import SerialMachine, at_end

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PACKAGE = "sim.serial"
_DISCONNECTED = "device reports readiness to read but returned no data (device disconnected?)"
_PARITY_BITS = {serial.PARITY_NONE: 0}


def known_to_pyserial() -> None:
    """Make `hardbin://` open; more calls change nothing."""
    if PACKAGE not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(PACKAGE)


class Serial(SerialBase):
    """The station's end of a simulated line."""

    _machine: SerialMachine | None = None
    _fd = -1
    _cancelled = False

    # -- opening
    def open(self) -> None:
        """Open the line; SerialException like a tty that is missing or taken."""
        if self.is_open:
            raise SerialException("Port is already open.")
        if self.port is None:
            raise SerialException("Port must be configured before it can be used.")
        machine = at_end(urlsplit(self.port).netloc)
        if machine is None or machine.line.gone:
            raise SerialException(2, f"could not open port {self.port}: no such file or directory")
        if machine.line.busy:
            raise SerialException(16, f"could not open port {self.port}: device or resource busy")
        self._machine, self._fd, self.is_open = machine, machine.line.open(), True
        self._reconfigure_port()

    def close(self) -> None:
        """Close the line; what arrives from now on is lost."""
        if not self.is_open:
            return
        line = self._far().line
        self.is_open = False
        line.close()

    def fileno(self) -> int:
        """Return a descriptor that is readable while received bytes wait, or the line is gone."""
        self._far()
        return self._fd

    def _far(self) -> SerialMachine:
        if not self.is_open or self._machine is None:
            raise PortNotOpenError()
        return self._machine

    def _reconfigure_port(self) -> None:
        line = self._far().line
        parity = _PARITY_BITS.get(self.parity, 1)
        line.bits_per_s = float(self.baudrate)
        line.bits_per_byte = 1 + self.bytesize + parity + self.stopbits

    # -- bytes
    @property
    def in_waiting(self) -> int:
        """How many bytes have arrived."""
        return len(self._far().line.received)

    @property
    def out_waiting(self) -> int:
        """The driver's buffer takes everything at once."""
        self._far()
        return 0

    def read(self, size: int = 1, /) -> bytes:
        """Read `size` bytes, or what has come when the time-out is over."""
        line = self._far().line
        deadline = None if self.timeout is None else line.clock.time() + self.timeout
        with line.condition:
            while len(line.received) < size and not self._ended(deadline):
                line.clock.wait(line.condition, deadline)
            self._cancelled = False
            if not line.received and line.gone:
                raise SerialException(_DISCONNECTED)
            return line.taken(size)

    def _ended(self, deadline: float | None) -> bool:
        line = self._far().line
        over = deadline is not None and line.clock.time() >= deadline
        return over or self._cancelled or line.gone

    def write(self, b: "ReadableBuffer", /) -> int:
        """Give bytes to the line; they arrive by the baud rate."""
        machine = self._far()
        if machine.line.gone:
            raise SerialException("write failed: [Errno 5] Input/output error")
        data = bytes(b)
        if data:
            machine.take(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
        self._far()

    def cancel_read(self) -> None:
        """End a read that blocks in another thread."""
        line = self._far().line
        with line.condition:
            self._cancelled = True
            line.clock.notify(line.condition)

    def cancel_write(self) -> None:
        """A write never blocks."""

    def reset_input_buffer(self) -> None:
        """Drop what has arrived."""
        line = self._far().line
        with line.condition:
            line.taken(len(line.received))

    def reset_output_buffer(self) -> None:
        """Nothing is held back."""

    # -- modem lines: a three-wire cable
    def _update_break_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass

    def _update_dtr_state(self) -> None:
        pass

    @property
    def cts(self) -> bool:
        """Tied high."""
        return True

    @property
    def dsr(self) -> bool:
        """Tied high."""
        return True

    @property
    def cd(self) -> bool:
        """Tied high."""
        return True

    @property
    def ri(self) -> bool:
        """Tied low."""
        return False
