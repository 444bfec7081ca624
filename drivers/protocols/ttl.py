"""Start, bin and end of test as levels of lines: the parallel port that most handlers have, without I/O.

Common knowledge of the trade. What a handler's maker decides (polarities, times, coding) its user must say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgspec import Struct

Active: TypeAlias = Literal["low", "high"]
Coding: TypeAlias = Literal["one_hot", "binary"]
Sensing: TypeAlias = Literal["pulse", "level"]


class Signals(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The lines of one site, by their names at the digital I/O."""

    sot: str
    """Start of test, from the handler."""
    bins: tuple[str, ...]
    """One line for each hard bin, or the bits of the bin's number, lowest first."""
    eot: str
    """End of test: the bins are valid."""
    busy: str = ""
    retest: str = ""
    """Plunge again instead of sorting."""
    error: str = ""
    """Alarm, from the handler."""

    def __post_init__(self) -> None:
        if not self.bins:
            raise ValueError("bins: at least one line is needed")
        lines = [*self.inputs, *self.outputs]
        if twice := sorted({line for line in lines if lines.count(line) > 1}):
            raise ValueError(f"line {', '.join(twice)} has two signals of one site")

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the handler drives."""
        return tuple(filter(None, (self.sot, self.error)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the station drives."""
        return tuple(filter(None, (*self.bins, self.eot, self.busy, self.retest)))

    def hard_bins(self, coding: Coding) -> frozenset[int]:
        """Return the hard bins that these lines can say; 0 is nobody's."""
        return frozenset(range(1, (1 << len(self.bins)) if coding == "binary" else len(self.bins) + 1))

    def coded(self, hard_bin: int, coding: Coding) -> dict[str, bool]:
        """Return which bin lines are active for a hard bin."""
        if coding == "binary":
            return {line: bool(hard_bin >> bit & 1) for bit, line in enumerate(self.bins)}
        return {line: number == hard_bin for number, line in enumerate(self.bins, 1)}

    def decoded(self, active: Mapping[str, bool], coding: Coding) -> int:
        """Return the hard bin that is said; ValueError unless exactly one is."""
        said = [line for line in self.bins if active[line]]
        if coding == "binary":
            number = sum(1 << bit for bit, line in enumerate(self.bins) if active[line])
        else:
            number = self.bins.index(said[0]) + 1 if len(said) == 1 else 0
        if not number:
            raise ValueError(f"{len(said)} of the bin lines are active")
        return number


@dataclass(frozen=True)
class Started:
    """A start of test, and when its line became active."""

    at: float


@dataclass(frozen=True)
class Spurious:
    """Something on the start line that starts nothing, and why."""

    why: str


@dataclass(frozen=True)
class Stuck:
    """A line that is active for too long to be a start, and how long that is."""

    why: str


class StartLine:
    """Watches one start line by samples: tells a start from bounces, and each start once."""

    def __init__(self, *, debounce_s: float, longest_s: float, sensing: Sensing) -> None:
        """`longest_s`: what a pulse may last; a longer one is a line that is stuck."""
        self._debounce_s = debounce_s
        self._longest_s = longest_s
        self._sensing = sensing
        self._active: bool | None = None
        self._since = 0.0
        self._told = False
        self._stuck = False

    def sample(self, *, active: bool, at: float) -> Started | Spurious | Stuck | None:
        """Take the line's state; return what that means, if it means something new."""
        if active is not self._active:
            return self._changed(active=active, at=at)
        if not active:
            return None
        if not self._told and at - self._since >= self._debounce_s:
            self._told = True
            return Started(self._since)
        if self._sensing == "pulse" and not self._stuck and at - self._since > self._longest_s:
            self._stuck = True
            return Stuck(f"active for more than {self._longest_s:g} s")
        return None

    def _changed(self, *, active: bool, at: float) -> Spurious | None:
        first, short = self._active is None, self._active and not self._told
        self._active, self._since = active, at
        self._told = self._stuck = first and active and self._sensing == "pulse"
        if self._told:
            return Spurious("active already when the station began to look")
        return Spurious(f"active for less than {self._debounce_s:g} s") if short else None


def span(lines: Sequence[Signals]) -> frozenset[str]:
    """Return every line of these sites, inputs and outputs."""
    return frozenset(line for one in lines for line in (*one.inputs, *one.outputs))
