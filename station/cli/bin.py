"""`hardbin bin`: the bins of a lot, as a table and by what fails most."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.table import Table

from station import events
from station.cli import listening
from station.cli.at_cell import JSON, Watched, seen
from station.cli.codes import Exit
from station.cli.key_access import stop
from station.cli.lot import OUT
from station.cli.terminal import terminal
from station.custody.balance import Balance
from station.custody.journal import read
from station.model import Bin, BinKind
from station.open_lot import JOURNAL

LOT = click.argument("lot", required=False)
WIDTH = 40
"""Of the longest bar."""


class Filled(msgspec.Struct, frozen=True):
    """A bin, and how many devices lie in it by their last contact."""

    number: int
    name: str
    hard: int
    kind: str
    devices: int
    share: float
    """Of all that have a result."""


class Failing(Filled, frozen=True):
    """A bin that is no pass bin, the fullest first."""

    cumulated: float
    """What share of those that did not pass it and the bins before it have."""


@click.group()
def bin() -> None:  # noqa: A001 - the noun of the command
    """The bins of the lot in a cell, or of a lot in a folder."""


@bin.command()
@LOT
@OUT
@listening.engine
@JSON
def table(lot: str | None, out: Path, engine: Path, *, as_json: bool) -> None:
    """Print every bin, its hard bin, and how many devices lie in it: of LOT, or of the lot in the cell."""
    found = _filled(*_of(lot, out, engine))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    shown = Table("bin", "name", "hard", "kind", "devices", "share", box=None)
    for one in found:
        shown.add_row(*_cells(one))
    terminal().print(shown)


@bin.command()
@LOT
@OUT
@listening.engine
@JSON
def pareto(lot: str | None, out: Path, engine: Path, *, as_json: bool) -> None:
    """Print the bins that are no pass bins, the fullest first: of LOT, or of the lot in the cell."""
    found = list(_failing(_filled(*_of(lot, out, engine))))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    if not found:
        click.echo("every device that has a result passed")
        return
    shown = Table("bin", "name", "devices", "share", "cumulated", "", box=None)
    most = max((one.devices for one in found), default=1)
    for one in found:
        number, name, _, _, devices, share = _cells(one)
        shown.add_row(number, name, devices, share, f"{one.cumulated:.1%}", "#" * _bar(one, most))
    terminal().print(shown)


def _bar(one: Filled, most: int) -> int:
    return max(1, round(WIDTH * one.devices / most))


def _cells(one: Filled) -> tuple[str, str, str, str, str, str]:
    return str(one.number), one.name, str(one.hard), one.kind, str(one.devices), f"{one.share:.1%}"


def _of(lot: str | None, out: Path, engine: Path) -> tuple[tuple[Bin, ...], dict[int, int]]:
    """Return the bins of a lot, and how many devices each has."""
    return _at_cell(engine) if lot is None else _in_folder(out / lot)


def _at_cell(engine: Path) -> tuple[tuple[Bin, ...], dict[int, int]]:
    async def look(watched: Watched) -> tuple[tuple[Bin, ...], dict[int, int]]:
        if watched.lot is None:
            stop(Exit.NOT_FOUND, "the cell has no lot: name one of a folder")
        return watched.lot.info.bins, dict(watched.sum.bins)

    return seen(engine, look)


def _in_folder(folder: Path) -> tuple[tuple[Bin, ...], dict[int, int]]:
    if not (folder / JOURNAL).exists():
        stop(Exit.NOT_FOUND, f"{folder}: there is no lot: `hardbin lot list` shows what there is")
    balance, bins = Balance(), tuple[Bin, ...]()
    for event in read(folder / JOURNAL):
        balance.add(event)
        if isinstance(event, events.LotLoaded):
            bins = event.info.bins
    return bins, dict(balance.by_soft_bin())


def _filled(bins: tuple[Bin, ...], counts: dict[int, int]) -> list[Filled]:
    total = sum(counts.values()) or 1
    return [
        Filled(
            one.number,
            one.name,
            one.hard,
            one.kind.value,
            counts.get(one.number, 0),
            counts.get(one.number, 0) / total,
        )
        for one in bins
    ]


def _failing(found: list[Filled]) -> Iterator[Failing]:
    failing = [one for one in found if one.devices and one.kind != BinKind.PASS.value]
    total, before = sum(one.devices for one in failing), 0
    for one in sorted(failing, key=lambda one: (-one.devices, one.number)):
        before += one.devices
        yield Failing(**msgspec.structs.asdict(one), cumulated=before / total)
