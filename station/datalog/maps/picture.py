"""A wafer as characters: what a person reads in a terminal."""

from station.datalog.maps.codes import LETTERS
from station.datalog.maps.wafer import Die, DieState, WaferMap

MARKS = {DieState.UNTESTED: "?", DieState.REFERENCE: "#", DieState.SKIP: "-", DieState.EDGE: "+"}
NONE, MANY = ".", "*"


def picture(found: WaferMap) -> str:
    """Return a map, one character a die, and what they mean; bins above 35 are all `*`."""
    rows = [
        "".join(_mark(found.dies.get((column, row))) for column in range(found.columns))
        for row in range(found.rows)
    ]
    counts, good = found.counts(), found.good
    tested = sum(counts.values())
    share = f" ({100 * good / tested:.2f} %)" if tested else ""
    head = f"wafer {found.wafer} of lot {found.lot or '?'}: {tested} tested, {good} good{share}"
    names = [
        f"{_mark(Die(hard=one.number))} {counts[one.number]:>6}  {'pass' if one.good else 'fail'}  {one.name}"
        for one in found.bins
    ]
    return "\n".join([head, "", *rows, "", *names])


def _mark(die: Die | None) -> str:
    if die is None:
        return NONE
    if die.state is not DieState.TESTED:
        return MARKS[die.state]
    return LETTERS[die.hard] if 0 <= die.hard < len(LETTERS) else MANY
