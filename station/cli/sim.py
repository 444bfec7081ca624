"""`hardbin sim`: simulated machines on real wires."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import json

from station import config as station_config
from station.cli.codes import Exit
from station.equip.control import ControlServer
from station.errors import ConfigError
from station.surroundings import Place, Served, served

CONTROL = Path("hardbin-sim.sock")


@click.group()
def sim() -> None:
    """Simulated machines for programs of anybody."""


@sim.command()
@click.argument("machines", nargs=-1, metavar="[MACHINE[=WIRE]]...")
@click.option("--station", type=click.Path(dir_okay=False, path_type=Path), help="Station file.")
@click.option("--sites", type=click.IntRange(1, 64), help="By default as in the station file.")
@click.option(
    "--devices", type=click.IntRange(1), default=256, show_default=True, help="That the handler has."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--fault", "faults", multiple=True, help="machine.knob[=value][@condition], repeatable.")
@click.option(
    "--control",
    type=click.Path(dir_okay=False, path_type=Path),
    default=CONTROL,
    show_default=True,
    help="Socket by which `hardbin equip sim` turns knobs.",
)
@click.option(
    "--port-mapper",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Where the first vxi11 machine of an address is found by clients that are told no port: 111.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object when all is served.")
def serve(  # noqa: PLR0913 - options of a command
    machines: tuple[str, ...],
    station: Path | None,
    sites: int | None,
    devices: int,
    seed: int,
    faults: tuple[str, ...],
    control: Path,
    port_mapper: int | None,
    as_json: bool,
) -> int:
    """Serve simulated machines in real time until interrupted.

    A MACHINE is one of the station file, all of them if none is named; without --station it is a model, such
    as keithley_2450. A WIRE is tcp, hislip or vxi11, each with :HOST:PORT or not, or pty[:PATH].
    """
    if station is None and not machines:
        raise click.UsageError("name models to serve, such as keithley_2450=hislip, or a --station FILE")
    config = None if station is None else station_config.load(station, sites=sites)
    wires = dict(_split(text) for text in machines)
    if len(wires) < len(machines):
        raise click.UsageError("a machine is named twice")
    found_at = port_mapper or 0
    made = served(config, wires=wires, devices=devices, seed=seed, faults=faults, port_mapper=found_at)
    return asyncio.run(_served(made, control, as_json=as_json))


def _split(text: str) -> tuple[str, str]:
    name, _, wire = text.partition("=")
    return name, wire


async def _served(made: Served, control: Path, *, as_json: bool) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with ControlServer(control, made):
            _told(await made.start(), as_json=as_json)
            await stopped.wait()
    except ValueError as error:  # a machine that needs options, which only a station file has
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot serve: {error}") from error
    finally:
        await made.aclose()
    return Exit.OK


def _told(places: Sequence[Place], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.encode([_fields(place) for place in places]))
        return
    width = max(len(place.name) for place in places)
    for place in places:
        click.echo(f"{place.name:<{width}}  {place.driver:<16}  {place.port:<44}  PyVISA: {place.resource}")
    click.echo("serving until interrupted", err=True)


def _fields(place: Place) -> dict[str, str]:
    return {name: getattr(place, name) for name in ("name", "driver", "wire", "address", "port", "resource")}
