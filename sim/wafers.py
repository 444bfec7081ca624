"""The devices of a lot as dies on wafers: what a simulated prober brings under the probe card."""

from collections.abc import Mapping, Sequence
from math import isqrt

from sim.bench import Bench

RADIUS = 8
MOST_WAFERS = 50
"""What two cassettes hold."""


def disc(radius: int) -> tuple[tuple[int, int], ...]:
    """Return the dies of a round wafer, row by row."""
    span = range(-radius, radius + 1)
    return tuple((x, y) for y in span for x in span if x * x + y * y <= radius * radius)


PLACES = disc(RADIUS)
"""The dies of a full wafer, unless the lot needs larger ones: 197."""


class LotWafers:
    """The wafers of one lot, larger ones if it would not fit; the last may have fewer dies that are tested.

    A device gets its running number at its first landing, site by site, as the station counts it.
    """

    def __init__(self, bench: Bench, offsets: Mapping[int, tuple[int, int]]) -> None:
        """`offsets`: where each site of the card stands, in dies from its reference."""
        self._bench = bench
        radius = max(bench.lot.wafer_radius, isqrt(bench.lot.size // (4 * MOST_WAFERS)))
        while len(places := disc(radius)) * MOST_WAFERS < bench.lot.size:
            radius += 1
        self._places = places
        self._offsets = offsets
        self._numbers = {} if bench.diary is None else dict(bench.diary.numbers)

    @property
    def count(self) -> int:
        """How many wafers it takes."""
        return -(-self._bench.lot.size // len(self._places))

    def name(self, wafer: int) -> str:
        """Return lot and number of a wafer."""
        return f"{self._bench.lot.name}-{wafer:02d}"

    def dies(self, wafer: int) -> Sequence[tuple[int, int]]:
        """Return the places with a device of the lot."""
        first = (wafer - 1) * len(self._places)
        return self._places[: max(0, self._bench.lot.size - first)]

    def land(self, wafer: int, x: int, y: int) -> None:
        """Put the dies under the card into the sockets, and close the contacts."""
        places = set(self.dies(wafer))
        under = {site: (x + dx, y + dy) for site, (dx, dy) in sorted(self._offsets.items())}
        self._bench.put(
            {site: self._number(wafer, *place) for site, place in under.items() if place in places}
        )
        self._bench.land()

    def _number(self, wafer: int, x: int, y: int) -> int:
        place = wafer, x, y
        if place not in self._numbers:
            self._numbers[place] = len(self._numbers) + 1
            self._bench.number(*place)
        number = self._numbers[place]
        self._bench.lot.fates.placed(number, (self.name(wafer), x, y))
        return number

    def lift(self) -> None:
        """Open the contacts."""
        self._bench.lift()

    def mark(self, wafer: int, x: int, y: int, hard_bin: int) -> None:
        """Remember the bin in the prober's map as the place where the device is."""
        if (number := self._numbers.get((wafer, x, y))) is not None:
            self._bench.mark(number, hard_bin)
