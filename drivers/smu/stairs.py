"""The levels of a sweep: a list of them, or a straight line from one to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

MOST_LEVELS = 2500
"""What the shortest list of the machines here holds."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Each level is named."""

    levels: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many levels there are."""
        return len(self.levels)

    @property
    def last(self) -> float:
        """Where it ends."""
        return self.levels[-1]


@dataclass(frozen=True, slots=True)
class Straight:
    """Levels at equal distances, both ends among them."""

    start: float
    stop: float
    count: int

    @property
    def levels(self) -> tuple[float, ...]:
        """Each of them; the ends are exact."""
        step = (self.stop - self.start) / (self.count - 1)
        return (*(self.start + at * step for at in range(self.count - 1)), self.stop)

    @property
    def last(self) -> float:
        """Where it ends."""
        return self.stop


Stairs: TypeAlias = Listed | Straight


def listed(levels: Sequence[float]) -> Listed:
    """Take levels; ValueError if there are none, or more than a machine keeps."""
    if not 1 <= len(levels) <= MOST_LEVELS:
        raise ValueError(f"a sweep of {len(levels)} levels: 1 to {MOST_LEVELS} are possible")
    return Listed(tuple(levels))


def straight(start: float, stop: float, points: int) -> Straight:
    """Take two ends; ValueError if there are fewer than two points, or more than a machine keeps."""
    if not 2 <= points <= MOST_LEVELS:  # noqa: PLR2004 - both ends
        raise ValueError(f"a line of {points} points: 2 to {MOST_LEVELS} are possible")
    return Straight(start, stop, points)
