"""`hardbin equip new`: the files of a new model, whole and green from the start."""

from pathlib import Path

import click
from msgspec import json

from station.equip import scaffold


@click.command()
@click.argument("role", type=click.Choice(list(scaffold.SAFETIES)))
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default=True,
    help="The checkout.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def new(role: str, name: str, folder: Path, *, as_json: bool) -> None:
    """Begin a driver: NAME is <maker>_<model>, as keithley_2450.

    Writes dialogues, driver, simulated machine and test into a checkout of hardbin, and nothing if one of
    them exists. They pass at once; the machine's own words are then put in.
    """
    made = scaffold.scaffold(role, name)
    paths = scaffold.written(made, folder)
    if as_json:
        click.echo(json.encode({"files": [str(path) for path in paths], "lines": dict(made.lines)}))
        return
    for path in paths:
        click.echo(path)
    click.echo("\nNow add:")
    for file, line in made.lines:
        click.echo(f"  {file}: {line}")
    click.echo(f"and run: python -m pytest tests/test_dialogues.py tests/drivers/{role} -k {name}")
