"""`hardbin check`: whether a station file can be meant, and what its drivers rest on."""

from pathlib import Path

import click
from msgspec import json

from station import assemble, binding
from station import config as station_config
from station.cli.codes import Exit
from station.config import StationConfig
from station.engine.late import never_lands_again
from station.equip import origins
from station.production import objections


@click.command()
@click.option(
    "--station", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Station file."
)
@click.option(
    "--production",
    is_flag=True,
    help="Refuse what is not released, and drivers that rest on assumption alone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
def check(station: Path, production: bool, as_json: bool) -> int:
    """Read a station file, its sequence and drivers, opening nothing, and say what the drivers rest on."""
    config = station_config.load(station)
    sequence = assemble.sequence_named(config.cell.sequence)
    made = assemble.equipment(config, assemble.Hardware(config.visa.library))
    handler, _ = binding.fitting(config, made.machines, sequence)
    note = never_lands_again(sequence.retest, handler)
    bases = origins.of(placed.driver for placed in config.equipment)
    wrong = [basis.driver for basis in bases if basis.assumption] if production else []
    against = objections(config, sequence) if production else ()
    if as_json:
        told = {"station": config.station.name, "sequence": sequence.name, "drivers": bases, "refused": wrong}
        told["objections"] = against
        told["notes"] = [note] if note else []
        click.echo(json.encode(told))
    else:
        _told(config, len(made.machines), bases)
        for one in against:
            click.echo(f"hardbin: not for production: {one}", err=True)
        if note:
            click.echo(f"note: {note}")
    return Exit.CONFIG if against else Exit.OK


def _told(config: StationConfig, machines: int, bases: list[origins.Basis]) -> None:
    cell = config.cell
    click.echo(
        f"{config.source}: {machines} machines, {cell.sites} sites, sequence {cell.sequence}: can be built"
    )
    width = max(len(basis.driver) for basis in bases)
    for basis in bases:
        rests = "ASSUMPTION" if basis.assumption else "evidence"
        click.echo(f"{basis.driver:<{width}}  {rests:<10}  dialogues: {basis}")
