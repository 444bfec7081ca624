"""What everything that knows the people works with."""

from collections.abc import Callable
from dataclasses import dataclass

from station.people.database import Database
from station.people.pins import Pins
from station.people.trail import Trail


@dataclass(frozen=True)
class Inside:
    """Database, ledger, PINs, and the one clock."""

    station: str
    database: Database
    trail: Trail
    pins: Pins
    now: Callable[[], float]
