"""`hardbin status`: how the cell of a station stands."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from station.cli import listening
from station.cli.at_cell import JSON, Watched, seen
from station.cli.terminal import terminal
from station.console import shown

BAD = frozenset({"HELD", "ABORTING", "ABORTED"})
PRIORITIES = {"high": "bold red", "medium": "yellow", "low": ""}


@click.command()
@listening.engine
@click.option("-w", "--watch", is_flag=True, help="Again with each change, until interrupted.")
@JSON
def status(engine: Path, *, watch: bool, as_json: bool) -> None:
    """Show how the cell of a station stands: its lot, its counts, its bins, its alarms."""

    async def look(watched: Watched) -> None:
        said = terminal()
        while True:
            watched.changed.clear()
            if as_json:
                click.echo(msgspec.json.encode(watched.state))
            else:
                said.print(Group(*overview(watched)))
            if not watch:
                return
            await watched.changed.wait()

    seen(engine, look)


def overview(watched: Watched) -> Iterator[RenderableType]:
    """Yield what an operator asks first, a line each, and the bins."""
    now = watched.sum
    away = "" if watched.there else "  away: this is what was last known"
    style = "bold red" if now.state in BAD else "bold"
    yield Text.assemble(
        (f"{watched.name} {now.state}".strip(), style), f" {now.reason}".rstrip(), (away, "red")
    )
    if watched.lot is not None:
        info = watched.lot.info
        yield Text(f"lot {info.lot}, {info.product}, {info.sequence}")
        yield ProgressBar(info.quantity, now.tested, complete_style="green")
        yield _counts(now, info.quantity)
        off = [f"{site.site} ({site.why})" for site in now.sites if site.use == "off"]
        yield Text(f"sites off: {', '.join(off) or 'none'}")
    yield Text(f"equipment {now.e10} {now.e10_reason}".rstrip())
    for alarm in watched.alarms.all:
        if alarm.active and not alarm.acknowledged:
            yield Text(f"alarm {alarm.id}: {alarm.reason}", style=PRIORITIES[alarm.priority])
    if watched.lot is not None and now.bins:
        yield _bins(watched.lot.lot.bins, now)


def _counts(now: shown.Sum, quantity: int) -> Text:
    part = f" ({100 * now.good / now.tested:.2f} %)" if now.tested else ""
    return Text(
        f"{now.tested} of {quantity} tested, {now.good} good{part}, {now.retested} retested, "
        f"{now.units_per_hour:,.0f} units/h"
    )


def _bins(bins: tuple[shown.Bin, ...], now: shown.Sum) -> Table:
    table = Table("bin", "hard", "devices", "name", box=None)
    for one in bins:
        if count := now.bins.get(one.number):
            table.add_row(str(one.number), str(one.hard), str(count), one.name)
    return table


def sites(now: shown.Sum) -> Table:
    """Return a row for each site."""
    table = Table("site", "use", "tested", "good", "bin", "failing", "why", box=None)
    for one in now.sites:
        style = "yellow" if one.use == "off" else ""
        counts = (one.site, one.use, one.tested, one.good, one.bin or "", one.failing or "", one.why)
        table.add_row(*map(str, counts), style=style)
    return table
