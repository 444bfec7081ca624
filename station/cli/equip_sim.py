"""`hardbin equip sim`: knobs of simulated machines, and of those that `hardbin sim serve` serves."""

from pathlib import Path

import click
from msgspec import json

from station.equip import control
from station.errors import ConfigError
from station.surroundings import simulated_drivers, simulated_knobs

CONTROL = Path("hardbin-sim.sock")


@click.group()
def sim() -> None:
    """Turn the knobs of served machines while they run; list those that there are."""


@sim.command()
@click.argument("what", nargs=-1, metavar="[MACHINE KNOB | FAULT]")
@click.option("--value", default="", help="Of the knob.")
@click.option("--after", type=click.IntRange(0), help="Does not strike the first N times.")
@click.option("--every", type=click.IntRange(1), help="Strikes each Nth time.")
@click.option("--p", "probability", type=click.FloatRange(0, 1), help="How often it strikes.")
@click.option("--once", is_flag=True, help="Strikes once.")
@click.option("--clear", is_flag=True, help="Turn KNOB back, or all of MACHINE.")
@click.option(
    "--control", "path", type=click.Path(path_type=Path), default=CONTROL, show_default=True, help="Socket."
)
@click.option("--json", "as_json", is_flag=True, help="Print one object: what is turned, by machine.")
def fault(
    what: tuple[str, ...],
    value: str,
    after: int | None,
    every: int | None,
    probability: float | None,
    once: bool,
    clear: bool,
    path: Path,
    as_json: bool,
) -> None:
    """Turn a knob: `handler jam --after 200`, or `handler.jam@after=200`. Without any: what is turned."""
    if len(what) > 2:
        raise click.UsageError("write MACHINE KNOB, or one FAULT")
    conditions = [
        f"{name}={given}"
        for name, given in (("after", after), ("every", every), ("p", probability))
        if given is not None
    ]
    text = ".".join(what) + (f"={value}" if value else "")
    text += "".join(f"@{condition}" for condition in [*conditions, *(["once"] if once else [])])
    turned = control.ask(path, _request(what, text, clear=clear))
    if as_json:
        click.echo(json.encode(turned))
        return
    for machine, knobs in sorted(turned.items()):
        click.echo(f"{machine}: {', '.join(knobs) or 'no fault'}")


@sim.command()
@click.argument("drivers", nargs=-1, metavar="[DRIVER]...")
@click.option("--json", "as_json", is_flag=True, help="Print one object: the knobs, by driver.")
def faults(drivers: tuple[str, ...], as_json: bool) -> None:
    """List the knobs of simulated machines; without a DRIVER of all, and of devices, chips and contacts."""
    known = simulated_drivers()
    if unknown := sorted(set(drivers) - known):
        raise ConfigError(f"no simulator for {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    found = {name: sorted(simulated_knobs(name)) for name in drivers or sorted(known)}
    for text in () if drivers else sorted(simulated_knobs("")):
        machine, _, knob = text.partition(".")
        found.setdefault(machine, []).append(knob)
    if as_json:
        click.echo(json.encode(found))
        return
    for name, knobs in found.items():
        click.echo(f"{name}: {', '.join(knobs)}")


def _request(what: tuple[str, ...], text: str, *, clear: bool) -> control.Request:
    if not what:
        return control.Show()
    if clear:
        machine, _, knob = ".".join(what).partition(".")
        return control.Clear(machine, knob)
    return control.Turn(text)
