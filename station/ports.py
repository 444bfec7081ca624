"""From the text of a port to the port: `visa:GPIB0::7::INSTR`, `serial:/dev/ttyUSB0` and so on."""

import re
from typing import Any, cast

from drivers.protocols.hislip import PORT as HISLIP_PORT
from drivers.protocols.hislip import SUB_ADDRESS
from drivers.protocols.prologix import BAUD, TCP_PORT
from drivers.transports import Port, Stream
from drivers.transports.hislip import HislipPort
from drivers.transports.pcsc import PcscPort
from drivers.transports.prologix import PrologixAdapter, PrologixPort
from drivers.transports.serial import SerialSettings, SerialStream
from drivers.transports.tcp import TcpStream
from drivers.transports.usb import UsbPort
from drivers.transports.usbtmc import UsbtmcPort
from drivers.transports.visa import VisaLibrary, VisaPort

GPIB, GPIB_MOST = re.compile(r"GPIB\d*::([^:]*)", re.IGNORECASE), 30
HEX = re.compile(r"(0x)?[0-9a-f]{1,4}", re.IGNORECASE)
"""A vendor or product id of USB."""


class PortError(ValueError):
    """A port that cannot be meant, or is not of the driver's kind."""


class Ports:
    """Makes the ports of one cell, which share a VISA library; opens nothing."""

    def __init__(
        self, library: VisaLibrary, usb_backend: object | None, pcsc_service: object | None = None
    ) -> None:
        self.library = library
        self._usb_backend = usb_backend
        self._pcsc_service = pcsc_service
        self._adapters: dict[str, PrologixAdapter] = {}
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
                _must_have_address(rest)
                return VisaPort(name, rest, self.library)
            case "serial":
                if line is None:
                    raise PortError(f"port {text!r}: this driver is on no serial line")
                return SerialStream(name, rest, line)
            case "tcp" if rest.rpartition(":")[2].isdigit():
                host, _, number = rest.rpartition(":")
                return TcpStream(name, host, int(number))
            case "hislip" if rest:
                return _hislip(name, rest)
            case "prologix" if "/" in rest:
                return self._prologix(name, rest)
            case "usb" if rest.count(":") == 2:
                return self._usb(name, rest)
            case "usbtmc" if rest.count(":") == 2:
                return UsbtmcPort(name, self._usb(name, rest))
            case "pcsc" if rest:
                return PcscPort(name, rest, library=self._pcsc_service)
            case _:
                raise PortError(
                    f"port {text!r}: write visa:<resource>, serial:<device>, "
                    "usb:<vid>:<pid>:<serial>, usbtmc:<vid>:<pid>:<serial>, tcp:<host>:<port>, "
                    "hislip:<host>[:<port>], "
                    "prologix:<tcp or serial port>/<address>, pcsc:<reader> or dio:<name>"
                )

    def _usb(self, name: str, rest: str) -> UsbPort:
        vendor, product, serial = rest.split(":")
        if not (HEX.fullmatch(vendor) and HEX.fullmatch(product)):
            raise PortError(
                f"port usb:{rest}: write vendor and product in hexadecimal, as in usb:1209:0002:R1"
            )
        backend = cast("Any", self._usb_backend)
        return UsbPort(name, int(vendor, 16), int(product, 16), serial or None, backend=backend)

    def _prologix(self, name: str, rest: str) -> Port:
        """Make a port behind an adapter, which is shared by all ports that name it."""
        where, _, address = rest.rpartition("/")
        primary, _, secondary = address.partition(".")
        if not primary.isdigit() or (secondary and not secondary.isdigit()):
            raise PortError(
                f"port prologix:{rest}: {address!r} is no GPIB address; write 7, or 7.2 with a secondary"
            )
        if (adapter := self._adapters.get(where)) is None:
            line = self._make(where, where, SerialSettings(baud=BAUD))
            if not isinstance(line, Stream):
                raise PortError(
                    f"port prologix:{rest}: an adapter is at tcp:<host>:{TCP_PORT} or serial:<device>"
                )
            adapter = self._adapters[where] = PrologixAdapter(line)
        return PrologixPort(name, adapter, int(primary), int(secondary) if secondary else None)


def _must_have_address(resource: str) -> None:
    """PortError if a VISA resource on GPIB has no address; VISA itself takes any word there."""
    gpib = GPIB.match(resource)
    if gpib is not None and not (gpib[1].isdigit() and int(gpib[1]) <= GPIB_MOST):
        raise PortError(
            f"port visa:{resource}: {gpib[1]!r} is no GPIB address; "
            f"write 0 to {GPIB_MOST}, as in GPIB0::7::INSTR"
        )


def _hislip(name: str, rest: str) -> Port:
    where, _, sub_address = rest.partition("/")
    host, colon, port = where.rpartition(":")
    if not colon:
        host, port = where, str(HISLIP_PORT)
    if not host or not port.isdigit():
        raise PortError(f"port hislip:{rest}: write hislip:<host>[:<port>][/<name>]")
    return HislipPort(name, host, int(port), sub_address or SUB_ADDRESS)
