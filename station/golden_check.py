"""Whether a lot may begin, and go on: golden units were measured on this station lately, and were right."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from station.analysis.golden import Check, read
from station.analysis.golden_lot import checked
from station.config import StationConfig
from station.custody import durable_file
from station.datalog.store import Store
from station.errors import AnalysisError, ConfigError
from station.lot_folder import STORE
from station.sequence import Sequence

HOUR_S = 3600.0
GOLDEN = "golden"
"""The name of the check, of whoever answers for it, and of the study whose lots are golden units."""


@dataclass
class GoldenWatch:
    """The last check, how long it holds, and for how many landings; 0: for all."""

    check: Check
    lasts_s: float
    landings: int = 0
    _due: float = 0.0
    _last: int | None = None
    """The landing with which its count begins."""

    def __post_init__(self) -> None:
        self._due = self.check.at + self.lasts_s

    def overdue(self, now: float, landings: int) -> str:
        """Say once that the check is to be made again; whoever lets the lot go on has the same again.

        `landings` are those of the lot so far; they count from its begin, or from where it was taken up.
        """
        if self._last is None:
            self._last = landings
        if now > self._due:
            why = f"they were measured more than {self.lasts_s / HOUR_S:g} h ago"
        elif self.landings and landings - self._last >= self.landings:
            why = f"{landings - self._last} touchdowns were made since"
        else:
            return ""
        self._due, self._last = max(self._due, now + self.lasts_s), landings
        return f"golden units are due: {why}"


def golden_watch(config: StationConfig, sequence: Sequence[Any]) -> GoldenWatch | None:
    """Return the watch that the station file asks for; ConfigError if its last check lets no lot begin."""
    table = config.golden
    if not table.result:
        return None
    path = config.source.parent / table.result
    again = f"run `hardbin study golden` and keep its result as {table.result}"
    try:
        check = msgspec.json.decode(path.read_bytes(), type=Check)
    except OSError as error:
        raise ConfigError(f"[golden]: {path}: {error.strerror}; {again}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"[golden]: {path}: no golden check: {error}; {again}") from error
    if wrong := _wrong(check, config, sequence):
        raise ConfigError(f"[golden]: {path}: {wrong}; {again}")
    return GoldenWatch(check, table.hours * HOUR_S, table.landings)


def golden_codes(config: StationConfig) -> dict[str, str]:
    """Return by code the names of the golden units, which are never product; ConfigError for a wrong file."""
    if not (named := config.golden.units) or not config.cell.codes:
        return {}
    path = config.source.parent / named
    try:
        found = {unit.code: unit.name for unit in read(path).units if unit.code}
    except AnalysisError as error:
        raise ConfigError(f"[golden]: {error}") from error
    if not found:
        raise ConfigError(f"[golden]: {path}: no unit has a code, so none could be known among devices")
    return found


def keep(path: Path, check: Check) -> None:
    """Keep a check where lots look for it, durably; StorageError."""
    durable_file.replace(path, msgspec.json.format(msgspec.json.encode(check), indent=2) + b"\n")


def keep_of_lot(config: StationConfig, folder: Path) -> Check | None:
    """Keep what a lot of golden units has come to as the station file says; None if it is no such lot.

    AnalysisError: nothing can be said of them; what was kept before stays.
    """
    table, store = config.golden, folder / STORE
    if not table.units or not table.result or not store.exists():
        return None
    if not _of_units(store):
        return None
    beside = config.source.parent
    check = checked(beside / table.units, store)
    keep(beside / table.result, check)
    return check


class Told(Struct, frozen=True):
    """The golden units of a station, in the order in which they are put in, and the last check of them."""

    name: str
    units: tuple[str, ...]
    hours: float
    check: Check | None
    why: str
    """Why there is no check, or why it is none of these units."""


def told(config: StationConfig) -> Told:
    """Return what a station knows of its golden units; ConfigError if its file names none."""
    table, beside = config.golden, config.source.parent
    if not table.units or not table.result:
        raise ConfigError(f"{config.source}: [golden] names no units and result: there is nothing to check")
    known = read(beside / table.units)
    names = tuple(unit.name for unit in known.units)
    try:
        check = msgspec.json.decode((beside / table.result).read_bytes(), type=Check)
    except (OSError, msgspec.DecodeError) as error:
        return Told(known.name, names, table.hours, None, str(error))
    other = "" if check.units_sha256 == known.digest() else f"the check is of other references: {check.units}"
    return Told(known.name, names, table.hours, check, other)


def _of_units(path: Path) -> bool:
    """Whether a store is that of an ended lot of golden units."""
    store = Store(path)
    try:
        study, ended = store.info(1).study, store.state(1).finished is not None
    finally:
        store.close()
    return ended and study is not None and (study.name, study.test) == (GOLDEN, 0)


def _wrong(check: Check, config: StationConfig, sequence: Sequence[Any]) -> str:
    if not check.passed:
        bad = [f"{one.test} {one.name} at site {one.site}" for one in check.seen if not one.passed]
        return f"golden units {check.units} were out of tolerance: {', '.join(bad)}"
    if check.station != config.station.name:
        return f"it was made at station {check.station}, this is {config.station.name}"
    if check.sequence != sequence.name:
        return f"it was made with sequence {check.sequence}, the lot is tested with {sequence.name}"
    if missing := sorted(config.sites.keys() - set(check.sites)):
        return f"sites {missing} met no golden unit"
    return ""
