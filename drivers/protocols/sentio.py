"""Lines of MPI's SENTIO prober control: commands as text, replies as `N,id,text`.

Follows sentio-prober-control 26.2, the maker's Python bindings and their tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from drivers.errors import ProtocolError

OK = "OK"
END_OF_ROUTE = 1
"""Status bit: this is the last die, or subsite, of the route."""
LAST_SITE = 2
"""Status bit: this is the last subsite of the die."""

HOME_NOT_SET, CONTACT_NOT_SET = 18, 23
END_OF_ROUTE_PASSED = 11
PENDING, ABORTED, UNKNOWN_ID = 30, 31, 32
FRONT_DOOR, LOADER_DOOR = 60, 61
SLOT_OCCUPIED, SLOT_EMPTY = 64, 65
VACUUM = 68
NO_CASSETTE, BAD_SLOT = 80, 81
NO_WAFER_ON_CHUCK = 86
WAFER_ON_FORK = 150

ERRORS: Mapping[int, str] = {
    1: "internal error",
    2: "execution error",
    3: "no handler for this module",
    4: "invalid command",
    5: "command format",
    6: "parameter",
    7: "number of parameters",
    8: "out of bounds",
    9: "file not found",
    11: "end of the route",
    12: "invalid operation",
    13: "not supported",
    14: "subsite not routable",
    15: "a project is required",
    17: "prealignment",
    18: "home is not set",
    19: "time-out of the prober",
    23: "contact height is not set",
    30: "pending",
    31: "aborted",
    32: "unknown id of a command",
    38: "stepping at the wrong height",
    60: "front door open",
    61: "loader door open",
    64: "slot occupied",
    65: "slot empty",
    66: "probe back door open",
    67: "probe side door open",
    68: "vacuum",
    69: "tray door open",
    80: "no cassette",
    81: "slot number",
    83: "prealigner angle",
    85: "no wafer on the prealigner",
    86: "no wafer on the chuck",
    87: "no wafer in the slot or tray",
    88: "no wafer on the robot",
    90: "no id reader",
    91: "wafer id",
    92: "transfer",
    100: "probe not initialised",
    120: "limit of the overtravel",
    **dict.fromkeys(range(150, 170), "loader"),
    200: "no soak time for this temperature",
}
"""What the common errors mean; the texts of the prober are not published."""


class Version(NamedTuple):
    """The release of the prober's software."""

    major: int
    minor: int
    patch: int = 0

    @property
    def names_heights(self) -> bool:
        """Whether references of heights are words and no letters: from 25.2, which began at 25.1.99."""
        return self >= Version(25, 1, 99)


@dataclass(frozen=True)
class Reply:
    """Prober to station: one for each command."""

    error: int = 0
    status: int = 0
    id: int = 0
    """Number of an asynchronous command, 0 otherwise."""
    text: str = ""

    def encode(self) -> str:
        """Return the line."""
        return f"{self.error | self.status << 10},{self.id},{self.text}"

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read a line; ProtocolError if it is none."""
        number, _, rest = line.partition(",")
        command, comma, text = rest.partition(",")
        if not comma or not number.isdigit() or not command.isdigit():
            raise ProtocolError(f"{line!r} is no reply of SENTIO")
        return cls(int(number) & 0x3FF, int(number) >> 10, int(command), text.strip())


def numbers(text: str, count: int) -> tuple[float, ...]:
    """Return the first `count` numbers of a reply's text; more fields may follow. ProtocolError."""
    fields = text.split(",")[:count]
    try:
        found = tuple(float(field) for field in fields)
    except ValueError:
        raise ProtocolError(f"{text!r}: numbers were expected") from None
    if len(found) < count:
        raise ProtocolError(f"{text!r}: {count} numbers were expected")
    return found


def integers(text: str, count: int) -> tuple[int, ...]:
    """Return the first `count` whole numbers of a reply's text; ProtocolError."""
    found = numbers(text, count)
    if any(value != int(value) for value in found):
        raise ProtocolError(f"{text!r}: whole numbers were expected")
    return tuple(int(value) for value in found)


def height(version: Version) -> str:
    """Return how a height relative to contact is asked for."""
    return "Contact" if version.names_heights else "C"


def cassette(number: int) -> str:
    """Return the name of a cassette station."""
    return f"cas{number}"
