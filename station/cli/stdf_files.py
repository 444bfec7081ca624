"""`hardbin stdf`: what makes files of files, and of the store."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.table import Table

from station.cli.codes import Exit
from station.cli.said import Said, says
from station.cli.terminal import terminal
from station.clock import RealClock
from station.errors import StorageError

if TYPE_CHECKING:
    from station.datalog.parquet import Write
    from station.datalog.stdf.writer import Profile
    from station.datalog.store import Store

FILE = click.argument("file", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
OUT = click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The new file; none is overwritten."
)
RUN = click.option("--run", type=click.IntRange(1), help="Of a store with several runs.")
SQLITE = b"SQLite format 3\0"
MOST = 20
"""Tests that a person is shown, those that failed most first."""


def must_exist(*files: Path) -> None:
    """Stop with exit code 4 where a file is missing."""
    for file in files:
        if not file.is_file():
            click.echo(f"hardbin: {file}: there is no such file", err=True)
            click.get_current_context().exit(Exit.NOT_FOUND)


def _told(made: msgspec.Struct, text: str, *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(made).decode() if as_json else text)


@click.command()
@FILE
@JSON
def summary(file: Path, *, as_json: bool) -> None:
    """Count a file, as far as it goes: lot, parts, bins by last result, tests and their fails."""
    from station.datalog.stdf.overview import overview

    must_exist(file)
    found = overview(file)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        console = terminal()
        share = f" ({100 * found.good / found.parts:.2f} %)" if found.parts else ""
        console.print(f"Lot {found.lot} of {found.product}, {found.program}, at {found.station}")
        console.print(f"{found.parts} parts, {found.good} good{share}, {found.contacts} contacts")
        if found.wafers:
            console.print(f"wafers {', '.join(found.wafers)}")
        bins = [(str(b.soft), str(b.hard), str(b.count), b.name) for b in found.bins]
        console.print(_table(("bin", "hard", "parts"), "name", bins))
        worst = sorted(found.tests, key=lambda test: -test.failed)[:MOST]
        lines = [
            (str(t.number), str(t.executed), str(t.failed), *map(_number, (t.low, t.mean, t.high)), t.name)
            for t in worst
        ]
        console.print(_table(("test", "executed", "failed", "least", "mean", "greatest"), "name", lines))
    if found.fault:
        click.echo(f"hardbin: {file}: {found.fault}", err=True)
        click.get_current_context().exit(Exit.INTEGRITY)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _table(numbers: tuple[str, ...], text: str, rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in numbers:
        table.add_column(heading, justify="right")
    table.add_column(text)
    for row in rows:
        table.add_row(*row)
    return table


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUT
@JSON
def merge(files: tuple[Path, ...], out: Path, *, as_json: bool) -> None:
    """Make one file of a lot's passes, first pass first: a part counts as it was contacted last."""
    from station.datalog.stdf import passes

    must_exist(*files)
    made = passes.merge(files, out, RealClock().unix())
    text = f"{out.name}: {made.parts} parts, {made.contacts} contacts, {made.superseded} superseded"
    _told(made, text, as_json=as_json)


@click.command()
@FILE
@OUT
@JSON
def recover(file: Path, out: Path, *, as_json: bool) -> None:
    """Make a whole file of one that was cut: its ended parts, with summaries counted anew."""
    from station.datalog.stdf import recovery

    must_exist(file)
    made = recovery.recover(file, out, RealClock().unix())
    text = f"{out.name}: {made.parts} parts, {made.records} records kept, {made.dropped} dropped; {made.cut}"
    _told(made, text, as_json=as_json)


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--run", type=click.IntRange(1), help="Number of the run; needed if there are several.")
@click.option("--out", default=Path(), type=click.Path(path_type=Path), help="Folder of the new file; here.")
@click.option(
    "--profile", type=click.Choice(["compact", "compat"]), help="That of the lot, if none is given."
)
@says
def rebuild(store: Path, run: int | None, out: Path, profile: "Profile | None") -> Said:
    """Make a lot's file again from the store, byte for byte."""
    from station.datalog import rebuild as again
    from station.datalog.store import Store

    must_exist(store)
    opened = Store(store)
    try:
        made = again.rebuild(opened, chosen(opened, run), out, profile=profile)
        return Said(str(made), file=made)
    finally:
        opened.close()


def chosen(store: "Store", run: int | None) -> int:
    """Return the run that is meant."""
    runs = [state.run for state in store.runs()]
    if run is None and len(runs) != 1:
        raise StorageError(f"{store.path}: it has {len(runs)} runs, say which with --run")
    return runs[0] if run is None else run


@click.command("to-parquet")
@FILE
@OUT
@RUN
@says
def to_parquet(file: Path, out: Path, run: int | None) -> Said:
    """Write a store's run, or the parametric results of an STDF file, as Parquet: one row a value."""
    from station.datalog.parquet import write

    return _exported(file, out, run, write)


@click.command("to-csv")
@FILE
@OUT
@RUN
@says
def to_csv(file: Path, out: Path, run: int | None) -> Said:
    """Write the same as comma-separated values, with a line of names first."""
    from station.datalog.text_tables import write_csv

    return _exported(file, out, run, write_csv)


@click.command("to-json")
@FILE
@OUT
@RUN
@says
def to_json(file: Path, out: Path, run: int | None) -> Said:
    """Write the same as one JSON object a line."""
    from station.datalog.text_tables import write_json

    return _exported(file, out, run, write_json)


def _exported(file: Path, out: Path, run: int | None, written: "Write") -> Said:
    from station.datalog import parquet
    from station.datalog.store import Store

    must_exist(file)
    with file.open("rb") as opened:
        stored = opened.read(len(SQLITE)) == SQLITE
    if not stored:
        return _rows(out, parquet.kept(parquet.table_of(file), out, written))
    store = Store(file)
    try:
        found = parquet.table(store, chosen(store, run))
        return _rows(out, parquet.kept(found, out, written))
    finally:
        store.close()


def _rows(out: Path, count: int) -> Said:
    return Said(f"{out.name}: {count} rows", file=out, rows=count)


def _records(out: Path, count: int) -> Said:
    return Said(f"{out.name}: {count} records", file=out, records=count)


@click.command("import")
@FILE
@click.option("--store", required=True, type=click.Path(path_type=Path), help="Made where there is none.")
@says
def import_(file: Path, store: Path) -> Said:
    """Enter the lot of an STDF file into a store."""
    from station.datalog.intake import taken_in
    from station.datalog.store import Store

    must_exist(file)
    opened = Store(store)
    opened.open()
    try:
        run = taken_in(file, opened)
        return Said(f"{store}: run {run}", store=store, run=run)
    finally:
        opened.close()


@click.command("to-atdf")
@FILE
@OUT
@says
def to_atdf(file: Path, out: Path) -> Said:
    """Write an STDF file as text, one record a line, values unscaled."""
    from station.datalog.stdf.atdf import lines
    from station.datalog.stdf.reader import Reader
    from station.datalog.stdf.recovery import written

    must_exist(file)
    with file.open("rb") as opened:
        reader = Reader(opened)
        made = [f"{line}\n".encode("ascii", "replace") for line in lines(reader)]
    if reader.fault:
        raise StorageError(f"{file}: {reader.fault}")
    written(out, made)
    return _records(out, len(made))


@click.command("from-atdf")
@FILE
@OUT
@says
def from_atdf(file: Path, out: Path) -> Said:
    """Write an STDF file of one in ATDF."""
    from station.datalog.stdf.atdf import records
    from station.datalog.stdf.recovery import written

    must_exist(file)
    with file.open(encoding="ascii", errors="replace") as opened:
        made = list(records(opened))
    written(out, made)
    return _records(out, len(made))


COMMANDS = (summary, merge, recover, rebuild, to_parquet, to_csv, to_json, import_, to_atdf, from_atdf)
