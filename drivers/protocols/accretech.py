"""Words of Accretech (TSK) UF and AP probers on GPIB: letters, and status bytes that say what has happened.

Follows SweepMe instrument-drivers, UF series, for commands and status bytes; the two widths of coordinates
follow the QCoDeS driver of the UF200R. How bins are coded is nobody's public knowledge: see `BinProfile`.
"""

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Literal, NamedTuple, Self, TypeAlias

from msgspec import Struct

from drivers.errors import ProtocolError

RQS = 0x40
ENDS = b"\r\n"
FORMAT, NOT_NOW, TIME_OUT, RECEIVE, TRANSMIT = "O0660", "O0661", "O0667", "S0650", "O0651"
ERRORS: Mapping[str, str] = {
    FORMAT: "bad format",
    NOT_NOW: "cannot execute now",
    TIME_OUT: "GPIB time-out",
    RECEIVE: "driver error on receive",
    TRANSMIT: "driver error on transmit",
}
"""What the prober says of a command; all other codes are of the machine."""


class Stb(IntEnum):
    """Status bytes that the driver knows; a poll without RQS is nobody's."""

    XY_DONE = 65
    DIE_DONE = 66
    UP = 67
    DOWN = 68
    FIRST_DIE = 70
    UNLOADED = 71
    OUTSIDE = 74
    ERROR = 76
    WAFER_END = 81
    CASSETTE_END = 82
    REJECTED = 84
    WARNING = 87
    CLEANED = 89
    STOPPED = 90
    STARTED = 91
    TEMPERATURE_TAKEN = 93
    LOT_END = 94
    NORMAL = 98
    ABNORMAL = 99
    LOOP_BACK = 100
    CONTINUOUS_FAIL = 117
    ALARM_RESET = 119
    ALIGNED = 113


class Place(NamedTuple):
    """Where a reply says that the chuck is, and how wide its coordinates are written."""

    x: int
    y: int
    subsite: int
    width: int

    @classmethod
    def decode(cls, reply: str, letters: str) -> Self:
        """Read `QY005X-03` or `QSY001X002S003`; ProtocolError."""
        found = re.fullmatch(rf"{letters}Y(-?\d+)X(-?\d+)(?:S(\d+))?", reply)
        if found is None or len(found[1]) != len(found[2]):
            raise ProtocolError(f"{reply!r} is no answer to {letters}")
        return cls(int(found[2]), int(found[1]), int(found[3] or 0), len(found[1]))


def place(x: int, y: int, width: int) -> str:
    """Return coordinates as a command has them; a minus sign takes one of the characters. ValueError."""
    texts = f"{y:0{width}d}", f"{x:0{width}d}"
    if any(len(text) > width for text in texts):
        raise ValueError(f"die {x}, {y}: coordinates have {width} characters on this prober")
    return "Y{}X{}".format(*texts)


class ChuckState(NamedTuple):
    """What `S1` tells."""

    in_contact: bool
    occupied: bool
    alarm: bool

    def encode(self) -> str:
        """Return the reply; the letters between the flags are not documented."""
        return f"S1Z{self.in_contact:d}W{self.occupied:d}A{self.alarm:d}"

    @classmethod
    def decode(cls, reply: str) -> Self:
        """Read the reply; ProtocolError."""
        flags = reply[3:8:2]
        if not reply.startswith("S1") or len(reply) != 8 or not set(flags) <= {"0", "1"}:
            raise ProtocolError(f"{reply!r} is no answer to S1")
        return cls(*(flag == "1" for flag in flags))


def slots(reply: str) -> Mapping[int, str]:
    """Return the state of each slot, by cassette: 25 characters, empty if there is none. ProtocolError."""
    found = re.fullmatch(r"w(\d)(\d{25})\.(\d)(\d{25})", reply)
    if found is None:
        raise ProtocolError(f"{reply!r} is no answer to w")
    return {
        number: slots if cassette != "0" else ""
        for number, cassette, slots in ((1, found[1], found[2]), (2, found[3], found[4]))
    }


def temperature(celsius: float) -> str:
    """Return the command that sets the chuck; ValueError outside of -55 to 200 degrees."""
    if not -55 <= celsius <= 200:
        raise ValueError(f"{celsius:g} °C: -55 to 200 are allowed")
    return f"h{round(celsius * 10):04d}"


def temperatures(reply: str) -> tuple[float, float]:
    """Return the temperature now and the set point; ProtocolError, also if the chuck is not controlled."""
    found = re.fullmatch(r"f([-\d]\d{3})([-\d]\d{3})", reply)
    if found is None:
        raise ProtocolError(f"{reply!r} is no temperature of a chuck that is controlled")
    return int(found[1]) / 10, int(found[2]) / 10


def on_wafer(reply: str) -> frozenset[int]:
    """Return the sites that stand on the wafer: four a character, low nibble, bit 0 first. ProtocolError."""
    if not reply.startswith("O"):
        raise ProtocolError(f"{reply!r} is no answer to O")
    return frozenset(
        4 * group + bit + 1 for group, c in enumerate(reply[1:]) for bit in range(4) if ord(c) >> bit & 1
    )


def control_map(text: str) -> tuple[tuple[int, int], ...]:
    """Return the dies to be probed, x and y, of a control map (`.MDF`); ProtocolError if it has none."""
    section = text.partition("[DIEINFO]")[2].partition("\n[")[0]
    found = re.findall(r"^PROB=\s*(-?\d+)\s*,\s*(-?\d+)", section, re.MULTILINE)
    if not found:
        raise ProtocolError("no control map: [DIEINFO] with PROB=x,y is needed")
    return tuple((int(x), int(y)) for x, y in found)


Encoding: TypeAlias = Literal["decimal", "hex", "base"]


class BinProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How bins are coded on one prober, filled in from its interface manual. Nothing of it is shipped."""

    command: str
    """The letters before the codes."""
    done_stb: tuple[int, ...]
    """Status bytes that end the command."""
    site_group: int = 4
    """Sites a character of the bits of verdicts."""
    verdict_bits: Literal["none", "set_is_pass", "set_is_fail"] = "none"
    """Whether a part comes first that has a bit for each site, and what a set bit says."""
    passing: tuple[int, ...] = (1,)
    """Hard bins that pass."""
    bin_width: int = 1
    """Characters a site."""
    bin_encoding: Encoding = "decimal"
    base: int = 0x40
    """Encoding `base`: the character of bin 0."""
    order: Literal["first_site_first", "last_site_first"] = "first_site_first"
    filler: str = "@"
    """The code of a site without a result, `bin_width` characters."""
    chuck: Literal["up", "down"] = "up"
    """Where the chuck must be when the bins are told."""
    counts_for_next: bool = False
    """Whether the bins also move the prober to its next die."""

    def __post_init__(self) -> None:
        if (fault := next(self._faults(), None)) is not None:
            raise ValueError(fault)

    def _faults(self) -> Iterator[str]:
        if not self.command or not self.command.isascii():
            yield f"command {self.command!r}: letters are needed"
        if not self.done_stb or any(not RQS <= stb < 2 * RQS for stb in self.done_stb):
            yield f"done_stb {list(self.done_stb)}: one or more of 64 to 127 are allowed"
        for field, low, high in (("site_group", 1, 6), ("bin_width", 1, 4), ("base", 0x20, 0x7E)):
            if not low <= (value := getattr(self, field)) <= high:
                yield f"{field} {value}: {low} to {high} is allowed"
        if len(self.filler) != self.bin_width:
            yield f"filler {self.filler!r}: {self.bin_width} characters are needed, as bin_width says"
        if self.bin_encoding == "base" and self.bin_width != 1:
            yield f"bin_width {self.bin_width}: the encoding base has one character"
        if self.counts_for_next and self.chuck == "up":
            yield "counts_for_next: needs chuck = down, else the chuck would move in contact"

    @property
    def bins(self) -> frozenset[int]:
        """The hard bins that can be told; the one whose code is the filler cannot."""
        most = {"decimal": 10**self.bin_width, "hex": 16**self.bin_width, "base": 0x7F - self.base}
        numbers = range(most[self.bin_encoding])
        return frozenset(number for number in numbers if self._code(number) != self.filler)

    def encode(self, bins: Mapping[int, int], sites: int) -> str:
        """Return the command for all sites of the card; those without a bin get the filler."""
        order = self._order(sites)
        codes = [self._code(bins[site]) if site in bins else self.filler for site in order]
        return self.command + "".join(self._passed(bins, order)) + "".join(codes)

    def decode(self, text: str, sites: int) -> Mapping[int, int]:
        """Read the bins by site, as the prober does; ProtocolError."""
        groups = len(list(self._passed({}, self._order(sites))))
        body = text.removeprefix(self.command)[groups:]
        if len(body) != sites * self.bin_width:
            raise ProtocolError(f"{text!r} has not {sites} bins")
        codes = [body[at : at + self.bin_width] for at in range(0, len(body), self.bin_width)]
        by_site = zip(self._order(sites), codes, strict=True)
        return {site: self._number(code) for site, code in by_site if code != self.filler}

    def _order(self, sites: int) -> list[int]:
        first_up = self.order == "first_site_first"
        return list(range(1, sites + 1)) if first_up else list(range(sites, 0, -1))

    def _passed(self, bins: Mapping[int, int], order: list[int]) -> Iterator[str]:
        kinds = {"set_is_pass": True, "set_is_fail": False}
        if (good := kinds.get(self.verdict_bits)) is None:
            return
        for at in range(0, len(order), self.site_group):
            group = order[at : at + self.site_group]
            told = [site in bins and (bins[site] in self.passing) is good for site in group]
            yield chr(0x40 | sum(1 << bit for bit, is_set in enumerate(told) if is_set))

    def _code(self, number: int) -> str:
        match self.bin_encoding:
            case "decimal":
                return f"{number:0{self.bin_width}d}"
            case "hex":
                return f"{number:0{self.bin_width}X}"
            case "base":
                return chr(self.base + number)

    def _number(self, code: str) -> int:
        try:
            match self.bin_encoding:
                case "decimal":
                    return int(code)
                case "hex":
                    return int(code, 16)
                case "base":
                    return ord(code) - self.base
        except ValueError:
            raise ProtocolError(f"{code!r} is no bin") from None
