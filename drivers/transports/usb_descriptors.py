"""What a USB device says of itself: the configuration descriptor, as far as class drivers read it.

Universal Serial Bus 2.0, chapter 9.6.
"""

from dataclasses import dataclass

from drivers.errors import ProtocolError

DEVICE = 1
CONFIGURATION = 2
STRING = 3
INTERFACE = 4
ENDPOINT = 5
GET_DESCRIPTOR = 6
ENGLISH = 0x0409
IN = 0x80
BULK = 2
INTERRUPT = 3


@dataclass(frozen=True)
class Endpoint:
    """One pipe: its address has bit 0x80 when it leads to the station."""

    address: int
    kind: int
    packet: int


@dataclass(frozen=True)
class Interface:
    """One function of a device, with the descriptors of its class and its pipes' classes, by their type."""

    number: int
    alternate: int
    device_class: int
    protocol: int
    endpoints: tuple[Endpoint, ...]
    extra: tuple[bytes, ...]

    def pipe(self, kind: int, direction: int) -> int | None:
        """Return the address of the first pipe of a kind and direction."""
        for endpoint in self.endpoints:
            if endpoint.kind == kind and endpoint.address & IN == direction:
                return endpoint.address
        return None


def interfaces(configuration: bytes) -> tuple[Interface, ...]:
    """Read all interfaces of a configuration descriptor; ProtocolError where its lengths do not fit."""
    found: list[Interface] = []
    for piece in _pieces(configuration):
        match piece[1], found:
            case (4, _) if len(piece) >= 9:
                found.append(Interface(piece[2], piece[3], piece[5], piece[7], (), ()))
            case 5, [*_, last] if len(piece) >= 7:
                packet = int.from_bytes(piece[4:6], "little") & 0x7FF
                pipe = Endpoint(piece[2], piece[3] & 3, packet)
                found[-1] = _with(last, (pipe,), ())
            case kind, [*_, last] if kind not in (DEVICE, CONFIGURATION):
                found[-1] = _with(last, (), (piece,))
    return tuple(found)


def text(string: bytes) -> str:
    """Read a string descriptor."""
    return string[2:].decode("utf-16-le", "replace")


def _with(interface: Interface, pipes: tuple[Endpoint, ...], extra: tuple[bytes, ...]) -> Interface:
    return Interface(
        interface.number,
        interface.alternate,
        interface.device_class,
        interface.protocol,
        interface.endpoints + pipes,
        interface.extra + extra,
    )


def _pieces(configuration: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    at = 0
    while at < len(configuration):
        length = configuration[at]
        if length < 2 or at + length > len(configuration):
            raise ProtocolError(f"descriptor at byte {at} of the USB configuration has length {length}")
        pieces.append(configuration[at : at + length])
        at += length
    return pieces
