"""How a wafer lies and where its coordinates begin: every format is a point in one table."""

from typing import Literal, TypeAlias

from msgspec import Struct

Notch: TypeAlias = Literal["D", "L", "U", "R"]
"""Where the notch or flat is seen: down, left, up, right."""
Place: TypeAlias = tuple[int, int]
"""Column and row, or X and Y."""

NOTCHES: tuple[Notch, ...] = ("D", "L", "U", "R")


class View(Struct, frozen=True):
    """How somebody looks at a wafer: where the notch is, and from which side.

    The one that all maps are turned into has the notch down, seen from the top; column 0 is at the left and
    row 0 the highest.
    """

    notch: Notch = "D"
    bottom: bool = False

    def upright(self, place: Place) -> Place:
        """Turn a place as it is seen (right, down) so that the notch is down, about the origin."""
        u, v = (-place[0] if self.bottom else place[0]), place[1]
        return {"D": (u, v), "L": (v, -u), "U": (-u, -v), "R": (-v, u)}[self.notch]

    def seen(self, place: Place) -> Place:
        """Turn an upright place back into what is seen."""
        a, b = place
        u, v = {"D": (a, b), "L": (-b, a), "U": (-a, -b), "R": (b, -a)}[self.notch]
        return (-u if self.bottom else u), v

    def size(self, size: Place) -> Place:
        """Return columns and rows as they are seen of a grid that is upright, or the other way round."""
        return size if self.notch in {"D", "U"} else (size[1], size[0])

    def grid_upright(self, place: Place, size: Place) -> Place:
        """Return where a cell of a grid seen with `size` lies in the upright grid."""
        return _shifted(self.upright(place), self.upright((0, 0)), self.upright((size[0] - 1, size[1] - 1)))

    def grid_seen(self, place: Place, size: Place) -> Place:
        """Return where a cell of an upright grid of `size` is seen."""
        return _shifted(self.seen(place), self.seen((0, 0)), self.seen((size[0] - 1, size[1] - 1)))


class Axes(Struct, frozen=True):
    """Where coordinates begin in a grid as it is seen, and where they grow."""

    right: bool = True
    """X grows to the right."""
    down: bool = True
    """Y grows downwards."""
    origin: Literal["upper left", "upper right", "lower left", "lower right", "center"] = "upper left"
    base: int = 0
    """The coordinate of the origin, in both directions."""

    def coordinates(self, place: Place, size: Place) -> Place:
        """Return X and Y of a cell of a grid of `size`."""
        column, row = self._origin(size)
        x, y = place[0] - column, place[1] - row
        return (x if self.right else -x) + self.base, (y if self.down else -y) + self.base

    def place(self, coordinates: Place, size: Place) -> Place:
        """Return the cell at X and Y; it may lie outside the grid."""
        column, row = self._origin(size)
        x, y = coordinates[0] - self.base, coordinates[1] - self.base
        return (x if self.right else -x) + column, (y if self.down else -y) + row

    def _origin(self, size: Place) -> Place:
        if self.origin == "center":
            return (size[0] - 1) // 2, (size[1] - 1) // 2
        column = 0 if self.origin.endswith("left") else size[0] - 1
        return column, 0 if self.origin.startswith("upper") else size[1] - 1


def _shifted(place: Place, one: Place, other: Place) -> Place:
    return place[0] - min(one[0], other[0]), place[1] - min(one[1], other[1])
