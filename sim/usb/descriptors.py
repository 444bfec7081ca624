"""Descriptor bytes of simulated USB devices, and the same as the objects that PyUSB asks a backend for.

Universal Serial Bus 2.0, chapter 9.6.
"""

import struct
from dataclasses import dataclass
from types import SimpleNamespace

_DEVICE = struct.Struct("<BBHBBBBHHHBBBB")
_CONFIGURATION = struct.Struct("<BBHBBBBB")
_ENDPOINT = struct.Struct("<BBBBHB")
_FIELDS = {
    1: "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor"
    " idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations",
    2: "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes"
    " bMaxPower",
    4: "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass"
    " bInterfaceSubClass bInterfaceProtocol iInterface",
    5: "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval",
}
BULK = 2
INTERRUPT = 3


def device(vid: int, pid: int, *, release: int = 0x0100) -> bytes:
    """Write a device descriptor: USB 2.0, class told by the interfaces, strings 1 to 3."""
    return _DEVICE.pack(_DEVICE.size, 1, 0x0200, 0, 0, 0, 64, vid, pid, release, 1, 2, 3, 1)


def endpoint(address: int, kind: int, packet: int, interval: int = 0) -> bytes:
    """Write an endpoint descriptor."""
    return _ENDPOINT.pack(_ENDPOINT.size, 5, address, kind, packet, interval)


def interface(device_class: int, class_specific: bytes, endpoints: tuple[bytes, ...]) -> bytes:
    """Write interface 0 with what belongs to it."""
    head = bytes((9, 4, 0, 0, len(endpoints), device_class, 0, 0, 0))
    return head + class_specific + b"".join(endpoints)


def configuration(interfaces: bytes, count: int = 1) -> bytes:
    """Write the only configuration: powered by the bus, 100 mA."""
    total = _CONFIGURATION.size + len(interfaces)
    return _CONFIGURATION.pack(_CONFIGURATION.size, 2, total, count, 1, 0, 0x80, 50) + interfaces


def string(text: str | None) -> bytes:
    """Write a string descriptor; None is the list of languages, which is English alone."""
    body = b"\x09\x04" if text is None else text.encode("utf-16-le")
    return bytes((len(body) + 2, 3)) + body


@dataclass(frozen=True)
class Tree:
    """A device's descriptors as PyUSB walks them."""

    device: SimpleNamespace
    configuration: SimpleNamespace
    interfaces: tuple[tuple[SimpleNamespace, tuple[SimpleNamespace, ...]], ...]


def tree(raw_device: bytes, raw_configuration: bytes, bus: int, address: int) -> Tree:
    """Parse descriptor bytes; class descriptors hang at what comes before them, as libusb has them."""
    where = {"bus": bus, "address": address, "port_number": 1, "port_numbers": (1,), "speed": 3}
    found: list[tuple[SimpleNamespace, list[SimpleNamespace]]] = []
    last = top = SimpleNamespace()
    at = 0
    while at < len(raw_configuration):
        piece = raw_configuration[at : at + raw_configuration[at]]
        at += len(piece)
        match piece[1]:
            case 2:
                last = top = _view(2, _CONFIGURATION.unpack(piece))
            case 4:
                last = _view(4, tuple(piece))
                found.append((last, []))
            case 5:
                last = _view(5, _ENDPOINT.unpack(piece[:7]), bRefresh=0, bSynchAddress=0)
                found[-1][1].append(last)
            case _:
                last.extra_descriptors.extend(piece)
    interfaces = tuple((one, tuple(pipes)) for one, pipes in found)
    return Tree(_view(1, _DEVICE.unpack(raw_device), **where), top, interfaces)


def _view(kind: int, values: tuple[int, ...], **more: object) -> SimpleNamespace:
    fields = dict(zip(_FIELDS[kind].split(), values, strict=True))
    return SimpleNamespace(**fields, extra_descriptors=[], **more)
