"""Cut points: counted in one reference run of a die, then struck one at a time."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Literal

FULL = os.environ.get("HARDBIN_CRASH_MATRIX") == "full"
"""Everything is played, as each night."""

Place = Literal["step", "commit", "key", "file", "word", "claim", "cell"]
"""A step of the die, a commit of the journal, a call of the key store, a file of the ledger, a word to the
station; claims sent to the plant's registry; a write of the chip's memory, which the chip itself counts."""
Moment = Literal["before", "torn", "after"]
Kind = Literal[
    "die power", "link", "contact", "vault", "key store", "station", "disk full", "site power", "registry"
]

PLACES: tuple[Place, ...] = ("step", "commit", "key", "file", "word")
KINDS: tuple[Kind, ...] = (
    "die power",
    "link",
    "contact",
    "vault",
    "key store",
    "station",
    "disk full",
    "site power",
)


@dataclass(frozen=True)
class Cut:
    """What goes, and when: at the `number`-th passing of a place, from 1."""

    kind: Kind
    place: Place
    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.kind} {self.moment} {self.place} {self.number}"


class Points:
    """Counts what passes, and strikes once."""

    def __init__(self, cut: Cut | None, strike: Callable[[Kind], None]) -> None:
        self._cut, self._strike = cut, strike
        self._lock = Lock()
        self.passed: Counter[Place] = Counter()
        self.names: dict[tuple[Place, int], str] = {}

    def before(self, place: Place, name: str) -> int:
        """Something is about to happen; its number."""
        with self._lock:
            self.passed[place] += 1
            number = self.passed[place]
            self.names[place, number] = name
        self._at(place, number, "before")
        return number

    def after(self, place: Place, number: int) -> None:
        """It has happened, and nobody knows of it yet."""
        self._at(place, number, "after")

    def alike(self, place: Place, number: int) -> bool:
        """Whether a step of the die is one of several like it, and neither the first of them nor the last."""
        around = {self.names.get((place, number + by)) for by in (-1, 0, 1)}
        return place == "step" and len(around) == 1

    def _at(self, place: Place, number: int, moment: Moment) -> None:
        cut = self._cut
        if cut is not None and (cut.place, cut.number, cut.moment) == (place, number, moment):
            self._cut = None
            self._strike(cut.kind)
