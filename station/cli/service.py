"""`hardbin service`: what a machine needs to run hardbin by itself."""

from importlib.resources import files
from pathlib import Path

import click

from station.custody import durable_file
from station.errors import ConfigError

ENDS = (".service", ".sysusers")


@click.group()
def service() -> None:
    """Set a station up as services of its machine."""


@service.command(name="files")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def files_(folder: Path) -> None:
    """Write systemd units, sandboxed, and the users that they need into FOLDER."""
    shipped = [one for one in files("station.services").iterdir() if one.name.endswith(ENDS)]
    folder.mkdir(parents=True, exist_ok=True)
    if there := [one.name for one in shipped if (folder / one.name).exists()]:
        raise ConfigError(f"{folder}: {', '.join(sorted(there))} are there already; give another folder")
    for one in sorted(shipped, key=lambda one: one.name):
        durable_file.replace(folder / one.name, one.read_bytes())
        click.echo(folder / one.name)
