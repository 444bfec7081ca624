"""Several wafers seen as one: stacked, and compared die by die."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from station.datalog.maps.axes import Place
from station.datalog.maps.wafer import WaferMap
from station.errors import MapError


class Stacked(Struct, frozen=True):
    """How often the die of each place passed, and was tested, over all wafers."""

    wafers: tuple[str, ...]
    columns: int
    rows: int
    tested: dict[Place, int]
    good: dict[Place, int]

    def yields(self) -> dict[Place, float]:
        """Return the share of good dies at each place."""
        return {place: self.good[place] / count for place, count in self.tested.items()}

    def repeaters(self, least: int) -> list[Place]:
        """Return the places that failed on at least so many wafers: a reticle, a probe card or a prober."""
        return [place for place, count in sorted(self.tested.items()) if count - self.good[place] >= least]


class Compared(Struct, frozen=True):
    """Two maps of one wafer, for example of first pass and retest."""

    same: int
    changed: dict[tuple[int, int], int]
    """Dies by (bin in the first map, bin in the second)."""
    places: tuple[Place, ...]
    """Where the bins differ."""
    only_first: int
    """Dies that were tested in one map only."""
    only_second: int
    recovered: int
    """Bad first, good then."""
    lost: int


def stacked(maps: Sequence[WaferMap]) -> Stacked:
    """Lay wafers of one layout over each other; MapError if their grids differ."""
    if not maps:
        raise MapError("there is no wafer to stack")
    for one in maps:
        if one.size != maps[0].size:
            raise MapError(
                f"wafer {one.wafer} has {one.size} columns and rows, {maps[0].wafer} {maps[0].size}"
            )
    tested, good = Counter[Place](), Counter[Place]()
    for one in maps:
        passing = {bin_.number for bin_ in one.bins if bin_.good}
        for place, die in one.tested.items():
            tested[place] += 1
            good[place] += die.hard in passing
    return Stacked(tuple(one.wafer for one in maps), *maps[0].size, dict(tested), dict(good))


def compared(first: WaferMap, second: WaferMap) -> Compared:
    """Compare two maps of one layout by hard bin."""
    if first.size != second.size:
        raise MapError(f"{first.wafer} has {first.size} columns and rows, {second.wafer} {second.size}")
    ours, theirs = first.tested, second.tested
    both = sorted(ours.keys() & theirs.keys())
    moved = [(place, ours[place].hard, theirs[place].hard) for place in both]
    differ = [(place, one, other) for place, one, other in moved if one != other]
    good = ({b.number for b in first.bins if b.good}, {b.number for b in second.bins if b.good})
    return Compared(
        len(moved) - len(differ),
        dict(Counter((one, other) for _, one, other in differ)),
        tuple(place for place, _, _ in differ),
        len(ours.keys() - theirs.keys()),
        len(theirs.keys() - ours.keys()),
        sum(one not in good[0] and other in good[1] for _, one, other in differ),
        sum(one in good[0] and other not in good[1] for _, one, other in differ),
    )
