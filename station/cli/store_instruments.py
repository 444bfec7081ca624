"""`hardbin store instruments`: which machine took a value, by serial number; which software ran."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from station.cli.stdf_files import JSON, chosen, must_exist
from station.datalog.store import Store
from station.errors import ConfigError
from station.instruments import at_work
from station.model import LotInfo
from station.set_up import Instrument, Software

HEAD = ("site", "role", "machine", "model", "serial", "firmware", "calibration due", "from")


class Used(Struct, frozen=True):
    """One role at one site, and the machine that played it."""

    lot: str
    run: int
    site: int
    role: str
    channel: str
    instrument: Instrument
    part: int = 0
    """The device that was asked for, 0 for all."""
    contact: int = 0


class Ran(Struct, frozen=True):
    """What one run is traced to."""

    lot: str
    run: int
    software: tuple[Software, ...]
    instruments: tuple[Used, ...]


@click.command()
@click.argument("files", metavar="STORE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", type=click.IntRange(1), help="Of a store with several runs.")
@click.option("--part", type=click.IntRange(1), help="Only what has tested this device, by contact.")
@click.option("--site", type=click.IntRange(1, 64), help="Only of this site.")
@JSON
def instruments(
    files: tuple[Path, ...], run: int | None, part: int | None, site: int | None, as_json: bool
) -> None:
    """Say with which machines a lot was tested, by serial number and calibration, and by which software.

    Of several stores, one run each.
    """
    found = [_ran(file, run, part, site) for file in files]
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for one in found:
            _shown(one)


def _ran(file: Path, run: int | None, part: int | None, site: int | None) -> Ran:
    must_exist(file)
    store = Store(file)
    try:
        number = chosen(store, run)
        info = store.info(number)
        used = _all(info, number) if part is None else _of_part(store, number, info, part)
        mine = tuple(one for one in used if site in (None, one.site))
    finally:
        store.close()
    return Ran(info.lot, number, info.software, mine)


def _all(info: LotInfo, run: int) -> Iterator[Used]:
    """Yield every machine that was bound, those too that were replaced, and then those bound to no site."""
    for binding in info.bindings:
        for one in info.instruments:
            if one.name == binding.machine:
                yield Used(info.lot, run, binding.site, binding.role, binding.channel, one)
    bound = {binding.machine for binding in info.bindings}
    yield from (Used(info.lot, run, 0, "", "", one) for one in info.instruments if one.name not in bound)


def _of_part(store: Store, run: int, info: LotInfo, part: int) -> Iterator[Used]:
    touched = False
    for landing in store.touchdowns(run):
        for device in landing.devices:
            if device.part == part:
                touched = True
                yield from _at(info, run, landing.seq, device.site, (part, device.contact))
    if not touched:
        raise ConfigError(f"{store.path}: lot {info.lot} has no device {part}")


def _at(info: LotInfo, run: int, seq: int, site: int, device: tuple[int, int]) -> Iterator[Used]:
    there = at_work(info.instruments, seq)
    for binding in info.bindings:
        if binding.site == site and binding.machine in there:
            one = there[binding.machine]
            yield Used(info.lot, run, site, binding.role, binding.channel, one, *device)


def _shown(ran: Ran) -> None:
    for one in ran.software:
        since = f", from touchdown {one.since} on" if one.since > 1 else ""
        lock = one.lock_sha256[:16]
        click.echo(f"lot {ran.lot}: hardbin {one.hardbin}, Python {one.python}, lock {lock}{since}")
    rows = [HEAD, *map(_row, ran.instruments)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(one: Used) -> tuple[str, ...]:
    machine = one.instrument
    return (
        f"{one.site or '-'}",
        one.role or "-",
        machine.name + (f".{one.channel}" if one.channel else ""),
        machine.model or "-",
        (machine.serial or "-") + (" (stated)" if machine.stated else ""),
        machine.firmware or "-",
        machine.calibration_due or "-",
        f"touchdown {machine.since}",
    )
