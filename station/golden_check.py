"""Whether a lot may begin, and go on: golden units were measured on this station lately, and were right."""

from dataclasses import dataclass
from typing import Any

import msgspec

from station.analysis.golden import Check, read
from station.config import StationConfig
from station.errors import AnalysisError, ConfigError
from station.sequence import Sequence

HOUR_S = 3600.0
GOLDEN = "golden"
"""The name of the check, of whoever answers for it."""


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
    if not (named := config.golden.units):
        return {}
    path = config.source.parent / named
    try:
        found = {unit.code: unit.name for unit in read(path).units if unit.code}
    except AnalysisError as error:
        raise ConfigError(f"[golden]: {error}") from error
    if not found:
        raise ConfigError(f"[golden]: {path}: no unit has a code, so none could be known among devices")
    return found


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
