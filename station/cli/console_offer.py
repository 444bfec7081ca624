"""`--console`: that a run or a station offers the operator console a socket."""

from pathlib import Path
from typing import Any

import click

from station.assemble import may_clean, sequence_named
from station.config import StationConfig
from station.console.shown import Row
from station.console.wire import VERSION, Hello
from station.rows import Functional, Parametric, Test, definition

SOCKET = Path("station-data/console.sock")

option = click.option(
    "--console",
    "socket",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=SOCKET,
    help=f"Offer the operator console a socket, by default {SOCKET}.",
)


def hello(config: StationConfig, *, more_lots: bool, real: bool) -> Hello:
    """Return what a station tells its console first."""
    sequence = sequence_named(config.cell.sequence)
    return Hello(
        version=VERSION,
        plant=config.station.plant,
        station=config.station.name,
        product=config.cell.product,
        sequence=sequence.name,
        fingerprint=sequence.fingerprint().hex(),
        sites=tuple(sorted(config.sites)),
        more_lots=more_lots,
        rows=tuple(map(_row, sequence.tests())),
        real=real,
        cleans=may_clean(config),
        station_file=str(config.source.absolute()),
    )


def _row(test: Test[Any]) -> Row:
    swept = test.swept if isinstance(test, Parametric | Functional) else ()
    return Row(test.number, test.name, definition(test).kind, swept)
