"""The map of a lot: one octet a place for the last bin, the first bin and the site."""

from math import ceil, sqrt
from typing import Literal

from station.console.shown import Map

NOTHING, UNTESTED = 255, 0
"""Octets for no device at all, and for one without a result; else 1 and the place in the table of bins."""
TRAY_MAX = 100_000
"""So many devices of a handler have a place of their own; the next one takes the first place again."""
STEP = 8
"""A wafer's map grows by so many rows or columns at once."""


class Grid:
    """Octets in rows; a wafer's grows as its dies come, a tray is as large as the lot."""

    def __init__(self, kind: Literal["wafer", "tray"], extent: tuple[int, int, int, int]) -> None:
        self.kind: Literal["wafer", "tray"] = kind
        self.x, self.y, self.width, self.height = extent
        self._planes = tuple(bytearray([octet]) * (self.width * self.height) for octet in _EMPTY)

    @classmethod
    def tray(cls, quantity: int) -> "Grid":
        """Make a place for each device of a lot, in the order in which they come."""
        count = min(quantity, TRAY_MAX)
        width = max(1, ceil(sqrt(count * 1.4)))
        grid = cls("tray", (0, 0, width, max(1, ceil(count / width))))
        for plane in grid._planes[:2]:
            plane[:count] = bytes(count)
        return grid

    def place_of(self, part: int) -> tuple[int, int]:
        """Return where the device of this running number lies in a tray."""
        row, column = divmod((part - 1) % TRAY_MAX, self.width)
        return column, row

    @property
    def map(self) -> Map:
        """Its extent."""
        return Map(self.kind, self.x, self.y, self.width, self.height)

    @property
    def octets(self) -> bytes:
        """Last bins, first bins and sites, each row by row."""
        return b"".join(self._planes)

    def untested(self) -> "Grid":
        """Return the next wafer, which has its dies where this one has had them."""
        grid = Grid(self.kind, (self.x, self.y, self.width, self.height))
        for plane in grid._planes[:2]:
            plane[:] = bytes(octet if octet == NOTHING else UNTESTED for octet in self._planes[0])
        return grid

    def cover(self, x: int, y: int) -> bool:
        """Make room for a place; True if the map is another one now."""
        if self._holds(x, y):
            return False
        left, top = min(self.x, _down(x)), min(self.y, _down(y))
        right, bottom = max(self.x + self.width, _up(x)), max(self.y + self.height, _up(y))
        larger = Grid(self.kind, (left, top, right - left, bottom - top))
        for row in range(self.height):
            start = (row + self.y - top) * larger.width + self.x - left
            for old, new in zip(self._planes, larger._planes, strict=True):
                new[start : start + self.width] = old[row * self.width : (row + 1) * self.width]
        self.x, self.y, self.width, self.height = left, top, larger.width, larger.height
        self._planes = larger._planes
        return True

    def put(self, x: int, y: int, bin_: int, first: int, site: int) -> None:
        """Take a result down; the place must be covered."""
        at = (y - self.y) * self.width + x - self.x
        for plane, octet in zip(self._planes, (bin_, first, site), strict=True):
            plane[at] = octet

    def _holds(self, x: int, y: int) -> bool:
        return 0 <= x - self.x < self.width and 0 <= y - self.y < self.height


_EMPTY = (NOTHING, NOTHING, 0)


def _down(place: int) -> int:
    return place // STEP * STEP


def _up(place: int) -> int:
    return (place // STEP + 1) * STEP
