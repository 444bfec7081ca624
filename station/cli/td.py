"""`hardbin td`: touchdowns as they come."""

from pathlib import Path

import click
import msgspec

from station import events
from station.cli import listening
from station.cli.at_cell import JSON, Watched, seen


@click.group()
def td() -> None:
    """Follow the touchdowns of a cell."""


@td.command()
@listening.engine
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@JSON
def tail(engine: Path, count: int | None, *, as_json: bool) -> None:
    """Print a line for each touchdown that closes, until interrupted or the station is gone."""

    async def look(watched: Watched) -> None:
        left = count
        click.echo(f"hardbin: following {watched.name}", err=True)
        async for event in watched.coming():
            if not isinstance(event, events.ContactsClosed):
                continue
            click.echo(msgspec.json.encode(event) if as_json else _line(event))
            left = None if left is None else left - 1
            if left == 0:
                return

    seen(engine, look)


def _line(closed: events.ContactsClosed) -> str:
    bins = " ".join(f"{one.site}:{one.soft}" for one in closed.outcomes)
    return f"touchdown {closed.seq}: {bins}"
