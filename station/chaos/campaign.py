"""Many small simulated lots, each with faults and kills of its own, and what is wrong with them then."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from traceback import format_exc

from msgspec import DecodeError, Struct, json

from station.chaos import nursery
from station.chaos.evidence import Evidence, complaints
from station.chaos.lives import Command, Life, Lives
from station.chaos.page import Page
from station.chaos.plant import Plant
from station.chaos.schedule import (
    OF_VAULT,
    RUN,
    SERVED,
    Schedule,
    schedule,
    smaller,
    station_file,
)
from station.chaos.served import ServedLives
from station.chaos.troubles import CONSOLE, ON_PLANT
from station.engine.states import State
from station.evidence.bundle import BUNDLE
from station.lot_folder import VAULT
from station.report import LotReport

LOT = "X"
HUNG = "not done in time"


class Violation(Struct, frozen=True):
    """A lot that was not as it must be."""

    replay: str
    """The command that plays its schedule again, made as small as it still fails."""
    drawn: str
    """The schedule as it was drawn."""
    complaints: tuple[str, ...]


class Result(Struct, frozen=True):
    """What a campaign came to."""

    lots: int
    faults: int
    """Faults, troubles and kills of all lots."""
    lives: int
    violations: tuple[Violation, ...]


class Played(Struct, frozen=True):
    """What came of one seed."""

    seed: int
    lives: int
    violation: Violation | None


def campaign(
    command: Command, folder: Path, seeds: range, *, jobs: int, told: Callable[[Played], None]
) -> Result:
    """Play the schedules of these seeds, so many lots side by side; tell of each, in order.

    KeyboardInterrupt after SIGINT or SIGTERM, when the lots in play are over.
    """
    played = list[Played]()
    nursery.opened()
    workers = ProcessPoolExecutor(jobs, nursery.NURSERY, _begin, (command, folder))
    with nursery.asked_to_end() as asked, workers as pool:
        for one in pool.map(_seed, seeds):
            told(one)
            played.append(one)
            if asked:
                pool.shutdown(cancel_futures=True)
                raise KeyboardInterrupt
    faults = sum(schedule(seed).wrongs for seed in seeds)
    found = tuple(one.violation for one in played if one.violation is not None)
    return Result(len(seeds), faults, sum(one.lives for one in played), found)


_mine: list["Campaign"] = []
"""Of this worker process."""


def _begin(command: Command, folder: Path) -> None:
    nursery.stand_apart()
    own = folder / str(os.getpid())
    own.mkdir()
    _mine.append(Campaign(command, own))


def _seed(seed: int) -> Played:
    mine = _mine[0]
    mine.lives = 0
    with nursery.undone():
        violation = mine.tried(schedule(seed))
    return Played(seed, mine.lives, violation)


class Campaign:
    """Plays lots in one folder, one after another."""

    def __init__(self, command: Command, folder: Path) -> None:
        self._command, self._folder = command, folder
        self.lives = 0

    def tried(self, drawn: Schedule) -> Violation | None:
        """Play a schedule; one that fails is made smaller, unless each try would take until it is ended."""
        found = list[list[str]]()
        if not self._fails(drawn, found):
            return None
        hangs = any(one.endswith(HUNG) for one in found[0])
        least = drawn if hangs else smaller(drawn, lambda candidate: self._fails(candidate, found))
        return Violation(f"hardbin chaos --schedule '{least}'", str(drawn), tuple(found[-1]))

    def _fails(self, played: Schedule, found: list[list[str]]) -> bool:
        """Play a schedule once; a lot that cannot even be judged fails too."""
        try:
            wrong = self.wrong_with(played)
        except Exception:  # noqa: BLE001 - the lots after it are played all the same
            wrong = [f"it cannot be judged: {format_exc(limit=-3)}"]
        if wrong:
            found.append(wrong)
        return bool(wrong)

    def wrong_with(self, played: Schedule) -> list[str]:
        """Play a schedule once, and say what is wrong with what it left."""
        station = station_file(played.cell, self._folder)
        names = {one.name for one in played.troubles}
        with ExitStack() as stack:
            plant = stack.enter_context(Plant(self._folder, station)) if names & {*ON_PLANT} else None
            console = Page(self._folder, brim="brim" in names) if CONSOLE in names else None
            page = None if console is None else stack.enter_context(console)
            return self._wrong_with(played, station if plant is None else plant.station, plant, page)

    def _wrong_with(
        self, played: Schedule, station: Path, plant: Plant | None, page: Page | None
    ) -> list[str]:
        lives = self._lives(played, station, page)
        lives.forget()
        last = lives.play(played.kills, played.troubles)
        self.lives += len(lives.lived)
        if any(one.name in OF_VAULT for one in played.troubles):
            self._hand_over(lives.folder)
        found = [*_noise(lives), *complaints(self._left(played, lives, last))]
        if page is not None:
            found += page.wrong
        if plant is not None:
            found += plant.wrong_with(lives.folder, played.troubles)
        lives.forget()
        return found

    def _hand_over(self, folder: Path) -> None:
        """Have the evidence of a closed lot made that its vault could not make then, as the station asked."""
        report = _report(folder)
        closed = report is not None and report.state == State.CLOSED.value
        if closed and (folder / VAULT).is_dir() and not (folder / BUNDLE).exists():
            Lives(self._command, self._folder, LOT, ()).live(("evidence", "export", str(folder)), None)

    def _lives(self, played: Schedule, station: Path, page: Page | None) -> Lives:
        size = ("--devices", str(played.devices), "--sites", str(played.sites), "--seed", str(played.seed))
        faults = tuple(word for fault in played.faults for word in ("--fault", fault))
        where = ("--station", str(station))
        if played.way == RUN:
            return Lives(self._command, self._folder, LOT, (*size, *where, *faults), where)
        return ServedLives(
            self._command,
            self._folder,
            LOT,
            (*size[2:], *where, *faults),
            devices=played.devices,
            on_the_way=played.troubles,
            page=page,
        )

    def _left(self, played: Schedule, lives: Lives, last: Life) -> Evidence:
        code = None if played.way == SERVED else last.code or 0
        return Evidence(
            played.devices,
            played.faults,
            lives.folder,
            code,
            last.said,
            _report(lives.folder),
            any(one.name in OF_VAULT for one in played.troubles),
            any(one.name == "brim" for one in played.troubles),
        )


def _report(folder: Path) -> LotReport | None:
    try:
        return json.decode((folder / "report.json").read_bytes(), type=LotReport)
    except (OSError, DecodeError):
        return None


def _noise(lives: Lives) -> Iterator[str]:
    for life in lives.lived:
        if life.hung:
            yield f"{' '.join(life.arguments)}: {HUNG}"
        if "Traceback" in life.said:
            yield f"{' '.join(life.arguments)}: {life.said[-2000:]}"
