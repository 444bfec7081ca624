"""Where a station file says that a machine is, read as its simulator needs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zlib import crc32

from pyvisa.rname import InvalidResourceName, parse_resource_name

from sim.wiring import Placement, WorldError

SERIAL = "hardbin://"
ADAPTER = "prologix"
USBTMC = "usbtmc"
FIRST_BOARD = 1000


@dataclass(frozen=True)
class BehindAdapter:
    """A machine at a GPIB adapter."""

    line: str
    """Where the adapter is, as a port of its own."""
    primary: int
    secondary: int


def scheme_of(placed: Placement) -> str:
    """Return where a machine is: what is before the colon; GPIB adapters and USBTMC are buses as others."""
    scheme = placed.port.partition(":")[0]
    return "visa" if scheme in (ADAPTER, USBTMC) else scheme


def behind_adapter(placed: Placement) -> BehindAdapter | None:
    """Read `prologix:<line>/<address>`; None for any other port, WorldError if it cannot be meant."""
    scheme, _, rest = placed.port.partition(":")
    if scheme != ADAPTER:
        return None
    line, _, address = rest.rpartition("/")
    primary, _, secondary = address.partition(".")
    if line.partition(":")[0] not in ("tcp", "serial") or not (primary + secondary).isdigit():
        raise WorldError(
            f"equipment {placed.name!r}: a machine at a GPIB adapter is at "
            f"prologix:tcp:<host>:<port>/<address> or prologix:serial:{SERIAL}<end>/<address>, "
            f"not at {placed.port!r}"
        )
    return BehindAdapter(line, int(primary), int(secondary or 0))


def visa_resource(placed: Placement) -> str:
    """Return the VISA resource name of a port; WorldError if it is none.

    A machine behind an adapter has one that nobody can write, for each adapter a board of its own.
    """
    if (place := behind_adapter(placed)) is not None:
        board = FIRST_BOARD + crc32(place.line.encode())
        return f"GPIB{board}::{place.primary}::{place.secondary}::INSTR"
    if placed.port.startswith(f"{USBTMC}:"):
        vendor, product, number = usb_identity(placed)
        return f"USB0::0x{vendor:04X}::0x{product:04X}::{number}::INSTR"
    _, _, resource = placed.port.partition(":")
    try:
        parse_resource_name(resource)
    except InvalidResourceName:
        raise WorldError(f"equipment {placed.name!r}: {resource!r} is no VISA resource name") from None
    return resource


def serial_end(placed: Placement) -> str:
    """Return the simulated end of a serial port; WorldError if the port is a real one."""
    _, _, url = placed.port.partition(":")
    end = url.removeprefix(SERIAL)
    if not url.startswith(SERIAL) or not end:
        raise WorldError(
            f"equipment {placed.name!r}: a simulated serial port is serial:{SERIAL}<end>, not {placed.port!r}"
        )
    return end


def usb_identity(placed: Placement) -> tuple[int, int, str]:
    """Return vendor, product and serial number of a port; WorldError if they are not there."""
    try:
        _, vendor, product, number = placed.port.split(":")
        if not number:
            raise ValueError(number)
        return int(vendor, 16), int(product, 16), number
    except ValueError:
        raise WorldError(
            f"equipment {placed.name!r}: a USB port is usb:<vendor>:<product>:<serial>, or usbtmc:..., "
            f"not {placed.port!r}"
        ) from None


def tcp_address(placed: Placement) -> tuple[str, int]:
    """Return host and number of a TCP port; WorldError if it is none. Any host is a simulated one."""
    _, _, address = placed.port.partition(":")
    host, _, number = address.rpartition(":")
    if not host or not number.isdigit():
        raise WorldError(f"equipment {placed.name!r}: a TCP port is tcp:<host>:<port>, not {placed.port!r}")
    return host, int(number)


def pcsc_name(placed: Placement) -> str:
    """Return the name that a service gives a card reader; WorldError if there is none."""
    if not (name := placed.port.partition(":")[2]):
        raise WorldError(
            f"equipment {placed.name!r}: a reader of a service is pcsc:<name>, not {placed.port!r}"
        )
    return name


def dio_name(placed: Placement) -> str:
    """Return the name of the digital I/O whose lines a machine is at."""
    return placed.port.partition(":")[2]


ADDRESSES: Mapping[str, Callable[[Placement], object]] = {
    "visa": visa_resource,
    "serial": serial_end,
    "tcp": tcp_address,
    "usb": usb_identity,
    "dio": dio_name,
    "pcsc": pcsc_name,
}
