"""How far dies may lie apart: a place that was read wrongly must not become a grid that no memory holds."""

from collections.abc import Collection
from statistics import median_low

from station.datalog.maps.axes import Place

MOST_SIDE = 4096
"""Columns and rows of a wafer; 300 mm of dies of 0.1 mm are fewer."""


def astray(dies: Collection[Place]) -> str:
    """Name the die that lies farthest off, if all of them span more than a wafer can; else empty."""
    if not dies:
        return ""
    xs, ys = {x for x, _ in dies}, {y for _, y in dies}
    if max(max(xs) - min(xs), max(ys) - min(ys)) < MOST_SIDE:
        return ""
    middle = median_low(sorted(x for x, _ in dies)), median_low(sorted(y for _, y in dies))
    x, y = max(dies, key=lambda die: (max(abs(die[0] - middle[0]), abs(die[1] - middle[1])), die))
    near = f"most are near {middle[0]}, {middle[1]}"
    return f"die {x}, {y} lies outside: {near}, a wafer has {MOST_SIDE} dies across at most"
