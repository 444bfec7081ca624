"""From the text of a port to the port: `visa:GPIB0::7::INSTR`, `serial:/dev/ttyUSB0` and so on."""

from typing import Any, cast

from drivers.transports import Port, Stream
from drivers.transports.serial import SerialSettings, SerialStream
from drivers.transports.tcp import TcpStream
from drivers.transports.usb import UsbPort
from drivers.transports.visa import VisaLibrary, VisaPort


class PortError(ValueError):
    """A port that cannot be meant, or is not of the driver's kind."""


class Ports:
    """Makes the ports of one cell, which share a VISA library; opens nothing."""

    def __init__(self, library: VisaLibrary, usb_backend: object | None) -> None:
        self.library = library
        self._usb_backend = usb_backend
        self.made: dict[str, Port | Stream] = {}
        """Every port by the name of what is at it."""

    def make(self, name: str, text: str, line: SerialSettings | None) -> Port | Stream:
        """Make one port; `line` is how its serial line would be set. PortError if it cannot be meant."""
        self.made[name] = made = self._make(name, text, line)
        return made

    def _make(self, name: str, text: str, line: SerialSettings | None) -> Port | Stream:
        kind, _, rest = text.partition(":")
        match kind:
            case "visa":
                return VisaPort(name, rest, self.library)
            case "serial":
                if line is None:
                    raise PortError(f"port {text!r}: this driver is on no serial line")
                return SerialStream(name, rest, line)
            case "tcp" if rest.rpartition(":")[2].isdigit():
                host, _, number = rest.rpartition(":")
                return TcpStream(name, host, int(number))
            case "usb" if len(parts := rest.split(":")) == 3:
                vendor, product, serial = parts
                backend = cast("Any", self._usb_backend)
                return UsbPort(name, int(vendor, 16), int(product, 16), serial or None, backend=backend)
            case _:
                raise PortError(
                    f"port {text!r}: write visa:<resource>, serial:<device>, "
                    "usb:<vid>:<pid>:<serial>, tcp:<host>:<port> or dio:<name>"
                )
