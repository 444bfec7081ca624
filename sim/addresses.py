"""Where a station file says that a machine is, read as its simulator needs it."""

from collections.abc import Callable, Mapping

from pyvisa.rname import InvalidResourceName, parse_resource_name

from sim.wiring import Placement, WorldError

SERIAL = "hardbin://"


def visa_resource(placed: Placement) -> str:
    """Return the VISA resource name of a port; WorldError if it is none."""
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
            f"equipment {placed.name!r}: a USB port is usb:<vendor>:<product>:<serial>, not {placed.port!r}"
        ) from None


def tcp_address(placed: Placement) -> tuple[str, int]:
    """Return host and number of a TCP port; WorldError if it is none. Any host is a simulated one."""
    _, _, address = placed.port.partition(":")
    host, _, number = address.rpartition(":")
    if not host or not number.isdigit():
        raise WorldError(f"equipment {placed.name!r}: a TCP port is tcp:<host>:<port>, not {placed.port!r}")
    return host, int(number)


def dio_name(placed: Placement) -> str:
    """Return the name of the digital I/O whose lines a machine is at."""
    return placed.port.partition(":")[2]


ADDRESSES: Mapping[str, Callable[[Placement], object]] = {
    "visa": visa_resource,
    "serial": serial_end,
    "tcp": tcp_address,
    "usb": usb_identity,
    "dio": dio_name,
}
