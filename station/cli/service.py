"""`hardbin service`: what a machine needs to run hardbin by itself."""

from importlib.resources import files
from pathlib import Path

import click
import msgspec

from station import backup as backups
from station.backup import Member
from station.cli.said import Said, says
from station.custody import durable_file
from station.errors import ConfigError

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON list of files.")
ENDS = (".service", ".timer", ".sysusers", ".json")


@click.group()
def service() -> None:
    """Set a station up as services of its machine."""


@service.command(name="files")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@says
def files_(folder: Path) -> Said:
    """Write systemd units, the users that they need, and a kiosk's policy into FOLDER."""
    shipped = [one for one in files("station.services").iterdir() if one.name.endswith(ENDS)]
    folder.mkdir(parents=True, exist_ok=True)
    if there := [one.name for one in shipped if (folder / one.name).exists()]:
        raise ConfigError(f"{folder}: {', '.join(sorted(there))} are there already; give another folder")
    for one in shipped:
        durable_file.replace(folder / one.name, one.read_bytes())
    written = sorted(str(folder / one.name) for one in shipped)
    return Said("\n".join(written), files=written)


@service.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("folders", nargs=-1, required=True, type=click.Path(file_okay=False, path_type=Path))
@JSON
def backup(out: Path, folders: tuple[Path, ...], *, as_json: bool) -> None:
    """Write FOLDERS into a new file OUT while the station works; it holds secrets."""
    _told(backups.save(folders, out), str(out), as_json=as_json)


@service.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("into", type=click.Path(file_okay=False, path_type=Path))
@JSON
def restore(file: Path, into: Path, *, as_json: bool) -> None:
    """Check a backup FILE whole, and write its folders into the new folder INTO."""
    _told(backups.restore(file, into), str(into), as_json=as_json)


def _told(members: tuple[Member, ...], where: str, *, as_json: bool) -> None:
    size = sum(one.size for one in members)
    line = f"{where}: {len(members)} files, {size} bytes, each by its SHA-256"
    click.echo(msgspec.json.encode(members).decode() if as_json else line)
