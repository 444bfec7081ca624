"""`hardbin bench compare`: the same trivial sequence run by hardbin and by OpenHTF."""

from pathlib import Path

import click
from msgspec import json

from station.peers.comparison import PeerError, compared

COLUMNS = ("at once", "measurements/CPU-s", "ms/device", "efficiency", "MB")


@click.command()
@click.option(
    "--openhtf",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PYTHON",
    help="The Python of an environment in which OpenHTF is installed.",
)
@click.option("--devices", type=click.IntRange(1), default=20, show_default=True, help="At each site.")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def compare(*, openhtf: Path, devices: int, as_json: bool) -> None:
    """One sequence by hardbin and by OpenHTF, with 1, 4, 8 and 32 devices at once.

    50 rows of one measurement a device; efficiency with 100 rows that each wait 5 ms for an instrument.
    """
    try:
        found = list(compared(openhtf, devices))
    except PeerError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.encode(found))
        return
    click.echo(f"{'':<8}" + "".join(f"{name:>20}" for name in COLUMNS))
    for one in found:
        figures = (one.at_once, one.measurements_per_cpu_s, one.wall_ms_per_device, one.efficiency)
        told = "".join(f"{figure:>20,.5g}" for figure in (*figures, one.resident_mb))
        click.echo(f"{one.side:<8}{told}")
