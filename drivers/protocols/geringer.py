"""Lines of the Geringer PTO92UT handler: fields between bars, and a sum at the end.

As the handler application of Semi-ATE has them, with its tests. The sum is that of all bytes up to and
including the last bar, modulo 256, as three decimal digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from drivers.errors import ProtocolError

LONGEST = 4096
SITE_FIELDS = 5


class Status(IntEnum):
    """What the station says of itself (TS)."""

    OK = 0
    INITIALISED = 1
    LOT_LOADED = 2
    BUSY = 3
    ERROR = -1
    HAS_LOT = -67
    NO_LOT = -68
    INVALID_LOT = -98
    NOT_IMPLEMENTED = -99


TEXTS = {
    Status.OK: "OK",
    Status.INITIALISED: "OK",
    Status.LOT_LOADED: "Lot is Loaded, Test start is awaited",
    Status.BUSY: "Busy Testing",
    Status.ERROR: "Error",
    Status.HAS_LOT: "Lot is Already Active",
    Status.NO_LOT: "No Lot was Started",
    Status.INVALID_LOT: "Error",
    Status.NOT_IMPLEMENTED: "Error",
}
ALREADY_ACTIVE = "Lot is Already Active"
HANDLER_OK, HANDLER_BUSY = 0, 1


@dataclass(frozen=True)
class Line:
    """One line, either way: its header and fields."""

    head: str
    fields: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Write it with its sum."""
        body = "".join(f"{field}|" for field in (self.head, *self.fields)).encode("ascii", "replace")
        return body + b"%03d\n" % (sum(body) % 256)

    @classmethod
    def decode(cls, raw: bytes) -> "Line":
        """Read a line without its end; ProtocolError says what is wrong with it."""
        body, bar, told = raw.rpartition(b"|")
        if not bar or not body or len(told) != 3 or not told.isdigit() or not raw.isascii():
            raise ProtocolError(f"{raw!r} is no line of fields and a sum")
        if (right := sum(body + bar) % 256) != int(told):
            raise ProtocolError(f"{raw!r} has sum {told.decode()}, {right:03d} is right")
        head, *fields = body.decode("ascii").split("|")
        return cls(head, tuple(fields))


def status(code: Status, text: str | None = None) -> Line:
    """Say how the station stands."""
    return Line("TS", (str(int(code)), TEXTS[code] if text is None else text))


@dataclass(frozen=True)
class Part:
    """What the handler says of one site at the start of a test."""

    here: bool
    id: str
    log_flag: str
    info: str


def started(line: Line) -> dict[int, Part]:
    """Read a start of test; ProtocolError unless it has as many sites as it says."""
    number, fields = line.fields[:1], line.fields[1:]
    if not number or not number[0].isdigit() or len(fields) != SITE_FIELDS * int(number[0]):
        raise ProtocolError(f"start of test with {len(line.fields)} fields: {'|'.join(line.fields)!r}")
    parts = dict[int, Part]()
    for site in range(1, int(number[0]) + 1):
        enabled, part, _, flag, info = fields[SITE_FIELDS * (site - 1) : SITE_FIELDS * site]
        if enabled not in ("", "1"):
            raise ProtocolError(f"site {site} is neither enabled nor empty: {enabled!r}")
        parts[site] = Part(enabled == "1", part, flag, info)
    return parts


def start(parts: Mapping[int, Part]) -> Line:
    """Write a start of test, as a handler does."""
    fields = [f"{len(parts):02d}"]
    for part in parts.values():
        fields += ["1" if part.here else "", part.id, "-01", part.log_flag, part.info]
    return Line("ST", tuple(fields))


def ended(parts: Mapping[int, Part], bins: Mapping[int, int]) -> Line:
    """Write the end of test; a site without a device keeps the bin that means none."""
    fields = [str(len(parts))]
    for site, part in parts.items():
        fields += [part.id, str(bins.get(site, -1)), part.log_flag, part.info]
    return Line("ET", tuple(fields))


def bins_of(line: Line) -> Sequence[int]:
    """Read the bins of an end of test, by site, as a handler does; ProtocolError if there are none."""
    number, fields = line.fields[:1], line.fields[1:]
    try:
        if len(fields) != 4 * int(number[0]):
            raise ValueError(number[0])
        return [int(text) for text in fields[1::4]]
    except (ValueError, IndexError):
        raise ProtocolError(f"end of test {'|'.join(line.fields)!r}") from None


class Lines:
    """Cuts what arrives into lines."""

    def __init__(self) -> None:
        self._part = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return complete lines without their ends, and what is too long to be one."""
        self._part += data
        *lines, rest = bytes(self._part).replace(b"\r", b"").split(b"\n")
        if len(rest) > LONGEST:
            lines, rest = [*lines, rest], b""
        self._part[:] = rest
        return [line for line in lines if line]
