"""What is looked at between load and start of a lot, from its records and the machine it runs on."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from station import cell_record, events
from station import config as station_config
from station.assemble import sequence_named
from station.config import StationConfig
from station.custody.journal import read
from station.doctor import before_a_lot
from station.engine.history import history_of
from station.errors import ConfigError, StorageError
from station.golden_check import GOLDEN, golden_watch
from station.life import Life, worn
from station.model import LotInfo
from station.set_up import Instrument

NEAR = timedelta(days=14)
"""A calibration that is over within so long is told."""
NONE = "none"


class Check(Struct, frozen=True):
    """One check, by its name on the page: `ok`, `warning` or `bad`, and what was found."""

    name: str
    health: str
    found: str
    waivable: bool = False
    """Whether an engineer may answer for it; for all else nobody can."""
    waived: str = ""
    """Who does, and why."""


def checks(folder: Path, today: date, station_file: Path | None = None) -> list[Check]:
    """Look at everything, in the order in which it is shown."""
    try:
        happened = list(read(folder / "journal"))
        info = history_of(happened).info
    except (OSError, StorageError) as error:
        return [Check("records", "bad", str(error))]
    config = None if station_file is None else station_config.load(station_file)
    return [
        _recipe(info),
        _machines(info.instruments),
        _waived(_calibration(info.instruments, today), happened),
        *_assets(folder, info, config, happened),
        *_golden(info, config, happened),
        _sites(happened),
        Check("records", "ok", f"{folder.name}: {len(happened)} events, in order"),
        *(Check(one.name, one.health.value, one.found) for one in before_a_lot(folder)),
    ]


def _recipe(info: LotInfo) -> Check:
    if info.limit_set:
        return Check("recipe", "ok", info.limit_set)
    return Check("recipe", "warning", f"{info.sequence} {info.sequence_version}")


def _machines(instruments: Sequence[Instrument]) -> Check:
    nameless = [one.name for one in instruments if not one.serial]
    known = ", ".join(f"{one.name} {one.serial}" for one in instruments if one.serial)
    if nameless:
        return Check("machines", "warning", ", ".join(nameless))
    return Check("machines", "ok", known or NONE)


def _calibration(instruments: Sequence[Instrument], today: date) -> Check:
    due = {one.name: date.fromisoformat(one.calibration_due) for one in instruments if one.calibration_due}
    over = sorted(name for name, day in due.items() if day < today)
    near = sorted(name for name, day in due.items() if day < today + NEAR)
    health = "bad" if over else "warning" if near else "ok"
    told = ", ".join(f"{name} {due[name]}" for name in over or near or sorted(due))
    return Check("calibration", health, told or NONE)


def _assets(
    folder: Path, info: LotInfo, config: StationConfig | None, happened: Sequence[events.Any]
) -> Iterator[Check]:
    """What wears out, as the station file and the record of the cell have it."""
    if config is None or not config.assets:
        return
    path = cell_record.place(config, folder.parent, hardware=True)
    life = Life(config.assets, path, info.lot, worn(path))
    over, near = life.over(), "; ".join(life.near())
    told = ", ".join(f"{one.name} {life.before.had(one.name)}/{one.limit}" for one in config.assets)
    health = "bad" if over else "warning" if near else "ok"
    yield _waived(Check("assets", health, over or near or told), happened)


def _golden(info: LotInfo, config: StationConfig | None, happened: Sequence[events.Any]) -> Iterator[Check]:
    """The last check of golden units, if the station file asks for one; a study asks for none."""
    if config is None or not config.golden.result or info.study is not None:
        return
    try:
        watch = golden_watch(config, sequence_named(config.cell.sequence))
    except ConfigError as error:
        yield _waived(Check(GOLDEN, "bad", str(error)), happened)
    else:
        yield Check(GOLDEN, "ok", "" if watch is None else watch.check.units)


def _waived(check: Check, happened: Sequence[events.Any]) -> Check:
    """Say whether somebody answers for a check that is bad."""
    if check.health != "bad":
        return check
    said = [one for one in happened if isinstance(one, events.CheckWaived) and one.check == check.name]
    who = f"{said[-1].actor}: {said[-1].reason}" if said else ""
    return msgspec.structs.replace(check, waivable=not who, waived=who)


def _sites(happened: Sequence[events.Any]) -> Check:
    off = dict(_off(happened))
    told = ", ".join(f"{site}: {why}" for site, why in sorted(off.items()) if why)
    return Check("sites", "warning" if told else "ok", told or "all")


def _off(happened: Sequence[events.Any]) -> Iterator[tuple[int, str]]:
    """Yield each switching of a site, the last one last; an empty reason is one that tests."""
    for event in happened:
        if isinstance(event, events.SiteSet):
            yield event.site, "" if event.on else event.reason
