"""`hardbin site`: the sites of a cell, in use or not."""

from pathlib import Path

import click
import msgspec
from rich.console import Console

from station import commands
from station.cli import listening
from station.cli.at_cell import JSON, REASON, Asker, Watched, asking, seen
from station.cli.status import sites

SITE = click.argument("number", metavar="SITE", type=click.IntRange(1))


@click.group()
def site() -> None:
    """Show the sites of a cell; take one out of use, or into it."""


@site.command(name="list")
@listening.engine
@JSON
def list_(engine: Path, *, as_json: bool) -> None:
    """Print the sites of the lot, and what each has tested."""

    async def look(watched: Watched) -> None:
        if as_json:
            click.echo(msgspec.json.encode(watched.sum.sites))
        else:
            Console(highlight=False, soft_wrap=True).print(sites(watched.sum))

    seen(engine, look)


@site.command()
@SITE
@REASON
@asking
def on(ask: Asker, number: int, reason: str) -> int:
    """Test at a SITE from the next touchdown on."""
    return ask(commands.SetSite(**ask.who, site=number, on=True, reason=reason))


@site.command()
@SITE
@REASON
@asking
def off(ask: Asker, number: int, reason: str) -> int:
    """Test at a SITE no more from the next touchdown on."""
    return ask(commands.SetSite(**ask.who, site=number, on=False, reason=reason))
