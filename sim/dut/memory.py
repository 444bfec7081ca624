"""What a chip keeps without power: NVM pages and OTP bits, and what a power cut does to a write."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

PAGE = 64
BLANK = b"\xff" * PAGE


@dataclass(frozen=True, slots=True)
class PowerCut:
    """The power goes at the `at`-th write (from 1) after arming: before it, within it, or after it."""

    at: int
    kind: Literal["before", "torn", "after"]


class Memory:
    """Sparse: a die that was never written costs two empty collections."""

    def __init__(self, random: Random) -> None:
        self.pages: dict[int, bytes] = {}
        self.bits: set[int] = set()
        self.weak: set[int] = set()
        """Bits that a cut left half programmed: they read at random."""
        self.writes = 0
        """How many writes there were, OTP included."""
        self.lost = False
        """The power went in a write; nothing works until it comes back."""
        self.told: Callable[..., None] = _unheard
        """Told of each change: `page` with its number and data in hexadecimal, `blank`, `bit`, `weak`."""
        self._random = random
        self._cut: PowerCut | None = None
        self._counted_from = 0

    def adopt(self, other: "Memory") -> None:
        """Hold what another chip's memory holds."""
        self.pages, self.bits, self.weak = dict(other.pages), set(other.bits), set(other.weak)

    def arm(self, cut: PowerCut | None) -> None:
        """Plan a power cut, or none; it strikes once."""
        self._cut, self._counted_from = cut, self.writes

    def read(self, page: int, count: int = 1) -> bytes:
        """So many pages; never written ones are blank."""
        return b"".join([self.pages.get(number, BLANK) for number in range(page, page + count)])

    def write(self, page: int, data: bytes) -> bool:
        """Write one page; False if the power went."""
        kind = self._strikes()
        if kind in (None, "after"):
            self.pages[page] = data
        elif kind == "torn":
            self.pages[page] = self._torn(self.read(page), data)
        if kind != "before":
            self.told("page", page, self.pages[page].hex())
        return not self.lost

    def forget(self, page: int, n: int) -> None:
        """Blank some pages, as a cell does that does not hold its charge."""
        for number in range(page, page + n):
            self.pages.pop(number, None)
            self.told("blank", number)

    def read_bit(self, bit: int) -> bool:
        """One OTP bit."""
        return self._random.random() < 0.5 if bit in self.weak else bit in self.bits

    def set_bit(self, bit: int) -> bool:
        """Program one OTP bit; False if the power went. Programming a sound bit again is no write."""
        if bit in self.bits and not self.lost:
            return True
        kind = self._strikes()
        if kind in (None, "after"):
            self.bits.add(bit)
            self.weak.discard(bit)
            self.told("bit", bit)
        elif kind == "torn":
            self.weak.add(bit)
            self.told("weak", bit)
        return not self.lost

    def _strikes(self) -> str | None:
        """What happens to this write; None: nothing."""
        if self.lost:
            return "before"
        self.writes += 1
        if self._cut is None or self.writes - self._counted_from < self._cut.at:
            return None
        kind, self._cut, self.lost = self._cut.kind, None, True
        return kind

    def _torn(self, old: bytes, new: bytes) -> bytes:
        at = self._random.randrange(1, PAGE)
        rest = self._random.choice((old[at:], self._random.randbytes(PAGE - at), BLANK[at:]))
        return self._random.choice((new[:at] + rest, new[:at] + rest, BLANK))


def _unheard(*change: object) -> None:
    """Nobody keeps it."""
