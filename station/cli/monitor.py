"""`hardbin monitor`: a cell on a terminal, as over ssh, where no browser is."""

from pathlib import Path

import click
from rich.console import Group
from rich.live import Live

from station.cli import listening
from station.cli.at_cell import Watched, seen
from station.cli.status import overview, sites
from station.cli.terminal import terminal

REFRESH_PER_S = 4


@click.command()
@listening.engine
def monitor(engine: Path) -> None:
    """Show the cell of a station, redrawn with each change, until interrupted."""

    async def look(watched: Watched) -> None:
        with Live(console=terminal(soft_wrap=False), refresh_per_second=REFRESH_PER_S, screen=True) as live:
            while True:
                watched.changed.clear()
                live.update(Group(*overview(watched), "", sites(watched.sum)))
                await watched.changed.wait()

    seen(engine, look)
