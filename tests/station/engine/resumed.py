"""A cell of doubles that takes up the lot of another one, which was stopped."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from station import events
from station.custody.journal import Journal
from station.engine.history import History, history_of
from station.engine.lot_journal import LotJournal
from station.engine.plan import Folder
from station.engine.records import Records
from station.engine.recount import Counters, Recount
from station.engine.resumed_cell import ResumedCell
from station.model import TouchdownResult
from tests.station.engine.doubles import Bench, MemoryFile, MemoryStore, ScriptedHandler


class OpenMemory:
    """The run of a store that is a list."""

    finished: float | None = None

    def __init__(self, store: MemoryStore, file: MemoryFile) -> None:
        self._store, self._file = store, file

    def take_up(self) -> int:
        return max((landed.seq for landed in self._store.landings), default=0)

    def recall(self, told: Callable[[TouchdownResult], None]) -> None:
        for landed in self._store.landings:
            told(landed)

    def replayed(self, text: str, at: float) -> MemoryFile:
        del text, at
        return self._file


async def taken_up(
    bench: Bench, folder: Path, happened: list[events.Any], left: list[frozenset[int]]
) -> Bench:
    """Another station, which finds this much of the journal."""
    written = Journal(folder / "journal", reserve_bytes=0)
    written.open()
    await written.commit(*happened)
    written.close()
    again = Bench(folder, bench._sequence, [frozenset(bench.sites)])
    again.quantity = bench.quantity
    closed = (event.seq for event in happened if isinstance(event, events.ContactsClosed))
    last: int = max(closed, default=0)
    again.store.landings = [landed for landed in bench.store.landings if landed.seq <= last]
    plan = bench._sequence

    def reopen() -> tuple[Folder, History]:
        again.journal.open()
        journal = LotJournal(again.journal, again.bus, again._clock)
        journal.recall(happened)
        records = Records(again.store, again.file, OpenMemory(again.store, again.file))
        recount = Recount(Counters(plan.rules, plan.retest, quantity=bench.quantity), plan.all_bins())
        return Folder(folder, journal, records), history_of(happened, recount)

    again.use(ScriptedHandler(left))
    cell = ResumedCell(replace(again.cell._plan, reopen_folder=reopen))
    again.cell = cell
    await cell.take_up()
    return again
