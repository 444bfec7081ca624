"""What is looked at between load and start of a lot, from its records and the machine it runs on."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from station import cell_record, events
from station import config as station_config
from station.assemble import sequence_named
from station.authority import answering
from station.config import StationConfig
from station.custody.journal import read
from station.doctor import before_a_lot
from station.engine.empty import EMPTY
from station.engine.history import History, history_of
from station.engine.prelot import DOCKING, LOT_DATA, VAULT, lot_data
from station.engine.states import State
from station.engine.stops import Cause
from station.engine.tempering import RULE as TEMPERATURE
from station.errors import ConfigError, StorageError
from station.golden_check import GOLDEN, golden_watch
from station.guard import ACTOR
from station.life import ASSETS, BLOCK, CLEAN_BLOCK, Life, check_of, worn
from station.model import LotInfo
from station.open_lot import PREVIOUS, besides
from station.set_up import Instrument, Traveller

NEAR = timedelta(days=14)
"""A calibration that is over within so long is told."""
NONE = "none"
ABORTED = (State.ABORTING, State.ABORTED)


class Check(Struct, frozen=True):
    """One check, by its name on the page: `ok`, `warning` or `bad`, and what was found."""

    name: str
    health: str
    found: str
    waivable: bool = False
    """Whether somebody may answer for it now."""
    who: tuple[str, ...] = ()
    """Of which role, if it is one for which somebody may; for all else nobody can."""
    waived: str = ""
    """Who does, and why."""
    sites: tuple[int, ...] = ()
    """Those at which it is bad, and that still test: without them the lot may begin."""


def checks(
    folder: Path,
    today: date,
    station_file: Path | None = None,
    *,
    real: bool = False,
    of_vault: Collection[str] = (),
) -> list[Check]:
    """Look at everything, in the order in which it is shown.

    `real`: the machines are. `of_vault`: what lasts of that which the vault told by itself.
    """
    try:
        happened = list(read(folder / "journal"))
        history = history_of(happened)
    except (OSError, StorageError) as error:
        return [Check("records", "bad", str(error))]
    beside = tuple(Check(one.name, one.health.value, one.found) for one in before_a_lot(folder))
    try:
        config = None if station_file is None else station_config.load(station_file)
        found = _found(folder, today, history, happened, config, real=real, of_vault=of_vault)
    except ConfigError as error:
        found = _found(folder, today, history, happened, None, real=real, of_vault=of_vault)
        known = (one for one in found if one.name != LOT_DATA)  # the card is that of the station file
        return [*known, Check("records", "bad", str(error)), *beside]
    records = Check("records", "ok", f"{folder.name}: {len(happened)} events, in order")
    return [*found, records, *beside]


def _found(
    folder: Path,
    today: date,
    history: History,
    happened: Sequence[events.Any],
    config: StationConfig | None,
    *,
    real: bool,
    of_vault: Collection[str],
) -> list[Check]:
    """What is said by the lot's journal, and by the station file where it can be read."""
    info = history.info
    answerable = (
        _lot_data(info, history.says, config),
        _calibration(info.instruments, today),
        *_assets(folder, info, config),
        *_clean_block(folder, info, config),
        *_temperature(info, history, happened),
        *_empty(config, happened),
        *_golden(info, config),
        *(_previous(folder, info) if real else ()),
    )
    return [
        _recipe(info),
        _machines(info.instruments),
        *(_answered(check, happened) for check in answerable),
        *_docking(history, happened),
        *_vault(info, history, happened, of_vault),
        _sites(happened),
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


def _lot_data(info: LotInfo, says: Traveller | None, config: StationConfig | None) -> Check:
    """What the traveller says beside what the cell is."""
    assets = () if config is None else [one.name for one in config.assets]
    if wrong := lot_data(info, says, assets):
        return Check(LOT_DATA, "bad", wrong[LOT_DATA])
    told = () if says is None else (one for one in msgspec.structs.astuple(says) if one)
    return Check(LOT_DATA, "ok", ", ".join(told) or NONE)


def _assets(folder: Path, info: LotInfo, config: StationConfig | None) -> Iterator[Check]:
    """What wears out by touchdowns, as the station file and the record of the cell have it."""
    if config is not None and any(one.kind != BLOCK for one in config.assets):
        yield _worn(ASSETS, folder, info, config)


def _clean_block(folder: Path, info: LotInfo, config: StationConfig | None) -> Iterator[Check]:
    """What the tips are cleaned on, of a cell that has it, or cleans."""
    if config is None:
        return
    every = sequence_named(config.cell.sequence).rules.clean_every
    cleans = "" if every is None else f"every {every} touchdowns"
    if any(one.kind == BLOCK for one in config.assets):
        found = _worn(CLEAN_BLOCK, folder, info, config)
        yield msgspec.structs.replace(found, found="; ".join(filter(None, (found.found, cleans))))
    elif cleans:
        yield Check(CLEAN_BLOCK, "ok", f"{cleans}; the station file names no block, so none is counted")


def _worn(check: str, folder: Path, info: LotInfo, config: StationConfig) -> Check:
    assets = tuple(one for one in config.assets if check_of(one) == check)
    path = cell_record.place(config, folder.parent, hardware=True)
    life = Life(assets, path, info.lot, worn(path))
    over, near = life.over(), "; ".join(life.near())
    told = ", ".join(f"{one.name} {life.before.had(one.name)}/{one.limit}" for one in assets)
    health = "bad" if over else "warning" if near else "ok"
    return Check(check, health, over or near or told)


def _temperature(info: LotInfo, history: History, happened: Sequence[events.Any]) -> Iterator[Check]:
    """The temperature of a lot that has one: whether it is reached shows when the lot is started."""
    if info.tempered is None:
        return
    wanted = info.tempered
    told = f"{wanted.celsius:g} ± {wanted.window_k:g} °C, {wanted.soak_s:g} s"
    reached = any(isinstance(one, events.TemperatureReached) for one in happened)
    missed = history.state is State.HELD and _ran(happened) and not reached
    yield Check(TEMPERATURE, "bad" if missed else "ok", f"{told}: {history.reason}" if missed else told)


def _empty(config: StationConfig | None, happened: Sequence[events.Any]) -> Iterator[Check]:
    """What the sequence measures with nothing in contact: it shows when the lot is checked."""
    rows = () if config is None else sequence_named(config.cell.sequence).empty
    if not rows:
        return
    told, off = _told(EMPTY, happened), dict(_off(happened))
    if told is None or told.health == "ok":
        yield Check(EMPTY, "ok", ", ".join(f"{row.number} {row.name}" for row in rows))
        return
    left = tuple(site for site in told.sites if not off.get(site))
    yield Check(EMPTY, "bad" if left else "warning", told.found, sites=left)


def _ran(happened: Sequence[events.Any]) -> bool:
    running = State.RUNNING.value
    return any(isinstance(one, events.StateChanged) and one.new == running for one in happened)


def _previous(folder: Path, info: LotInfo) -> Iterator[Check]:
    """Whether another lot of the station is open."""
    left = besides(folder, info.station)
    yield Check(PREVIOUS, "bad" if left else "ok", left or NONE)


def _golden(info: LotInfo, config: StationConfig | None) -> Iterator[Check]:
    """The last check of golden units, if the station file asks for one; a study asks for none."""
    if config is None or not config.golden.result or info.study is not None:
        return
    try:
        watch = golden_watch(config, sequence_named(config.cell.sequence))
    except ConfigError as error:
        yield Check(GOLDEN, "bad", str(error))
    else:
        yield Check(GOLDEN, "ok", "" if watch is None else watch.check.units)


def _docking(history: History, happened: Sequence[events.Any]) -> Iterator[Check]:
    """The interlocks of a cell that has some; while the lot is there each is read twice a second."""
    if (told := _told(DOCKING, happened)) is None:
        return
    opened = [
        one.reason for one in happened if isinstance(one, events.CommandAccepted) and one.actor == ACTOR
    ]
    if history.state in ABORTED and opened:
        yield Check(DOCKING, "bad", opened[-1])
    else:
        yield Check(DOCKING, told.health, told.found)


def _vault(
    info: LotInfo, history: History, happened: Sequence[events.Any], of_vault: Collection[str]
) -> Iterator[Check]:
    """The vault of a lot that has one: it answered, so its key store is open."""
    if (told := _told(VAULT, happened)) is None:
        return
    held = [one for one in happened if isinstance(one, events.StateChanged)][-1:]
    quotas = [one.quota for one in happened if isinstance(one, events.QuotaTold)]
    if history.state is State.HELD and held[0].cause == Cause.CUSTODY:
        yield Check(VAULT, "bad", history.reason)
    elif told.health == "bad" or of_vault:
        yield Check(VAULT, "bad", "; ".join((told.found, *of_vault)))
    elif quotas:
        last = quotas[-1]
        left = last.begun_max - last.begun
        found = f"{told.found}; {last.order}: {left} of {last.begun_max} may still be begun"
        yield Check(VAULT, "warning" if left < info.quantity else "ok", found)
    else:
        yield Check(VAULT, "ok", told.found)


def _told(check: str, happened: Sequence[events.Any]) -> events.CheckTold | None:
    """What was last told of a check."""
    found = [one for one in happened if isinstance(one, events.CheckTold) and one.check == check]
    return found[-1] if found else None


def _answered(check: Check, happened: Sequence[events.Any]) -> Check:
    """Say who may answer for a check, and whether somebody does."""
    # what shows later only may be answered for before
    said = [one for one in happened if isinstance(one, events.CheckWaived) and one.check == check.name]
    waived = f"{said[-1].actor}: {said[-1].reason}" if said else ""
    asks = not waived and (check.health == "bad" or check.name in (TEMPERATURE, EMPTY))
    who = tuple(sorted(answering(check.name)))
    return msgspec.structs.replace(check, who=who, waivable=asks, waived=waived)


def _sites(happened: Sequence[events.Any]) -> Check:
    off = dict(_off(happened))
    told = ", ".join(f"{site}: {why}" for site, why in sorted(off.items()) if why)
    return Check("sites", "warning" if told else "ok", told or "all")


def _off(happened: Sequence[events.Any]) -> Iterator[tuple[int, str]]:
    """Yield each switching of a site, the last one last; an empty reason is one that tests."""
    for event in happened:
        if isinstance(event, events.SiteSet):
            yield event.site, "" if event.on else event.reason
