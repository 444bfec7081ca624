"""The devices of a lot as dies on wafers: what a simulated prober brings under the probe card."""

from collections.abc import Mapping, Sequence

from sim.bench import Bench

RADIUS = 8
PLACES = tuple(
    (x, y)
    for y in range(-RADIUS, RADIUS + 1)
    for x in range(-RADIUS, RADIUS + 1)
    if x * x + y * y <= RADIUS * RADIUS
)
"""The dies of a full wafer, row by row: 197."""
MOST_WAFERS = 50


class LotWafers:
    """The wafers of one lot; the last one may have fewer dies that are to be tested.

    A device gets its running number at its first landing, site by site, as the station counts it.
    """

    def __init__(self, bench: Bench, offsets: Mapping[int, tuple[int, int]]) -> None:
        """`offsets`: where each site of the card stands, in dies from its reference."""
        self._bench = bench
        self._offsets = offsets
        self._numbers: dict[tuple[int, int, int], int] = {}

    @property
    def count(self) -> int:
        """How many wafers it takes."""
        return -(-self._bench.lot.size // len(PLACES))

    def name(self, wafer: int) -> str:
        """Return lot and number of a wafer."""
        return f"{self._bench.lot.name}-{wafer:02d}"

    def dies(self, wafer: int) -> Sequence[tuple[int, int]]:
        """Return the places with a device of the lot."""
        first = (wafer - 1) * len(PLACES)
        return PLACES[: max(0, self._bench.lot.size - first)]

    def land(self, wafer: int, x: int, y: int) -> None:
        """Put the dies under the card into the sockets, and close the contacts."""
        places = set(self.dies(wafer))
        under = {site: (x + dx, y + dy) for site, (dx, dy) in sorted(self._offsets.items())}
        self._bench.put(
            {site: self._number(wafer, *place) for site, place in under.items() if place in places}
        )
        self._bench.land()

    def _number(self, wafer: int, x: int, y: int) -> int:
        return self._numbers.setdefault((wafer, x, y), len(self._numbers) + 1)

    def lift(self) -> None:
        """Open the contacts."""
        self._bench.lift()

    def mark(self, wafer: int, x: int, y: int, hard_bin: int) -> None:
        """Remember the bin in the prober's map as the place where the device is."""
        if (number := self._numbers.get((wafer, x, y))) is not None:
            self._bench.mark(number, hard_bin)
