"""The machines of a cell by their serial numbers: who they are, how long calibrated, and where they play.

What is read here stands in the record of each lot, so that any value leads to the machine that took it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

import msgspec

from drivers.errors import EquipmentError
from drivers.roles import Identity, Machine
from station.config import Placed, StationConfig, machine_of
from station.engine.plan import Examined
from station.evidence.versions import versions
from station.set_up import Binding, Instrument, Software

IDENTIFY_BOUND_S = 10.0
T = TypeVar("T", Instrument, Software)


@dataclass(frozen=True)
class Inventory:
    """The machines as they are now."""

    instruments: tuple[Instrument, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    """By name, why a machine did not say who it is."""


async def read(config: StationConfig, machines: Mapping[str, Machine]) -> Inventory:
    """Ask every machine who it is, all at once."""
    silent = dict[str, str]()
    async with asyncio.TaskGroup() as group:
        asked = [
            (placed, group.create_task(_asked(placed.name, machines[placed.name], silent)))
            for placed in config.equipment
        ]
    return Inventory(tuple(_instrument(placed, task.result()) for placed, task in asked), silent)


async def _asked(name: str, machine: Machine, silent: dict[str, str]) -> Identity:
    try:
        async with asyncio.timeout(IDENTIFY_BOUND_S):
            return await machine.identify()
    except EquipmentError as error:
        silent[name] = str(error)
    except TimeoutError:
        silent[name] = f"no answer within {IDENTIFY_BOUND_S:g} s"
    return Identity("", "")


def _instrument(placed: Placed, found: Identity) -> Instrument:
    told = found.serial.strip()
    return Instrument(
        name=placed.name,
        driver=placed.driver,
        maker=found.maker.strip(),
        model=found.model.strip(),
        serial=told or placed.serial,
        firmware=found.firmware.strip(),
        calibration_due="" if placed.calibration_due is None else placed.calibration_due.isoformat(),
        stated=bool(placed.serial and not told),
    )


def bindings(config: StationConfig) -> tuple[Binding, ...]:
    """Return who plays which role at which site."""
    return tuple(
        Binding(site, role, *machine_of(name))
        for site, roles in config.sites.items()
        for role, name in roles.items()
    )


def software() -> tuple[Software, ...]:
    """Return what runs now."""
    now = versions()
    return (Software(now.hardbin, now.python, now.lock_sha256),)


# -- before a lot
def examined(config: StationConfig, found: Inventory, at: float) -> Examined:
    """Compare with what the station file says of machines, on the day of `at` (unix seconds, UTC)."""
    today = datetime.fromtimestamp(at, UTC).date()
    stated = {placed.name: placed for placed in config.equipment}
    wrong, near, over = list[str](), list[str](), list[str]()
    for instrument in found.instruments:
        wrong += _another(stated[instrument.name], instrument, found.silent)
        due = stated[instrument.name].calibration_due
        if due is not None and due < today:
            over.append(f"{instrument.name}: its calibration was due on {due}, today is {today}")
        elif due is not None and (due - today).days <= config.station.calibration_notice_days:
            near.append(f"{instrument.name}: {_left(due, today)}")
    return Examined(tuple(wrong), tuple(near), {"calibration": "; ".join(over)} if over else {})


def _another(placed: Placed, found: Instrument, silent: Mapping[str, str]) -> Iterator[str]:
    if not placed.serial:
        return
    if placed.name in silent:
        yield f"{placed.name}: it does not say who it is: {silent[placed.name]}"
    elif found.serial != placed.serial:
        yield f"{placed.name}: serial number {found.serial} answers, the station file says {placed.serial}"


def _left(due: date, today: date) -> str:
    days = (due - today).days
    return f"its calibration is due on {due}, " + ("today" if not days else f"in {days} days")


# -- a lot that is taken up
def followed(before: tuple[T, ...], now: Iterable[T], since: int) -> tuple[T, ...]:
    """Return what the lot has had and has from landing `since` on; nothing is added that is as it was."""
    latest = {_key(one): one for one in before}
    return before + tuple(
        msgspec.structs.replace(one, since=since)
        for one in now
        if msgspec.structs.replace(one, since=1) != _as_first(latest.get(_key(one)))
    )


def _key(one: Instrument | Software) -> str:
    return one.name if isinstance(one, Instrument) else ""


def _as_first(one: T | None) -> T | None:
    return None if one is None else msgspec.structs.replace(one, since=1)


def at_work(instruments: Iterable[Instrument], seq: int) -> dict[str, Instrument]:
    """Return by name the machine that was there at landing `seq`."""
    found = dict[str, Instrument]()
    for one in sorted(instruments, key=lambda instrument: instrument.since):
        if one.since <= seq:
            found[one.name] = one
    return found
