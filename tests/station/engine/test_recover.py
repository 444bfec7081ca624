"""What persons say of a cell that was stopped with devices in it."""

import asyncio
from pathlib import Path

from station import commands, events
from station.engine.resumed_cell import ResumedCell
from station.engine.states import State
from station.model import Limit, Whereabouts
from station.rules import StopRules
from station.sequence import Parametric
from tests.station.engine.doubles import (
    BAD,
    OP,
    TE,
    UNTESTED,
    Bench,
    BenchSite,
    returning,
    sequence,
    virtual,
)
from tests.station.engine.resumed import taken_up

TWO = frozenset({1, 2})


async def in_doubt(folder: Path) -> Bench:
    """A cell whose station stopped while two devices were sorted."""
    bench = Bench(folder, sequence(returning(1.0)), [TWO] * 2)
    await bench.run()
    ordered = next(n for n, event in enumerate(bench.history) if isinstance(event, events.BinsSent))
    (folder / "again").mkdir()
    again = await taken_up(bench, folder / "again", bench.history[: ordered + 1], [TWO])
    assert again.cell.state is State.ABORTED
    return again


def found(number: int) -> commands.Recover:
    places = {1: Whereabouts.SORTED, 2: Whereabouts.ERROR_BIN}
    return commands.Recover(id=f"found-{number}", actor="te", roles=TE, reason="looked", found=places)


@virtual
async def test_of_two_inventories_at_once_the_second_is_judged_by_what_the_first_has_left(
    tmp_path: Path,
) -> None:
    again = await in_doubt(tmp_path)
    assert isinstance(again.cell, ResumedCell)
    watched = again.bus.subscribe()
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(again.cell.request(found(number))) for number in (1, 2))
    assert first.result().ok
    assert (second.result().ok, second.result().code) == (False, "wrong_state")
    assert again.cell.state is State.PAUSED
    await again.cell.aclose()
    seen = [event async for event in watched]
    assert [event.places for event in seen if isinstance(event, events.Found)] == [
        {1: Whereabouts.SORTED, 2: Whereabouts.ERROR_BIN}
    ]


@virtual
async def test_a_lot_goes_on_though_rules_switched_most_sites_off_before_the_stop(tmp_path: Path) -> None:
    """Persons answered for it then: its devices get the bin of untested ones, and the lot is held again."""

    async def row(site: BenchSite) -> float:
        return 0.5 if site.number == 1 else 9.0

    table = sequence(Parametric(1, row, Limit(0, 1, "V"), bin=BAD), rules=StopRules(baseline_yield=0.9))
    bench = Bench(tmp_path, table, [frozenset({1, 2, 3})] * 6)
    assert await bench.run() == "HELD"
    (tmp_path / "again").mkdir()
    released = [
        events.StateChanged(at=0.0, old=a, new=b) for a, b in (("HELD", "PAUSED"), ("PAUSED", "RUNNING"))
    ]
    history = [*bench.history, *released]
    again = await taken_up(bench, tmp_path / "again", history, [frozenset({1, 2, 3})])
    assert again.cell.state is State.PAUSED
    assert (await again.cell.request(commands.Resume(id="r", actor="op", roles=OP))).ok
    assert await again.cell.run_lot(unattended=True) is State.HELD
    await again.cell.aclose()
    assert [bins[2] for bins in again.handler.sorted] == [UNTESTED.hard]
