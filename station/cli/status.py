"""`hardbin status`: how the cell of a station stands."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from station.cli import listening
from station.cli.at_cell import JSON, Watched, seen


@click.command()
@listening.engine
@click.option("-w", "--watch", is_flag=True, help="Again with each change, until interrupted.")
@JSON
def status(engine: Path, *, watch: bool, as_json: bool) -> None:
    """Show how the cell of a station stands: its lot, its counts, its sites, its alarms."""

    async def look(watched: Watched) -> None:
        while True:
            watched.changed.clear()
            if as_json:
                click.echo(msgspec.json.encode(watched.state))
            else:
                overview(watched)
            if not watch:
                return
            await watched.changed.wait()

    seen(engine, look)


def overview(watched: Watched, *, bins: bool = False) -> None:
    """Print what an operator asks first; `bins`: its bins too."""
    now = watched.sum
    said = Console(highlight=False, soft_wrap=True)
    said.print(f"[bold]{watched.name} {now.state}[/] {now.reason}".strip())
    if watched.lot is not None:
        info = watched.lot.info
        part = now.good / now.tested if now.tested else 0.0
        said.print(
            f"lot {info.lot}, {info.product}, {info.sequence}: {now.tested} of {info.quantity} tested, "
            f"{now.good} good ({100 * part:.2f} %), {now.units_per_hour:,.0f} units/h"
        )
        off = [f"{site.site} ({site.why})" for site in now.sites if site.use == "off"]
        said.print(f"sites off: {', '.join(off) or 'none'}")
    said.print(f"equipment {now.e10} {now.e10_reason}".rstrip())
    for alarm in watched.alarms.all:
        if alarm.active and not alarm.acknowledged:
            said.print(f"alarm {alarm.id} {alarm.priority}: {alarm.reason}")
    if bins and watched.lot is not None:
        table = Table("bin", "hard", "devices", "name", box=None)
        for one in watched.lot.info.bins:
            if count := now.bins.get(one.number):
                table.add_row(str(one.number), str(one.hard), str(count), one.name)
        said.print(table)
