"""Where the sites of a probe card stand, and in which touchdowns it covers the dies of a wafer."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Place = tuple[int, int]
"""Die index x, y."""
MAX_TOUCHES = 3
NOBODY: Mapping[Place, frozenset[int]] = {}


class CardError(ValueError):
    """A card that cannot be meant, or cannot cover the dies."""


class Landing(NamedTuple):
    """One touchdown of a plan: where the reference stands, and the die under each active site."""

    x: int
    y: int
    sites: Mapping[int, Place]


@dataclass(frozen=True)
class ProbeCard:
    """The offset of each site from the card's reference, in dies."""

    offsets: Mapping[int, Place]
    off_wafer: bool = True
    """Whether sites may land where the wafer has no die."""

    def __post_init__(self) -> None:
        if not self.offsets:
            raise CardError("a card has one site or more")
        if len(set(self.offsets.values())) < len(self.offsets):
            raise CardError(f"card {dict(self.offsets)}: two sites stand on the same die")

    def over(self, x: int, y: int) -> dict[int, Place]:
        """Return the place under each site when the reference stands on die x, y."""
        return {site: (x + dx, y + dy) for site, (dx, dy) in self.offsets.items()}

    def active(self, x: int, y: int, wanted: Collection[Place]) -> dict[int, Place]:
        """Return the sites that stand on one of these dies."""
        return {site: place for site, place in sorted(self.over(x, y).items()) if place in wanted}

    def plan(
        self,
        wanted: Iterable[Place],
        *,
        present: Collection[Place] | None = None,
        touches: Mapping[Place, int] | None = None,
    ) -> tuple[Landing, ...]:
        """Cover each die exactly once, in as few touchdowns as found; CardError if that cannot be.

        `present`: every die of the wafer, the wanted ones if not given. `touches`: landings that pads have
        had already. A die that can be reached only by touching a pad more than three times is left out.
        """
        dies = frozenset(wanted)
        on = frozenset(present or ()) | dies
        before = Counter(touches or {})
        if (grid := self._grid(dies, on, before)) is not None:
            return tuple(grid)
        return tuple(self._greedy(dies, on, before))

    def plan_again(
        self,
        again: Mapping[Place, frozenset[int]],
        *,
        present: Collection[Place],
        touches: Mapping[Place, int],
    ) -> tuple[Landing, ...]:
        """Cover dies once more, each by a site that is not named for it; left out is what cannot be."""
        dies, on = frozenset(again), frozenset(present) | frozenset(again)
        return tuple(self._greedy(dies, on, Counter(touches), barred=again))

    # -- full rectangles
    def _grid(
        self, dies: frozenset[Place], on: frozenset[Place], before: Counter[Place]
    ) -> list[Landing] | None:
        """Return the best grid of card steps; None if the card is no full rectangle, or none is allowed."""
        xs, ys = zip(*self.offsets.values(), strict=True)
        width, height = max(xs) - min(xs) + 1, max(ys) - min(ys) + 1
        if width * height != len(self.offsets) or not dies:
            return None
        low = min(xs), min(ys)
        phases = [
            [self._landing(x, y, dies) for x, y in _snake(dies, (width, height), (ox, oy), low)]
            for ox in range(width)
            for oy in range(height)
        ]
        allowed = [phase for phase in phases if self._allowed(phase, on, before)]
        return min(allowed, key=len) if allowed else None

    def _landing(
        self, x: int, y: int, dies: Collection[Place], barred: Mapping[Place, frozenset[int]] = NOBODY
    ) -> Landing:
        active = self.active(x, y, dies).items()
        return Landing(x, y, {site: die for site, die in active if site not in barred.get(die, ())})

    def _allowed(self, landings: list[Landing], on: frozenset[Place], before: Counter[Place]) -> bool:
        touched = Counter(before)
        for landing in landings:
            under = self.over(landing.x, landing.y).values()
            if not self.off_wafer and not on.issuperset(under):
                return False
            touched.update(on.intersection(under))
        return max(touched.values(), default=0) <= MAX_TOUCHES

    # -- any other card
    def _greedy(
        self,
        dies: frozenset[Place],
        on: frozenset[Place],
        before: Counter[Place],
        barred: Mapping[Place, frozenset[int]] | None = None,
    ) -> list[Landing]:
        left, touched, found = set(dies), Counter(before), list[Landing]()
        while left:
            x, y = min(left, key=lambda place: (place[1], place[0]))
            landing = self._best((x, y), left, on, touched, barred)
            if landing is None:
                left.remove((x, y))
                continue
            touched.update(on.intersection(self.over(landing.x, landing.y).values()))
            left -= set(landing.sites.values())
            found.append(landing)
        return found

    def _best(
        self,
        die: Place,
        left: set[Place],
        on: frozenset[Place],
        touched: Counter[Place],
        barred: Mapping[Place, frozenset[int]] | None,
    ) -> Landing | None:
        """Return the landing that covers most new dies, then touches fewest again, then the lowest site."""
        may_stand = barred is not None
        choices = list[tuple[int, int, int, Landing]]()
        for site, (dx, dy) in sorted(self.offsets.items()):
            landing = self._landing(die[0] - dx, die[1] - dy, left, barred or {})
            if landing.sites.get(site) != die:
                continue
            under = self.over(landing.x, landing.y).values()
            pads = on.intersection(under)
            if not self.off_wafer and len(pads) < len(self.offsets):
                continue
            may_stand = True
            if any(touched[place] >= MAX_TOUCHES for place in pads):
                continue
            again = sum(touched[place] > 0 for place in pads)
            choices.append((-len(landing.sites), again, site, landing))
        if not may_stand:
            raise CardError(
                f"no site of the card may land on die {die[0]}, {die[1]}: others would stand off the wafer"
            )
        return min(choices, key=lambda choice: choice[:3])[3] if choices else None


def _snake(dies: frozenset[Place], step: Place, phase: Place, low: Place) -> Iterator[Place]:
    """Yield the references of a grid that have a die under them: rows up, each the other way round."""
    (width, height), (ox, oy), (low_x, low_y) = step, phase, low
    columns = {((x - ox) // width, (y - oy) // height) for x, y in dies}
    for number, row in enumerate(sorted({row for _, row in columns})):
        line = sorted((column for column, r in columns if r == row), reverse=number % 2 == 1)
        for column in line:
            yield column * width + ox - low_x, row * height + oy - low_y
