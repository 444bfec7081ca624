"""`hardbin asset`: what of a cell wears out, how many touchdowns it has had, and that it is new."""

import asyncio
from pathlib import Path

import click
from msgspec import json

from station import cell_record
from station import config as station_config
from station.cli.resource import OUT, STATION, record
from station.cli.said import Said, says
from station.cli.vouching import vouching
from station.clock import RealClock
from station.life import replaced, worn


@click.group()
def asset() -> None:
    """Probe cards, contactors and boards: their touchdowns and limits, and that one is new."""


@asset.command("list")
@STATION
@OUT
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def list_(station: Path, out: Path, *, as_json: bool) -> None:
    """Print what the cell has, with its touchdowns, warning and limit."""
    assets, had = station_config.load(station).assets, worn(record(station, out))
    found = [
        {"asset": one.name, "kind": one.kind, "touchdowns": had.had(one.name)}
        | {"warning": one.warning, "limit": one.limit}
        for one in assets
    ]
    if as_json:
        click.echo(json.encode(found))
        return
    for one in assets:
        count = had.had(one.name)
        state = (
            "over its limit" if count >= one.limit else "near its limit" if count >= one.warning else "good"
        )
        click.echo(f"{one.name}  {one.kind}  {count} of {one.limit}, warning at {one.warning}: {state}")
    if not found:
        click.echo("the station file names none")


@asset.command()
@click.argument("name")
@STATION
@OUT
@vouching
@says
def replace(name: str, station: Path, out: Path, by: str, reason: str) -> Said:
    """Begin to count anew: NAME is a new one."""
    return _anew(name, station, out, by, reason)


@asset.command("reset-counter")
@click.argument("name")
@STATION
@OUT
@vouching
@says
def reset_counter(name: str, station: Path, out: Path, by: str, reason: str) -> Said:
    """Begin to count anew: NAME is the one that it was, and as good as new."""
    return _anew(name, station, out, by, f"counter reset: {reason}")


def _anew(name: str, station: Path, out: Path, by: str, reason: str) -> Said:
    told = replaced(station_config.load(station).assets, name, by, reason, RealClock().unix())
    asyncio.run(cell_record.append(record(station, out), told))
    return Said(f"{name}: counted from 0", asset=name, touchdowns=0)
