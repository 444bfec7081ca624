"""A wafer as a grid of dies: notch down, seen from the top, column 0 at the left, row 0 the highest."""

from collections import Counter
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from station.datalog.maps.axes import Place


class DieState(Enum):
    """What a die is to the map."""

    TESTED = "tested"
    UNTESTED = "untested"
    REFERENCE = "reference"
    SKIP = "skip"
    EDGE = "edge"


class Die(Struct, frozen=True):
    """One die: its bins if it was tested."""

    state: DieState = DieState.TESTED
    hard: int = 0
    soft: int = 0
    contacts: int = 1


class MapBin(Struct, frozen=True):
    """What a bin of a map means."""

    number: int
    name: str
    good: bool


class WaferMap(Struct, frozen=True):
    """One wafer; where the grid has no die, there is none in `dies`."""

    wafer: str
    columns: int
    rows: int
    dies: Mapping[Place, Die]
    bins: tuple[MapBin, ...] = ()
    """By number: hard bins, or soft ones in a map of soft bins."""
    lot: str = ""
    product: str = ""
    wafer_mm: float = 0.0
    die_mm: tuple[float, float] = (0.0, 0.0)
    """Width and height; 0 is unknown."""
    references: tuple[Place, ...] = ()
    """Dies by which others find their way, as columns and rows."""

    @property
    def size(self) -> Place:
        """Columns and rows."""
        return self.columns, self.rows

    @property
    def tested(self) -> dict[Place, Die]:
        """The dies that have a bin."""
        return {place: die for place, die in self.dies.items() if die.state is DieState.TESTED}

    @property
    def good(self) -> int:
        """How many dies are in a passing bin."""
        passing = {bin_.number for bin_ in self.bins if bin_.good}
        return sum(die.hard in passing for die in self.tested.values())

    def counts(self) -> Counter[int]:
        """Return how many dies each hard bin has."""
        return Counter(die.hard for die in self.tested.values())


def joined(kinds: tuple[MapBin, ...], found: Mapping[int, object]) -> tuple[MapBin, ...]:
    """Return the bins with one for each number that was found and is not named; those count as bad."""
    named = {bin_.number for bin_ in kinds}
    more = (MapBin(number, "", good=False) for number in found if number not in named)
    return tuple(sorted([*kinds, *more], key=lambda bin_: bin_.number))
