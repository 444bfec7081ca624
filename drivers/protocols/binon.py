"""Messages of the handlers that speak BINON over GPIB, and the dialects in which they speak it.

No maker's text is public: the messages follow what tester-side programs say to a Rasco SO1000, to a four-site
system-level test handler and to a pick-and-place sorter. What differs between makers is a field of `Profile`.
"""

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Self

import msgspec
from msgspec import Struct

from drivers.errors import ProtocolError

RQS = 0x40
LINE_ENDS = ("\r\n", "\n", "\r", "")


class StartupStep(Struct, frozen=True, forbid_unknown_fields=True):
    """One exchange at connect: send and expect; or send, wait for a service request, read and answer."""

    send: str
    expect: str = ""
    """What the handler replies; empty: it replies nothing."""
    stb: int | None = None
    """Status byte of the service request that follows; it asks for the empty-socket check."""
    read: str = ""
    answer: str = ""


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One dialect. A field that cannot be meant as written is refused by a ValueError that names it."""

    address: int = 1
    """GPIB primary address as delivered; the port in the station's configuration is what counts."""
    clear_at_connect: bool = True
    eol: str = "\r\n"
    eol_ack: str | None = None
    """Line end of the echo's answers and of the run query; None: as `eol`."""
    startup: tuple[StartupStep, ...] = ()
    ready_stb: tuple[int, ...] = (0x41,)
    empty_check_stb: int | None = None
    empty_check_text: str = ""
    empty_check_answer: str = ""
    sites_query: str = "FULLSITES?"
    sites_prefix: str = "Fullsites "
    mask_digits: int = 8
    ids_query: str | None = None
    ids_prefix: str = ""
    pause: str | None = None
    resume: str | None = None
    bin_prefix: str = "BINON:"
    bin_positions: int = 32
    bin_group: int = 8
    """Positions between two separators; 0: no separators."""
    bin_separator: str = ","
    bin_tail: str = ""
    bin_filler: str = "0"
    bin_alphabet: str = "0123456789ABCDEF"
    """The character of hard bin n is number n, counted from 0; there is no hard bin 0."""
    bin_width: int = 1
    """Characters of a code; above 1 it is the bin's number in decimal, zero padded."""
    retest_code: str | None = None
    echo: Literal["exact", "none"] = "exact"
    echo_prefix: str = "ECHO:"
    echo_ok: str = "ECHOOK"
    echo_bad: str = "ECHONG"
    resend: int = 2
    lot_query: str | None = None
    lot_running: str | None = None
    lot_ended: str | None = None
    run_query: str | None = None
    reply_timeout_s: float = 10.0
    srq_poll_s: float = 1.0
    retry_gap_s: float = 1.0
    settle_s: float = 0.0

    def __post_init__(self) -> None:
        if (fault := next(_faults(self), None)) is not None:
            raise ValueError(fault)

    @property
    def codes(self) -> dict[int, str]:
        """The code of each hard bin; the codes that mean "empty" and "again" are nobody's."""
        if self.bin_width == 1:
            numbered = dict(enumerate(self.bin_alphabet))
        else:
            numbered = {number: f"{number:0{self.bin_width}d}" for number in range(10**self.bin_width)}
        taken = {self.bin_filler, self.retest_code}
        return {number: code for number, code in numbered.items() if number and code not in taken}

    @property
    def most_sites(self) -> int:
        """The highest site that both the mask and the bin line can name."""
        return min(self.bin_positions, 4 * self.mask_digits)

    def line(self, text: str) -> bytes:
        """Return a command as it goes over the wire."""
        return (text + self.eol).encode("ascii")

    def answer(self, text: str) -> bytes:
        """Return an answer to an echo, or the run query, as it goes over the wire."""
        return (text + (self.eol if self.eol_ack is None else self.eol_ack)).encode("ascii")


def check_sites(profile: Profile, sites: frozenset[int]) -> None:
    """Refuse sites that the messages of this dialect cannot name; ValueError."""
    if not sites or min(sites) < 1 or max(sites) > profile.most_sites:
        raise ValueError(f"sites {sorted(sites)}: one or more of 1 to {profile.most_sites} are allowed here")


def _faults(profile: Profile) -> Iterator[str]:
    yield from _text_faults(profile)
    yield from _number_faults(profile)
    yield from _service_faults(profile)
    yield from _code_faults(profile)
    yield from _pair_faults(profile)


def _text_faults(profile: Profile) -> Iterator[str]:
    for field in profile.__struct_fields__:
        value = getattr(profile, field)
        if field in ("eol", "eol_ack"):
            if value is not None and value not in LINE_ENDS:
                yield f"{field} {value!r}: CR LF, LF, CR or nothing is allowed"
        elif isinstance(value, str) and not (value.isascii() and value.isprintable()):
            yield f"{field} {value!r}: only printable ASCII is allowed"
    for field in ("sites_query", "bin_prefix", "echo_ok", "echo_bad"):
        if not getattr(profile, field):
            yield f"{field} is empty: a text is needed"


def _number_faults(profile: Profile) -> Iterator[str]:
    bounds: dict[str, tuple[float, float]] = {
        "address": (0, 30),
        "mask_digits": (1, 64),
        "bin_positions": (1, 256),
        "bin_group": (0, profile.bin_positions),
        "bin_width": (1, 3),
        "resend": (0, 9),
        "reply_timeout_s": (0.01, 60),
        "srq_poll_s": (0.01, 60),
        "retry_gap_s": (1, 60),
        "settle_s": (0, 10),
    }
    for field, (low, high) in bounds.items():
        if not low <= (value := getattr(profile, field)) <= high:
            yield f"{field} {value:g}: {low:g} to {high:g} is allowed"
    if profile.bin_group and profile.bin_positions % profile.bin_group:
        yield f"bin_group {profile.bin_group}: a divisor of bin_positions {profile.bin_positions}, or 0"


def _service_faults(profile: Profile) -> Iterator[str]:
    if not profile.ready_stb:
        yield "ready_stb is empty: at least one status byte is needed"
    named = [("ready_stb", stb) for stb in profile.ready_stb]
    named += [("startup", step.stb) for step in profile.startup if step.stb is not None]
    if profile.empty_check_stb is not None:
        named.append(("empty_check_stb", profile.empty_check_stb))
    for field, stb in named:
        if not (0 <= stb <= 0xFF and stb & RQS):
            yield f"{field} {stb:#04x}: one byte with bit 0x40 set is allowed"
    if profile.empty_check_stb in profile.ready_stb:
        yield f"empty_check_stb {profile.empty_check_stb:#04x}: is a ready_stb too; a byte means one thing"


def _code_faults(profile: Profile) -> Iterator[str]:
    for field in ("bin_filler", "retest_code"):
        code = getattr(profile, field)
        if code is not None and len(code) != profile.bin_width:
            yield f"{field} {code!r}: {profile.bin_width} characters are allowed, as bin_width says"
    if profile.bin_filler == profile.retest_code:
        yield f"retest_code {profile.retest_code!r}: is bin_filler too; a code means one thing"
    if profile.bin_width > 1:
        return
    alphabet = profile.bin_alphabet
    for number, code in enumerate(alphabet):
        if (first := alphabet.index(code)) != number:
            yield f"bin_alphabet {alphabet!r}: hard bins {first} and {number} share {code!r}; allowed is once"
        for field in ("bin_filler", "retest_code"):
            if number and code == getattr(profile, field):
                yield f"bin_alphabet {alphabet!r}: {code!r} of hard bin {number} is {field} too; leave it out"
    if not profile.codes:
        yield f"bin_alphabet {alphabet!r}: no hard bin is left; two or more characters are needed"


def _pair_faults(profile: Profile) -> Iterator[str]:
    together = (
        ("ids_query", ("ids_prefix",)),
        ("empty_check_stb", ("empty_check_text", "empty_check_answer")),
        ("lot_query", ("lot_running", "lot_ended")),
        ("pause", ("resume",)),
    )
    for field, others in together:
        for other in others:
            if (getattr(profile, field) is None) == bool(getattr(profile, other)):
                yield f"{field} and {other}: both or neither are allowed"
    if profile.lot_query is not None and profile.lot_running == profile.lot_ended:
        yield f"lot_ended {profile.lot_ended!r}: is lot_running too; an answer means one thing"


@cache
def _shipped() -> Mapping[str, Mapping[str, Any]]:
    text = files("drivers.handler").joinpath("profiles.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, dict[str, Any]])


def shipped_profiles() -> tuple[str, ...]:
    """The names of the dialects that come with hardbin."""
    return tuple(_shipped())


def profile_of(name: str, fields: Mapping[str, Any] | None = None) -> Profile:
    """Return the shipped dialect `name`, or the defaults if empty, with `fields` put over it; ValueError."""
    if name and name not in _shipped():
        raise ValueError(f"profile {name!r}: one of {', '.join(shipped_profiles())} is allowed, or none")
    for field in fields or ():
        if field not in Profile.__struct_fields__:
            raise ValueError(f"field {field!r}: one of {', '.join(Profile.__struct_fields__)} is allowed")
    table = dict(_shipped()[name]) if name else {}
    return msgspec.convert(table | dict(fields or {}), Profile)


@dataclass(frozen=True)
class SitesReply:
    """Handler to station: the sites that hold a part."""

    sites: frozenset[int]

    def encode(self, profile: Profile) -> bytes:
        """Return the reply to the sites query."""
        mask = sum(1 << (site - 1) for site in self.sites)
        return profile.line(f"{profile.sites_prefix}{mask:0{profile.mask_digits}X}")

    @classmethod
    def decode(cls, reply: bytes, profile: Profile) -> Self:
        """Read the reply; ProtocolError if it is cut short or anything else."""
        text = _text(reply)
        start = len(profile.sites_prefix)
        digits = text[start:]
        if text[:start].lower() != profile.sites_prefix.lower() or len(digits) != profile.mask_digits:
            raise ProtocolError(f"{reply!r} is no answer to {profile.sites_query}")
        if not set(digits) <= set(string.hexdigits):
            raise ProtocolError(f"{reply!r} is no mask of sites")
        mask = int(digits, 16)
        return cls(frozenset(bit + 1 for bit in range(mask.bit_length()) if mask >> bit & 1))


@dataclass(frozen=True)
class IdsReply:
    """Handler to station: the ids of the parts, by site; a site without one is left out."""

    ids: Mapping[int, str]

    def encode(self, profile: Profile) -> bytes:
        """Return the reply to the ids query: one field a site, each ended by a comma."""
        last = max(self.ids, default=0)
        fields = "".join(f"{self.ids.get(site, '')}," for site in range(1, last + 1))
        return profile.line(profile.ids_prefix + fields)

    @classmethod
    def decode(cls, reply: bytes, profile: Profile) -> Self:
        """Read the reply; ProtocolError if it has not the right prefix."""
        text = _text(reply)
        if not text.startswith(profile.ids_prefix):
            raise ProtocolError(f"{reply!r} is no answer to {profile.ids_query}")
        fields = text.removeprefix(profile.ids_prefix).split(",")
        return cls({site: field.strip() for site, field in enumerate(fields, 1) if field.strip()})


@dataclass(frozen=True)
class BinLine:
    """Station to handler: the code of each site that holds a part; the rightmost position is site 1."""

    codes: Mapping[int, str]

    def body(self, profile: Profile) -> str:
        """Return the positions with their separators: what the handler must echo."""
        positions = [self.codes.get(site, profile.bin_filler) for site in range(profile.bin_positions, 0, -1)]
        group = profile.bin_group or profile.bin_positions
        groups = ("".join(positions[at : at + group]) for at in range(0, len(positions), group))
        return profile.bin_separator.join(groups)

    def encode(self, profile: Profile) -> bytes:
        """Return the command."""
        return profile.line(profile.bin_prefix + self.body(profile) + profile.bin_tail)

    def echo(self, profile: Profile) -> bytes:
        """Return what the handler repeats before the bins are confirmed."""
        return profile.line(profile.echo_prefix + self.body(profile) + profile.bin_tail)

    def echoed_by(self, reply: bytes, profile: Profile) -> bool:
        """Tell whether prefix and positions came back byte by byte; tail and line end are free."""
        exact = profile.echo_prefix + self.body(profile)
        text = _text(reply)
        tail = text[len(exact) :]
        more = tail[:1].isalnum() or (bool(profile.bin_separator) and tail.startswith(profile.bin_separator))
        return text.startswith(exact) and (tail == profile.bin_tail or not more)

    @classmethod
    def decode(cls, message: str, profile: Profile) -> Self:
        """Read the command as a handler does; ProtocolError if its layout is another one."""
        body = message.removeprefix(profile.bin_prefix).removesuffix(profile.bin_tail)
        width, group = profile.bin_width, profile.bin_group or profile.bin_positions
        groups = body.split(profile.bin_separator) if group < profile.bin_positions else [body]
        if not message.startswith(profile.bin_prefix) or {len(part) for part in groups} != {group * width}:
            raise ProtocolError(f"{message!r} is no bin line")
        joined = "".join(groups)
        codes = [joined[at : at + width] for at in range(0, len(joined), width)]
        if len(codes) != profile.bin_positions:
            raise ProtocolError(f"{message!r} is no bin line")
        by_site = zip(range(profile.bin_positions, 0, -1), codes, strict=True)
        return cls({site: code for site, code in by_site if code != profile.bin_filler})


def _text(reply: bytes) -> str:
    """Return a reply as text without its line end; what is not ASCII stays visible and matches nothing."""
    return reply.decode("ascii", "backslashreplace").rstrip("\r\n \0")
