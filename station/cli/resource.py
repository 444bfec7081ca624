"""`hardbin resource`: what of a cell is out of use until somebody clears it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec import json

from station import cell_record
from station import config as station_config
from station.cli.said import Said, says
from station.cli.vouching import vouching
from station.clock import RealClock

Command = Callable[..., object]
STATION = click.option(
    "--station", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Station file."
)
OUT = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lots"),
    show_default=True,
    help="Where its lots are.",
)


@click.group()
def resource() -> None:
    """Machines of a cell that are out of use: which they are, and clear them."""


def record(station: Path, out: Path) -> Path:
    """Return where the record of a cell is."""
    found = cell_record.place(station_config.load(station), out, hardware=True)
    assert found is not None  # noqa: S101 - of hardware there is always one
    return found


@resource.command("list")
@STATION
@OUT
@click.option("--json", "as_json", is_flag=True, help="Print one list.")
def list_(station: Path, out: Path, as_json: bool) -> None:
    """Print what is out of use, since when, and why."""
    found = list(cell_record.quarantined(record(station, out)).values())
    if as_json:
        click.echo(json.encode(found))
        return
    for one in found:
        since = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        click.echo(f"{one.resource}  since {since} UTC: {one.reason}")
    if not found:
        click.echo("nothing is out of use")


@resource.command()
@click.argument("name")
@STATION
@OUT
@vouching
@says
def clear(name: str, station: Path, out: Path, by: str, reason: str) -> Said:
    """Let a machine, or one channel of it, be used again from the next lot on."""
    cleared = cell_record.clear(record(station, out), name, actor=by, reason=reason, at=RealClock().unix())
    return Said(f"cleared: {', '.join(cleared)}", cleared=cleared)
