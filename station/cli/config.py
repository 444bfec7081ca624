"""`hardbin config`: what a station is configured as, and why each key has its value."""

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from station import config as station_config
from station import config_schema, config_shelf
from station.cli.check import check
from station.config_keys import Explained, explained, keys, shown
from station.errors import ConfigError
from station.surroundings import simulated_station_file
from station.toml_file import table_of

STATION = click.option(
    "--station",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Station file; by default station.toml here, then the simulated cell's.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def config() -> None:
    """Look at the configuration of a station, and bring it another; no secret is shown."""


@config.command()
@STATION
@JSON
def show(station: Path | None, *, as_json: bool) -> None:
    """Print all tables as they count: the environment over the file over the defaults."""
    loaded = station_config.load(_file(station))
    whole = {name: one for name, one in msgspec.to_builtins(loaded, enc_hook=str).items() if one is not None}
    if as_json:
        click.echo(msgspec.json.encode(shown(whole)).decode())
        return
    click.echo("\n".join(_flat(shown(whole))))


@config.command()
@click.argument("key", required=False)
@STATION
@JSON
def explain(key: str | None, station: Path | None, *, as_json: bool) -> None:
    """Print what KEY means, the value of every source, and which one counts; without KEY, all keys."""
    if key is None:
        found = list(keys())
        click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(found))
        return
    told = explained(key, _file(station))
    click.echo(msgspec.json.encode(told).decode() if as_json else "\n".join(_lines(told)))


@config.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@STATION
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data"),
    show_default=True,
    help="The folder of the station.",
)
@JSON
def apply(file: Path, station: Path | None, data: Path, *, as_json: bool) -> None:
    """Show what FILE changes and bring it to a station, which takes it by `config.apply` between two lots."""
    now = station_config.load(_file(station))
    found = config_shelf.changes(now, config_shelf.taken_for(file, now))
    if keys := config_shelf.fixed(found):
        raise ConfigError(f"{file}: a station that runs cannot take {', '.join(keys)}: start it anew with it")
    name = config_shelf.bring(data, file.read_bytes())
    if as_json:
        told = {"config": name, "changes": found, "two": config_shelf.guarded(found)}
        click.echo(msgspec.json.encode(told).decode())
        return
    for one in found:
        before, after = (msgspec.json.encode(value).decode() for value in (one.before, one.after))
        click.echo(f"{one.key}: {before} -> {after}")
    persons = " by an engineer and a security officer" if config_shelf.guarded(found) else ""
    click.echo(f"it lies with the station: config.apply config={name[:16]}{persons}")


@config.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--write", is_flag=True, help="Write it; the file as it was is kept beside it.")
@JSON
def migrate(file: Path, *, write: bool, as_json: bool) -> None:
    """Show what FILE is in the layout of this version; with --write, write it."""
    table = table_of(file)
    before = file.read_text("utf-8")
    after = config_schema.migrated(before, table, file)
    kept = None
    if write and after != before:
        kept = config_shelf.rewritten(file, after, config_schema.of(table, file))
    if as_json:
        told = {"schema": config_schema.SCHEMA, "changed": after != before, "kept": kept and str(kept)}
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo(config_schema.difference(before, after, file), nl=False)
    if after == before:
        click.echo(f"{file}: is of schema {config_schema.SCHEMA}, and stays as it is")
    elif kept is not None:
        click.echo(f"{file}: written; as it was it is {kept}", err=True)


config.add_command(check)


def _file(station: Path | None) -> Path:
    here = Path("station.toml")
    return station or (here if here.exists() else simulated_station_file())


def _lines(told: Explained) -> list[str]:
    rows = [f"{told.key}: {told.means or 'see the reference'} ({told.type})"]
    for one in told.sources:
        mark = "*" if one.name == told.winner else " "
        value = "-" if one.value is None else msgspec.json.encode(one.value).decode()
        rows.append(f"{mark} {one.name:<11}  {value}  {one.where}".rstrip())
    if told.value is None:
        rows.append("it has no value: a station file must give one")
    return rows


def _flat(whole: object, path: str = "") -> Iterator[str]:
    """One line a value, as `mqtt.url = "..."`, to be compared with another station's."""
    match whole:
        case dict():
            for name, one in whole.items():
                yield from _flat(one, f"{path}.{name}" if path else str(name))
        case list() if any(isinstance(one, dict) for one in whole):
            for number, one in enumerate(whole, 1):
                yield from _flat(one, f"{path}[{number}]")
        case _:
            yield f"{path} = {msgspec.json.encode(whole).decode()}"
