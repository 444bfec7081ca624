"""Which dies of the wafer on the chuck somebody means who asks for a second pass. Pure."""

from collections.abc import Callable, Mapping

from station import commands
from station.model import BinKind, DeviceResult

Place = tuple[int, int]
EDGE = 0.85
"""A die further out than this share of the outermost one's distance is at the edge."""


def chosen(
    retest: commands.Retest, dies: Mapping[Place, DeviceResult], secured: Callable[[int], bool]
) -> frozenset[Place]:
    """Return the dies that are meant: rejects unless bins are named, and none that has its keys."""
    area = _area(retest.area, dies)
    return frozenset(
        place
        for place, last in dies.items()
        if (last.bin.number in retest.bins if retest.bins else last.bin.kind is not BinKind.PASS)
        if not retest.sites or last.site in retest.sites
        if place in area
        if not secured(last.part)
    )


def _area(area: str, dies: Mapping[Place, DeviceResult]) -> frozenset[Place]:
    """Return the dies in the centre or at the edge, of those that were tested."""
    if not area or not dies:
        return frozenset(dies)
    columns, rows = {x for x, _ in dies}, {y for _, y in dies}
    x, y = (min(columns) + max(columns)) / 2, (min(rows) + max(rows)) / 2
    out = {place: ((place[0] - x) ** 2 + (place[1] - y) ** 2) ** 0.5 for place in dies}
    edge = EDGE * max(out.values())
    return frozenset(place for place, far in out.items() if (far >= edge) == (area == "edge"))
