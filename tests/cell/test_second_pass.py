"""Dies of a wafer are landed on once more because somebody asked, and every record counts them once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from station import commands, config, events
from station.custody.journal import read
from station.datalog.store import Store
from station.datalog.summary import summarise
from station.engine.bus import Subscription
from station.engine.cell import Cell
from station.lot_folder import make_folder
from station.lot_order import LotOrder, started_here
from station.model import BinKind, Outcome
from station.report import LotReport
from station.run import LotSession
from station.stop import StopRequest
from station.surroundings import EPOCH, WAFER_SORT, simulated, simulated_station_file

DEVICES = 40
EN = frozenset({"engineer"})


class Floor:
    """One lot on the simulated prober, and somebody who asks for a second pass in it."""

    def __init__(self, folder: Path, after: int, retest: commands.Retest) -> None:
        self._order = LotOrder("T1", DEVICES, folder / "T1", seed=5)
        self._after, self._retest = after, retest
        self._cell: Cell[Any] | None = None
        self.receipt: commands.Receipt | None = None
        make_folder(self._order.folder)

    def run(self) -> LotReport:
        """Run the lot to its end."""
        station = config.load(simulated_station_file(WAFER_SORT))
        faults = ("dut.population=ideal", "dut.leaky_input@every=3")
        world = simulated(station, lot="T1", devices=DEVICES, seed=5, faults=faults, speed=None, epoch=EPOCH)
        attendance = started_here(self._order)
        attendance = type(attendance)(attendance.opening, unattended=True, loaded=self._loaded)
        session = LotSession(station, self._order, world, perf_counter, attendance)
        with asyncio.Runner(loop_factory=world.loop_factory) as runner:
            return runner.run(self._followed(session))

    async def _followed(self, session: LotSession) -> LotReport:
        return await session.run([self._watch], StopRequest())

    def _loaded(self, cell: Cell[Any]) -> None:
        self._cell = cell

    async def _watch(self, happened: Subscription) -> None:
        async for event in happened:
            if isinstance(event, events.Sorted) and event.seq >= self._after and self.receipt is None:
                assert self._cell is not None
                self.receipt = await self._cell.request(self._retest)

    @property
    def history(self) -> Sequence[events.Any]:
        """What the journal says."""
        return list(read(self._order.folder / "journal"))

    @property
    def store(self) -> Path:
        """Where the results are."""
        return self._order.folder / "results.db"


def asked(**choice: Any) -> commands.Retest:
    return commands.Retest(id="again", actor="p-9", roles=EN, reason="dust", **choice)


def last_bins(history: Sequence[events.Any]) -> dict[int, Outcome]:
    closed = (e.outcomes for e in history if isinstance(e, events.ContactsClosed))
    return {one.part: one for outcomes in closed for one in outcomes}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("choice", [{}, {"area": "edge"}, {"area": "centre"}, {"sites": frozenset({1})}])
def test_rejects_are_met_again_and_counted_once(tmp_path: Path, choice: dict[str, Any]) -> None:
    floor = Floor(tmp_path, 9, asked(**choice))
    report = floor.run()
    assert floor.receipt is not None
    assert floor.receipt.ok, floor.receipt
    history = floor.history
    (begun,) = [e for e in history if isinstance(e, events.RetestBegun)]
    assert begun.dies
    assert report.state == "CLOSED"
    assert report.tested == DEVICES
    places: dict[tuple[int, int], list[int]] = {}
    for event in history:
        if isinstance(event, events.TouchdownOpened):
            for site, place in event.positions.items():
                places.setdefault(place, []).append(event.parts[site])
    assert all(len(set(parts)) == 1 for parts in places.values())
    assert {place for place, parts in places.items() if len(parts) > 1} >= set(begun.dies)
    assert report.accounts == {k: v for k, v in report.accounts.items() if not k.startswith("in contact")}
    assert sum(report.accounts.values()) == DEVICES
    store = Store(floor.store)
    (run,) = store.runs()
    summary = summarise(store, run.run)
    last = last_bins(history)
    assert (summary.parts, summary.good) == (DEVICES, sum(o.kind is BinKind.PASS for o in last.values()))
    assert report.truth is not None
    assert not report.truth.misplaced
    assert not report.truth.custody
    texts = [event.text for event in store.events(run.run)]
    assert texts == [f"second pass over {len(begun.dies)} dies: dust"]


def test_a_bin_that_nobody_has_is_refused(tmp_path: Path) -> None:
    floor = Floor(tmp_path, 3, asked(bins=frozenset({999})))
    report = floor.run()
    assert floor.receipt is not None
    assert floor.receipt.code == "not_found"
    assert report.state == "CLOSED"
    assert not [e for e in floor.history if isinstance(e, events.RetestBegun)]
