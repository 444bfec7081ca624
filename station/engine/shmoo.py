"""A sweep of one or two parameters of a row: which points it has, and what must not be asked. Pure."""

from collections.abc import Iterator

from station import commands
from station.model import Axis, Measurement, Verdict
from station.sequence import Functional, Parametric, S, Test

POINTS = 4096
"""So many a sweep has at most."""


def wrong(wanted: commands.Shmoo, row: "Test[S]") -> str:
    """Say why a row cannot be swept so; empty if it can."""
    ranges = {one.name: one for one in row.swept} if isinstance(row, Parametric | Functional) else {}
    if not ranges:
        return f"the sequence lets nothing of test {row.number} {row.name} be swept"
    axes = [wanted.x, *([wanted.y] if wanted.y is not None else [])]
    for axis in axes:
        if axis.name not in ranges:
            return f"test {row.number} {row.name} has no {axis.name!r} to sweep: {', '.join(sorted(ranges))}"
        allowed = ranges[axis.name]
        if not all(allowed.low <= end <= allowed.high for end in (axis.start, axis.stop)):
            return (
                f"{axis.name} from {axis.start:g} to {axis.stop:g}: the sequence allows "
                f"{allowed.low:g} to {allowed.high:g} {allowed.unit}"
            )
        if axis.points < 1 or (axis.points == 1 and axis.start != axis.stop):
            return f"{axis.name}: {axis.points} points do not lead from {axis.start:g} to {axis.stop:g}"
    if wanted.y is not None and wanted.x.name == wanted.y.name:
        return f"{wanted.x.name} is on both axes"
    if wanted.x.points * (1 if wanted.y is None else wanted.y.points) > POINTS:
        return f"more than {POINTS} points"
    return ""


def values(axis: Axis) -> Iterator[float]:
    """Yield the values of an axis, both ends exact."""
    for number in range(axis.points):
        share = number / (axis.points - 1) if axis.points > 1 else 0.0
        yield axis.stop if share == 1 else axis.start + share * (axis.stop - axis.start)


def grid(wanted: commands.Shmoo) -> Iterator[tuple[float, float | None]]:
    """Yield the points, x first."""
    for y in (None,) if wanted.y is None else values(wanted.y):
        for x in values(wanted.x):
            yield x, y


def passed(measured: Measurement) -> bool:
    """Whether the row would have passed there."""
    return measured.verdict is Verdict.PASSED
