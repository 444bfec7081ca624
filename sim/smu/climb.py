"""How a simulated source-measure unit climbs the levels of a sweep, one reading at each."""

from collections.abc import Callable, Iterator, Sequence
from math import inf

from sim.faults import Faults
from sim.smu.output import SETTLING_S, Output, Quantity

TRIGGER_KNOBS = frozenset({"no_trigger"})
"""`no_trigger`: no edge comes to the trigger line, so a triggered sweep does not go on."""

TRIGGER_S = 1e-3
"""From one edge of the trigger line to the next: the clock of the load board."""


def line(start: float, stop: float, points: int) -> tuple[float, ...]:
    """Return levels at equal distances, both ends among them."""
    return tuple(start + (stop - start) * at / (points - 1) for at in range(points))


def climb(
    output: Output,
    levels: Sequence[float],
    faults: Faults,
    spend: Callable[[float], None],
    *,
    triggered: bool,
) -> Iterator[Quantity]:
    """Force each level of what is forced and let the caller read there; it ends early if no edge comes.

    Yields what is measured; after that the output is where the reading is to be taken.
    """
    measured: Quantity = "i" if output.forces == "v" else "v"
    for level in levels:
        if triggered and faults.strikes("no_trigger") is not None:
            spend(inf)
            return
        spend(SETTLING_S + output.reading_s() + (TRIGGER_S if triggered else 0.0))
        output.set_level(output.forces, level)
        yield measured
