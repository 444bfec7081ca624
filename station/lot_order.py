"""What is asked for of a lot, and who begins it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station import commands
from station.authority import OPERATOR
from station.engine.cell import Cell
from station.errors import ConfigError
from station.model import LotInfo, SecondPass
from station.set_up import Study, Temperature
from station.stop import ACTOR


@dataclass(frozen=True)
class LotOrder:
    """What is asked for; the folder is the lot's own and must not exist."""

    lot: str
    devices: int
    folder: Path
    seed: int
    recipe: Path | None = None
    temperature: Temperature | None = None
    study: Study | None = None
    """It is one in which each device is tested several times, whatever its bin."""
    second: SecondPass | None = None
    """It is a later pass over what was rejected."""
    again: bool = False
    """The folder is there, and its lot is taken up where it was left."""
    earlier: tuple[str, ...] = ()
    """Stores with results of insertions before this one, instead of those of the station file."""
    traced: Path | None = None
    """The list that says which die is in which package."""
    mode: str = ""
    """`E` of a lot for engineering; else it is for production."""
    began: LotInfo | None = None
    """Of a lot that is taken up: as what it was begun."""


@dataclass(frozen=True)
class Attendance:
    """Who begins a lot and is there while it runs."""

    opening: tuple[commands.Any, ...]
    """The commands that are given first; the lot is not run if one of them is refused."""
    unattended: bool
    """Nobody is there who could release a hold: it ends the run."""
    loaded: Callable[[Cell[Any]], None] = lambda cell: None
    """Told of the cell when it has its lot."""
    recover: commands.Recover | None = None
    """Somebody has looked at a cell whose lot is taken up: given before all other commands."""


class RefusedError(ConfigError):
    """The cell has refused to begin the lot."""

    def __init__(self, receipt: commands.Receipt) -> None:
        super().__init__(receipt.reason)
        self.receipt = receipt


def started_here(order: LotOrder) -> Attendance:
    """Whoever starts a run loads the lot, starts it, and does not stay."""
    load = commands.Load(id="load", actor=ACTOR, roles=OPERATOR, lot=order.lot, quantity=order.devices)
    start = commands.Start(id="start", actor=ACTOR, roles=OPERATOR)
    return Attendance((load, start), unattended=True)


def study_in(load: commands.Load) -> Study | None:
    """Return the study of which a lot is a part, if it is."""
    if not isinstance(load, commands.Study):
        return None
    return Study(load.trials, load.study, load.test, load.operator)
