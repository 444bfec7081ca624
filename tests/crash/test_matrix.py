"""The crash matrix: a die is cut off at each point of its way, in each way, and brought until it rests.

On every push each point is played, before and after, with one kind in turn, so that each kind meets every
neighbourhood; commits of the journal with all that a journal can lose. Left out are the inner ones of several
steps of one command, and most writes of the chip's memory, which `tests/firmware` cuts one by one.
HARDBIN_CRASH_MATRIX=full plays every point with every kind.
"""

import asyncio
from collections.abc import Iterator
from itertools import cycle

import pytest

from station.vault.development import master
from station.vault.names import ISSUER_MASTER, TRANSPORT_MASTER
from tests.crash.evidence import leaked
from tests.crash.points import FULL, KINDS, PLACES, Cut, Kind, Moment
from tests.crash.yard import Played, Yard

ALWAYS: tuple[Kind, ...] = ("vault", "disk full", "site power")
"""Kinds that every commit is played with."""
CELLS_APART = 1 if FULL else 18
EDGES: tuple[Moment, ...] = ("before", "after")
CELL_MOMENTS: tuple[Moment, ...] = ("before", "torn", "after")


@pytest.fixture(scope="module")
def reference(yard: Yard) -> Played:
    """A run that is not cut, which counts the points."""
    return asyncio.run(yard.play(None))


def test_a_run_that_is_not_cut(yard: Yard, reference: Played) -> None:
    assert reference.ends == ["SEALED", "DONE"]
    assert reference.complaints() == []
    assert all(reference.plant.points.passed[place] > 0 for place in PLACES)
    secrets = yard.secrets | {master(name, 7) for name in (TRANSPORT_MASTER, ISSUER_MASTER)}
    assert leaked(reference.plant.folder, secrets) == []


def cuts(kind: Kind, reference: Played) -> Iterator[Cut]:
    """Where a kind cuts, of all points that the reference run passed."""
    turn, points = cycle(KINDS), reference.plant.points
    for place in PLACES:
        always = FULL or (place == "commit" and kind in ALWAYS)
        for number in range(1, points.passed[place] + 1):
            if points.alike(place, number) and not FULL:
                continue
            for moment in EDGES:
                if next(turn) == kind or always:
                    yield Cut(kind, place, number, moment)


def complaint(yard: Yard, cut: Cut) -> str:
    """What is wrong after a cut; empty if all is well."""
    played = asyncio.run(yard.play(cut))
    wrong = played.complaints()
    if played.plant.struck is None and cut.place != "cell":
        wrong.append("the cut was never reached")
    if not rests_where_it_may(cut, played):
        wrong.append(f"it ends {played.ends}, {played.evidence.unit}")
    wrong += leaked(played.plant.folder, yard.secrets)
    yard.clear(played)
    return f"{cut}: {'; '.join(wrong)}" if wrong else ""


def rests_where_it_may(cut: Cut, played: Played) -> bool:
    """Sealed, or held if the die did not answer for a whole contact after it was touched."""
    if played.ends[-1:] == ["DONE"]:
        return True
    unit = played.evidence.unit
    held = "QUARANTINE" if played.evidence.told("die.issued") else "REJECT_HELD"
    return cut.kind == "contact" and (played.ends, unit.account) == ([held], held) and unit.intent != ""


@pytest.mark.timeout(3600 if FULL else 400)
@pytest.mark.parametrize("kind", KINDS)
def test_a_die_rests_whatever_is_lost(yard: Yard, reference: Played, kind: Kind) -> None:
    assert [wrong for cut in cuts(kind, reference) if (wrong := complaint(yard, cut))] == []


@pytest.mark.timeout(3600 if FULL else 400)
@pytest.mark.parametrize("moment", CELL_MOMENTS)
def test_a_die_rests_wherever_its_memory_was_cut(yard: Yard, reference: Played, moment: Moment) -> None:
    first = 1 if FULL else 1 + 6 * CELL_MOMENTS.index(moment)
    writes = range(first, reference.plant.chip.memory.writes + 1, CELLS_APART)
    found = [Cut("die power", "cell", number, moment) for number in writes]
    assert [wrong for cut in found if (wrong := complaint(yard, cut))] == []
