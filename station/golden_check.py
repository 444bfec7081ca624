"""Whether a lot may begin, and go on: golden units were measured on this station lately, and were right."""

from dataclasses import dataclass
from typing import Any

import msgspec

from station.analysis.golden import Check, read
from station.config import StationConfig
from station.errors import AnalysisError, ConfigError
from station.sequence import Sequence

HOUR_S = 3600.0


@dataclass
class GoldenWatch:
    """The last check, and how long it holds."""

    check: Check
    lasts_s: float
    _due: float = 0.0

    def __post_init__(self) -> None:
        self._due = self.check.at + self.lasts_s

    def overdue(self, now: float) -> str:
        """Say once that the check is to be made again; whoever lets the lot go on has the same time again."""
        if now <= self._due:
            return ""
        self._due = now + self.lasts_s
        return f"golden units are due: they were measured more than {self.lasts_s / HOUR_S:g} h ago"


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
    return GoldenWatch(check, table.hours * HOUR_S)


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
