"""`hardbin store`: from a station's results to the plant, to Parquet, and to whoever asks in SQL."""

from pathlib import Path

import click
import msgspec

from station.cli.said import Said, says
from station.cli.stdf_files import JSON, chosen, must_exist
from station.cli.store_instruments import instruments
from station.clock import RealClock
from station.datalog.store import Store

STORE = click.argument("file", metavar="STORE", type=click.Path(path_type=Path))
PLANT = click.option("--plant", required=True, help="postgresql://USER@HOST/DATABASE, without a password.")
RUN = click.option("--run", type=click.IntRange(1), help="Of a store with several runs.")


@click.group()
def store() -> None:
    """Bring results to the plant's database or to Parquet, and ask for them in SQL."""


store.add_command(instruments)


@store.command()
@PLANT
@says
def upgrade(plant: str) -> Said:
    """Make the tables of the plant's database, or bring them to this version."""
    from station.datalog.plant.database import reached, upgraded

    upgraded(reached(plant))
    return Said("the plant's database has the schema of this version", upgraded=True)


@store.command()
@STORE
@PLANT
@says
def sync(file: Path, plant: str) -> Said:
    """Tell the plant's database what it does not have yet, in order; telling it again changes nothing."""
    from station.datalog.plant.database import reached
    from station.datalog.plant.sync import synced

    must_exist(file)
    opened = Store(file)
    try:
        count = synced(opened, reached(plant), RealClock().unix)
        return Said(f"{count} entries told", told=count)
    finally:
        opened.close()


@store.command()
@STORE
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the archive.")
@RUN
@click.option("--prune", is_flag=True, help="Take the measurements out of the store when they are verified.")
@JSON
def archive(file: Path, out: Path, run: int | None, *, prune: bool, as_json: bool) -> None:
    """Write a finished run to Parquet, read it back, and prune it if asked."""
    from station.datalog.plant.retention import archived

    must_exist(file)
    opened = Store(file)
    try:
        found = archived(opened, chosen(opened, run), out, prune=prune)
    finally:
        opened.close()
    text = f"lot {found.lot}: {found.rows} rows, sha256 {found.sha256}" + (", pruned" if prune else "")
    click.echo(msgspec.json.encode(found).decode() if as_json else text)


@store.command("to-ritdb")
@STORE
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The new file.")
@RUN
@says
def to_ritdb(file: Path, out: Path, run: int | None) -> Said:
    """Write a run as RITdb (SEMI E183), an SQLite file of entities."""
    from station.datalog.ritdb import export

    must_exist(file)
    opened = Store(file)
    try:
        rows = export(opened, chosen(opened, run), out)
        return Said(f"{out.name}: {rows} rows", file=out, rows=rows)
    finally:
        opened.close()


@store.command()
@STORE
@click.argument("sql")
@RUN
@JSON
def query(file: Path, sql: str, run: int | None, *, as_json: bool) -> None:
    """Ask in SQL (DuckDB): tables meas (a row a value), contact, test and bin of a run."""
    from station.datalog.views import asked

    must_exist(file)
    opened = Store(file)
    try:
        found = asked(opened, chosen(opened, run), sql)
    finally:
        opened.close()
    if as_json:
        click.echo(msgspec.json.encode(found.to_pylist()).decode())
        return
    click.echo("\t".join(found.column_names))
    for row in found.to_pylist():
        click.echo("\t".join("" if value is None else f"{value}" for value in row.values()))
