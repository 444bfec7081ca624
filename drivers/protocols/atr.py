"""A chip card's answer to reset, and the selection of protocol and rate: ISO/IEC 7816-3, chapters 8 and 9."""

from dataclasses import dataclass
from functools import cache, reduce
from operator import xor

MAX_LENGTH = 33
DEFAULT_FI_DI = 0x11
"""F 372, D 1: what holds until a PPS agrees on something else."""

_F = {
    0: 372,
    1: 372,
    2: 558,
    3: 744,
    4: 1116,
    5: 1488,
    6: 1860,
    9: 512,
    10: 768,
    11: 1024,
    12: 1536,
    13: 2048,
}
_D = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64, 8: 12, 9: 20}


class AtrError(ValueError):
    """An answer to reset, or to a PPS, that the standard does not allow."""


@dataclass(frozen=True, slots=True)
class Atr:
    """An answer to reset, every byte that it leaves out filled in with its default."""

    raw: bytes
    inverse: bool = False
    protocols: tuple[int, ...] = (0,)
    """T=0 and T=1 in the order of the offer; the first holds where no PPS is made."""
    fi_di: int = DEFAULT_FI_DI
    """The fastest rate that the card takes, as in TA1."""
    guard: int = 0
    """Extra guard time N in etu; 255 is the least that the protocol allows."""
    specific: int | None = None
    """TA2: protocol in bits 0-3, bit 4 for the default rate; None when the card negotiates."""
    wi: int = 10
    ifsc: int = 32
    bwi: int = 4
    cwi: int = 13
    crc: bool = False
    clock_stop: int = 0
    historical: bytes = b""

    @property
    def protocol(self) -> int:
        """The protocol that holds without PPS."""
        return self.protocols[0] if self.specific is None else self.specific & 0x0F

    @property
    def rate(self) -> int:
        """Return FiDi that holds without PPS."""
        agreed = self.specific is not None and not self.specific & 0x10
        return self.fi_di if agreed else DEFAULT_FI_DI


def parse(raw: bytes) -> Atr:
    """Read an answer to reset; AtrError says what is wrong with it."""
    if not 2 <= len(raw) <= MAX_LENGTH:
        raise AtrError(f"ATR of {len(raw)} bytes; 2 to {MAX_LENGTH} are allowed")
    if raw[0] not in (0x3B, 0x3F):
        raise AtrError(f"ATR begins with {raw[0]:02X}; 3B and 3F are allowed")
    try:
        groups, at = _groups(raw)
    except IndexError:
        raise AtrError(f"ATR ends within its interface bytes: {raw.hex(' ')}") from None
    end = at + (raw[1] & 0x0F)
    offered = [group.protocol for group in groups[1:]] or [0]
    checked = any(offered)
    if len(raw) != end + checked:
        raise AtrError(f"ATR of {len(raw)} bytes announces {end + checked}: {raw.hex(' ')}")
    if checked and reduce(xor, raw[1:]):
        raise AtrError(f"ATR with a wrong TCK: {raw.hex(' ')}")
    atr = _interpreted(raw, groups, offered, raw[at:end])
    etu_s(atr.fi_di, 1.0)  # refuses a reserved TA1 here, and not in the middle of an exchange
    return atr


@dataclass(frozen=True, slots=True)
class _Group:
    """TAi, TBi, TCi, and the protocol that the TD before them names."""

    protocol: int
    a: int | None
    b: int | None
    c: int | None


_NONE = _Group(-1, None, None, None)


def _groups(raw: bytes) -> tuple[list[_Group], int]:
    groups: list[_Group] = []
    announced, protocol, at = raw[1] >> 4, -1, 2
    while True:
        values: list[int | None] = [None] * 4
        for bit in range(4):
            if announced & 1 << bit:
                values[bit] = raw[at]
                at += 1
        groups.append(_Group(protocol, *values[:3]))
        if (following := values[3]) is None:
            return groups, at
        announced, protocol = following >> 4, following & 0x0F


def _interpreted(raw: bytes, groups: list[_Group], offered: list[int], historical: bytes) -> Atr:
    general, second = groups[0], groups[1] if len(groups) > 1 else _NONE
    block = next((group for group in groups[2:] if group.protocol == 1), _NONE)
    card = next((group for group in groups[2:] if group.protocol == 15), _NONE)
    waiting = 0x4D if block.b is None else block.b
    return Atr(
        raw,
        inverse=raw[0] == 0x3F,
        protocols=tuple(dict.fromkeys(protocol for protocol in offered if protocol != 15)) or (0,),
        fi_di=_or(general.a, DEFAULT_FI_DI),
        guard=_or(general.c, 0),
        specific=second.a,
        wi=_or(second.c, 10),
        ifsc=_or(block.a, 32),
        bwi=waiting >> 4,
        cwi=waiting & 0x0F,
        crc=bool(_or(block.c, 0) & 1),
        clock_stop=_or(card.a, 0) >> 6,
        historical=historical,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


@cache
def etu_s(fi_di: int, clock_hz: float) -> float:
    """Return the length of one bit, F / (D f); AtrError where the code is reserved."""
    try:
        return _F[fi_di >> 4] / (_D[fi_di & 0x0F] * clock_hz)
    except KeyError:
        raise AtrError(f"FiDi {fi_di:02X} is reserved") from None


@cache
def block_waiting_s(bwi: int, fi_di: int, clock_hz: float) -> float:
    """Return how long a card may take before its first character of a T=1 block."""
    return 11 * etu_s(fi_di, clock_hz) + (1 << bwi) * 960 * 372 / clock_hz


@cache
def work_waiting_s(wi: int, fi_di: int, clock_hz: float) -> float:
    """Return how long a card may take before each character of T=0: WI x 960 x F / f."""
    return wi * 960 * _F[fi_di >> 4] / clock_hz


def pps_request(protocol: int, fi_di: int | None = None) -> bytes:
    """Build a protocol and parameter selection; without `fi_di` the default rate stays."""
    head = bytes((0xFF, protocol)) if fi_di is None else bytes((0xFF, 0x10 | protocol, fi_di))
    return head + bytes((reduce(xor, head),))


def pps_agreed(request: bytes, answer: bytes) -> int:
    """Return the FiDi that holds after the card's answer; AtrError if it agrees to nothing that was asked."""
    if not answer or reduce(xor, answer):
        raise AtrError(f"PPS answered by {answer.hex(' ') or 'nothing'}")
    if answer == request:
        return request[2] if request[1] & 0x10 else DEFAULT_FI_DI
    if answer[:2] == bytes((0xFF, request[1] & 0x0F)) and len(answer) == 3:
        return DEFAULT_FI_DI  # the card leaves PPS1 out: it keeps the default rate
    raise AtrError(f"PPS {request.hex(' ')} answered by {answer.hex(' ')}")
