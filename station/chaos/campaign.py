"""Many small simulated lots, each with faults and kills of its own, and what is wrong with them then."""

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import DecodeError, Struct, json

from station.chaos.evidence import Evidence, complaints
from station.chaos.lives import Command, Life, Lives
from station.chaos.schedule import Schedule, schedule, smaller, station_file
from station.report import LotReport

LOT = "X"


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
    """Faults and kills of all lots."""
    lives: int
    violations: tuple[Violation, ...]


class Campaign:
    """Plays lots in one folder, one after another."""

    def __init__(self, command: Command, folder: Path) -> None:
        self._command, self._folder = command, folder
        self.lives = 0

    def run(self, first: int, lots: int, told: Callable[[int, Violation | None], None]) -> Result:
        """Play the schedules of these seeds; tell of each when it is done."""
        faults = 0
        violations = list[Violation]()
        for seed in range(first, first + lots):
            drawn = schedule(seed)
            faults += len(drawn.faults) + len(drawn.kills)
            violation = self.tried(drawn)
            violations += [violation] if violation is not None else []
            told(seed, violation)
        return Result(lots, faults, self.lives, tuple(violations))

    def tried(self, drawn: Schedule) -> Violation | None:
        """Play a schedule; one that fails is made smaller."""
        if not self.wrong_with(drawn):
            return None
        least = smaller(drawn, lambda candidate: bool(self.wrong_with(candidate)))
        wrong = tuple(self.wrong_with(least))
        return Violation(f"hardbin chaos --schedule '{least}'", str(drawn), wrong)

    def wrong_with(self, played: Schedule) -> list[str]:
        """Play a schedule once, and say what is wrong with what it left."""
        station = station_file(played.cell, self._folder)
        size = ("--devices", str(played.devices), "--sites", str(played.sites), "--seed", str(played.seed))
        faults = tuple(word for fault in played.faults for word in ("--fault", fault))
        where = ("--station", str(station))
        lives = Lives(self._command, self._folder, LOT, (*size, *where, *faults), where)
        lives.forget()
        last = lives.play(played.kills)
        self.lives += len(lives.lived)
        found = [*_noise(lives), *complaints(self._left(played, lives, last))]
        lives.forget()
        return found

    def _left(self, played: Schedule, lives: Lives, last: Life) -> Evidence:
        return Evidence(
            played.devices, played.faults, lives.folder, last.code or 0, last.said, _report(lives.folder)
        )


def _report(folder: Path) -> LotReport | None:
    try:
        return json.decode((folder / "report.json").read_bytes(), type=LotReport)
    except (OSError, DecodeError):
        return None


def _noise(lives: Lives) -> Iterator[str]:
    for life in lives.lived:
        if life.hung:
            yield f"{' '.join(life.arguments)}: not done in time"
        if "Traceback" in life.said:
            yield f"{' '.join(life.arguments)}: {life.said[-2000:]}"
