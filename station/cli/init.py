"""`hardbin init`: a folder for a station of one's own, which runs at once on simulated machines."""

from pathlib import Path

import click

from station.cli.said import Said, says
from station.errors import ConfigError
from station.surroundings import FINAL_TEST, WAFER_SORT, simulated_station_file, without_keys

PROFILES = ("wafer-sort", "final-test", "personalise")
NAME = "station.toml"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="personalise",
    show_default=True,
    help="What the station does; `final-test` has no keys.",
)
@says
def init(folder: Path, profile: str) -> Said:
    """Make a station file in FOLDER, by default here; its machines are simulated."""
    path = folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_text(profile))
    except FileExistsError:
        raise ConfigError(f"{path}: is there already, and stays as it is") from None
    return Said(f"{path}: `hardbin run --station {path}` runs a simulated lot of it", file=path)


def _text(profile: str) -> str:
    text = simulated_station_file(WAFER_SORT if profile == WAFER_SORT else FINAL_TEST).read_text("utf-8")
    text = text.replace(" `hardbin run` uses this file when it is given no other.", "")
    return without_keys(text) if profile == FINAL_TEST else text
