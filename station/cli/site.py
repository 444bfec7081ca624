"""`hardbin site`: the sites of a cell, in use or not."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.table import Table

from station import commands
from station import config as station_config
from station.cli import listening
from station.cli.at_cell import JSON, REASON, Asker, Watched, asking, seen
from station.cli.status import sites
from station.cli.terminal import terminal
from station.config import StationConfig

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
            terminal().print(sites(watched.sum))

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


@site.command()
@click.option(
    "--station", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Station file."
)
@JSON
def plan(station: Path, *, as_json: bool) -> None:
    """Print by role whether the sites work at the same time, or take turns at one machine."""
    found = [*_plan(station_config.load(station))]
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    table = Table("role", "machine", "sites", "so they", box=None)
    for one in found:
        turns = "take turns" if len(one.sites) > 1 else "work at the same time"
        table.add_row(one.role, one.machine, " ".join(map(str, one.sites)), turns)
    terminal().print(table)


class Planned(msgspec.Struct, frozen=True):
    """A machine, or a channel of it, in a role; several sites that have it take turns."""

    role: str
    machine: str
    sites: tuple[int, ...]


def _plan(config: StationConfig) -> Iterator[Planned]:
    having = defaultdict[str, list[tuple[int, str]]](list)
    for number, bindings in config.sites.items():
        for role, name in bindings.items():
            having[name].append((number, role))
    for name, users in having.items():
        roles = ", ".join(dict.fromkeys(role for _, role in users))
        yield Planned(roles, name, tuple(dict.fromkeys(number for number, _ in users)))
