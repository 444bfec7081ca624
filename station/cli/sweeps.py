"""`hardbin lot sweeps`: what the sweeps of a lot came to, drawn again from its journal."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from station.cli.at_cell import JSON
from station.cli.codes import Exit
from station.cli.key_access import stop
from station.cli.step import ended, plot
from station.open_lot import JOURNAL
from station.past_sweeps import PastSweep, sweeps_in


@click.command()
@click.argument("name", metavar="LOT")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lots"),
    show_default=True,
    help="The folder of the lots.",
)
@click.option("--site", type=click.IntRange(1), help="Of this one; else of all.")
@click.option("--row", type=click.IntRange(1), help="Of this test; else of all.")
@JSON
def sweeps(name: str, out: Path, site: int | None, row: int | None, *, as_json: bool) -> None:
    """Draw again what `lot shmoo` has found in a LOT, open or closed."""
    journal = out / name / JOURNAL
    if not journal.exists():
        stop(Exit.NOT_FOUND, f"{journal}: no lot is there: `hardbin lot list` shows what there is")
    found = [
        one for one in sweeps_in(journal) if site in (None, one.begun.site) and row in (None, one.begun.row)
    ]
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif not found:
        stop(Exit.NOT_FOUND, f"lot {name}: nothing was swept{_where(site, row)}")
    else:
        click.echo("\n\n".join("\n".join(_drawn(one)) for one in found))


def _where(site: int | None, row: int | None) -> str:
    at = "" if site is None else f" at site {site}"
    return at + ("" if row is None else f" in test {row}")


def _drawn(one: PastSweep) -> Iterator[str]:
    begun = one.begun
    when = datetime.fromtimestamp(begun.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    yield f"{when} site {begun.site}, device {begun.part}: {begun.row} {begun.name}, by {begun.actor}"
    yield from plot(begun.x, begun.y, {(point.x, point.y): point for point in one.points})
    yield f"{len(one.points)} points, it has not ended" if one.ended is None else ended(one.ended)
