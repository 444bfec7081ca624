"""The equipment state of a cell over time, in the classes of SEMI E10, from what its journals say.

The first class that applies, as `docs/reference/figures.md` has them. A person adds the reason.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from station import events
from station.engine.states import State
from station.model import ENGINEERING

LEAST_S = 60.0
CYCLES = 3
"""A lot counts as productive for so many median cycles after a touchdown, and for a minute at least."""


class Class(Enum):
    """The classes."""

    UDT = "UDT"
    """Unscheduled down."""
    SDT = "SDT"
    """Scheduled down."""
    ENG = "ENG"
    """Engineering."""
    PRD = "PRD"
    """Productive."""
    NST = "NST"
    """Not scheduled."""
    SBY = "SBY"
    """Standby."""


@dataclass(frozen=True)
class Interval:
    """A time in one class, in seconds since 1970."""

    start: float
    end: float
    state: Class
    reason: str = ""

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


DOWN = {State.ABORTED.value, State.ABORTING.value}
PRODUCTIVE = {State.RUNNING.value, State.ENDING.value}
REASONS = {
    State.EMPTY.value: "no lot",
    State.LOADED.value: "waiting for start",
    State.READY.value: "waiting for start",
    State.PAUSED.value: "paused",
    State.PAUSING.value: "paused",
    State.CLOSED.value: "no lot",
}


class Cell:
    """What is known of a cell while its events go by."""

    def __init__(self) -> None:
        self.state, self.reason = State.EMPTY.value, ""
        self.engineering = False
        self.unsafe = self.equipment = False
        """Outputs that may be on; a machine that failed since the last touchdown that was sorted."""
        self.touched: float | None = None
        self._cycles: list[float] = []
        """Sorted: it is asked for the median after each event."""
        self._given: tuple[Class, Class, str] | None = None
        """The class in which a person said something, that which he said, and why."""

    def take(self, event: events.Any) -> None:
        """Let one event happen."""
        match event:
            case events.LotLoaded(info=info):
                self.engineering, self.touched, self._cycles = info.mode == ENGINEERING, None, []
            case events.StateChanged(new=new, reason=reason):
                self.state, self.reason, self._given = new, reason, None
            case events.ReasonGiven():
                self._given = self._refined(event)
            case events.TouchdownOpened(at=at):
                self._given = None
                if self.touched is not None:
                    insort(self._cycles, at - self.touched)
                self.touched = at
            case events.Sorted():
                self.equipment = False
            case events.Faulted() | events.Quarantined():
                self.equipment = True
            case events.MadeSafe(unverified=unverified):
                self.unsafe = bool(unverified)
            case _:
                pass

    @property
    def productive_until(self) -> float:
        """Up to when the last touchdown counts, if no other comes."""
        if self.touched is None:
            return 0.0
        typical = _middle(self._cycles) if self._cycles else 0.0
        return self.touched + max(LEAST_S, CYCLES * typical)

    def _refined(self, event: events.ReasonGiven) -> tuple[Class, Class, str]:
        """A person may move standby, and only that; in any other class he gives the reason."""
        found, _ = self.automatic(event.at)
        moved = Class(event.state) if event.state and found is Class.SBY else found
        return found, moved, event.reason

    def at(self, now: float) -> tuple[Class, str]:
        """Return the class at this moment and why, with what a person has said of it."""
        found = self.automatic(now)
        if self._given is not None and self._given[0] is found[0]:
            return self._given[1:]
        return found

    def automatic(self, now: float) -> tuple[Class, str]:
        """Return the class at this moment, and why, by the events of the engine alone."""
        held_by_machine = self.state == State.HELD.value and self.equipment
        if self.unsafe or self.state in DOWN or held_by_machine:
            return Class.UDT, self.reason or "the cell could not be verified as safe"
        if self.state == State.CHECKING.value:
            return Class.SDT, "checks before a lot"
        if self.engineering and self.state not in REASONS:
            return Class.ENG, "engineering lot"
        if self.state in PRODUCTIVE:
            return (Class.PRD, "") if now < self.productive_until else (Class.SBY, "waiting for devices")
        return Class.SBY, self.reason or REASONS.get(self.state, "")


def _middle(ordered: list[float]) -> float:
    count = len(ordered)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def intervals(history: Iterable[events.Any], *, end: float) -> list[Interval]:
    """Cut the time from the first event to `end` into intervals; neighbours differ."""
    return list(_merged(_cut(history, end)))


def _cut(history: Iterable[events.Any], end: float) -> Iterator[Interval]:
    cell, since = Cell(), None
    for event in history:
        if since is not None:
            yield from between(cell, since, min(event.at, end))
        if event.at >= end:
            return
        cell.take(event)
        since = event.at
    if since is not None:
        yield from between(cell, since, end)


def between(cell: Cell, start: float, end: float) -> Iterator[Interval]:
    """Nothing happens in between, but that a productive cell may come to wait."""
    turn = min(max(cell.productive_until, start), end)
    for begins, ends in ((start, turn), (turn, end)):
        if begins < ends:
            yield Interval(begins, ends, *cell.at(begins))


def _merged(pieces: Iterator[Interval]) -> Iterator[Interval]:
    last: Interval | None = None
    for piece in pieces:
        if last is not None and (last.state, last.reason) == (piece.state, piece.reason):
            last = Interval(last.start, piece.end, piece.state, piece.reason)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last
