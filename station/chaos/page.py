"""The console of a campaign with a browser before it, and what that must show when the lot is over."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from station import events
from station.chaos import own_console
from station.chaos.browser import Browser
from station.chaos.troubles import PAGE
from station.console import shown
from station.custody.journal import read
from station.engine.states import State
from station.errors import StorageError
from station.open_lot import JOURNAL

BOUND_S = 60.0
"""So long may it take until a browser sees what it must; it takes some two seconds."""


class Shown(NamedTuple):
    """What a page must agree about with the journal."""

    lot: str = ""
    state: str = State.EMPTY.value
    touchdowns: int = 0
    tested: int = 0
    hard: dict[int, int] = {}
    """Devices that the machine has taken, by hard bin."""


class Page:
    """A real console and a browser before it, in a folder beside the lot's; nothing outlives the block."""

    def __init__(self, out: Path, *, brim: bool = False) -> None:
        """`brim`: the journal may lack how the cell stands, for a disk that took nothing just then."""
        self.folder = out / PAGE
        self._brim = brim
        self.wrong: list[str] = []

    def __enter__(self) -> "Page":
        """Start both."""
        self.folder.mkdir()
        self._browser = Browser(own_console.made(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        own_console.killed(self.folder)
        self._browser.close()
        for left in self.folder.iterdir():
            left.unlink()
        self.folder.rmdir()

    def opened(self, alive: Callable[[], bool]) -> None:
        """Wait until the browser sees the cell, or there is none any more."""
        if not self._browser.until(lambda: self._browser.sees is not None or not alive(), BOUND_S):
            self.wrong.append(f"the console shows no cell after {BOUND_S:g} s")

    def looked_at(self, lot: Path, alive: Callable[[], bool]) -> None:
        """Have the console back, if it is dead, and compare what it shows with a lot's journal.

        Of a station that dies meanwhile it need not show anything: its next life is looked at.
        """
        own_console.started(self.folder)
        if not self._browser.until(lambda: self._agrees(lot) or not alive(), BOUND_S):
            seen, happened = _seen(self._browser.sees), _happened(lot)
            self.wrong.append(f"the console shows {seen} after {BOUND_S:g} s, the journal has {happened}")

    def _agrees(self, lot: Path) -> bool:
        seen, happened = _seen(self._browser.sees), _happened(lot)
        if self._brim and seen is not None:
            happened = happened._replace(state=seen.state)
        return seen == happened


def _seen(state: shown.State | None) -> Shown | None:
    if state is None:
        return None
    lot, counted = "" if state.lot is None else state.lot.lot, state.sum
    return Shown(lot, counted.state, counted.touchdowns, counted.tested, counted.hard)


def _happened(lot: Path) -> Shown:
    told, state = "", State.EMPTY.value
    landings, tested = 0, set[int]()
    at, lies = dict[int, int](), dict[int, int]()
    with suppress(OSError, StorageError):
        for event in read(lot / JOURNAL):
            match event:
                case events.LotLoaded():
                    told = event.info.lot
                case events.StateChanged():
                    state = event.new
                case events.TouchdownOpened():
                    landings += 1
                    at |= event.parts
                case events.ContactsClosed():
                    tested |= {outcome.part for outcome in event.outcomes}
                case events.Sorted():
                    lies |= {at[site]: hard for site, hard in event.bins.items()}
                case _:
                    pass
    return Shown(told, state, landings, len(tested), dict(Counter(lies.values())))
