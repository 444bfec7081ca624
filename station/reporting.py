"""The report of a lot that has been run: from its cell, and from what is on disk."""

from collections.abc import Sequence as Several
from pathlib import Path
from typing import Any, NamedTuple

from station.by_policy import PolicyCourse
from station.custody.balance import Balance
from station.custody.journal import read
from station.engine.cell import Cell
from station.engine.states import State
from station.evidence.bundle import BUNDLE
from station.lot_folder import STORE
from station.model import LotInfo
from station.noted import Knows, Noted
from station.open_lot import JOURNAL
from station.report import LotReport, TruthReport, bin_counts, compared
from station.sequence import Sequence
from station.surroundings import Truth


class Ended(NamedTuple):
    """How a run has ended, and how long it took: of the cell, of real time, of simulated time."""

    state: State
    balance: Balance
    ordered_as: str
    took_s: float
    wall_s: float
    simulated_s: float


def read_again(
    journal: Path, truth: Several[Truth], sequence: Sequence[Any], knows: Knows | None
) -> tuple[TruthReport | None, Noted]:
    """Read a journal once more: what is compared with a simulated world is what was written."""
    noted = Noted(knows)
    balance, course = Balance(identities=True), PolicyCourse(sequence)
    for event in read(journal):
        noted.add(event)
        if truth:
            balance.add(event)
            course.add(event)
    return compared(balance, truth, course) if truth else None, noted


def report_of(
    cell: Cell[Any], info: LotInfo, folder: Path, ended: Ended, again: tuple[TruthReport | None, Noted]
) -> LotReport:
    """Return what a lot came to; `again` is what `read_again` has found."""
    balance, (truth, noted) = ended.balance, again
    per_hour = balance.tested() * 3600 / ended.took_s if ended.took_s > 0 else 0.0
    return LotReport(
        lot=info.lot,
        state=ended.state.value,
        reason="" if ended.state is State.CLOSED else cell.reason,
        tested=balance.tested(),
        good=balance.accounts().get("good", 0),
        secured=balance.secured(),
        bins=bin_counts(info, balance),
        retested=cell.retested,
        accounts=balance.accounts(),
        units_per_hour=round(per_hour, 1),
        wall_s=round(ended.wall_s, 3),
        simulated_s=round(ended.simulated_s, 6),
        time_to_safe_s=round(cell.time_to_safe_s, 6),
        stdf="" if cell.stdf is None else str(cell.stdf),
        store=str(folder / STORE),
        journal=str(folder / JOURNAL),
        order=ended.ordered_as,
        vault_open="" if cell.vault_closing is None else cell.vault_closing.open,
        evidence=str(folder / BUNDLE) if (folder / BUNDLE).exists() else "",
        truth=truth,
        retried=noted.retried,
        skipped=noted.skipped,
        marginal=noted.marginal,
        alarms=noted.alarms,
        unknown=noted.unknown,
    )
