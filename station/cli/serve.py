"""`hardbin serve`: a station that takes its commands from the network, lot after lot."""

from collections.abc import Callable
from pathlib import Path

import click
from msgspec import json

from station import commands
from station import config as station_config
from station.assemble import Hardware, sequence_named
from station.cli import console_offer, mqtt_offer, recovery
from station.cli.run import Speed
from station.cli.temperature import options as temperature_options
from station.config import StationConfig
from station.errors import ConfigError
from station.lot_order import LotOrder
from station.production import must_be_released
from station.remote.control import Mode
from station.remote.presence import Presence
from station.remote.topics import tree
from station.report import LotReport
from station.serve import ConsoleOffer, Service, Standing
from station.set_up import Temperature
from station.signals import signals_call
from station.surroundings import EPOCH, WORLD, Surroundings, simulated, simulated_station_file

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--station", type=FILE, help="Station file.")
@click.option("--hardware", is_flag=True, help="Drive real machines; needs --station.")
@click.option("--mqtt", "url", help="The broker, as mqtts://HOST[:PORT]; by default mqtt.url.")
@click.option("--trust", "trusted", type=FILE, help="Public keys that may command; by default mqtt.trust.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("station-data"),
    show_default=True,
    help="Receipts, events that wait, audit trail.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("lots"), show_default=True
)
@click.option(
    "--control",
    type=click.Choice(["remote", "local"]),
    default="remote",
    show_default=True,
    help="Whether starts are taken from the network.",
)
@click.option("--sites", type=click.IntRange(1, 64), help="By default as in the station file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulated world.")
@click.option("--speed", type=Speed(), default="1", show_default=True, help="How simulated time passes.")
@click.option("--fault", "faults", multiple=True, help="As of `hardbin run`, for each lot.")
@click.option("--recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Signed recipe.")
@temperature_options
@console_offer.option
@recovery.options
@click.option("--json", "as_json", is_flag=True, help="Print one object a lot.")
def serve(
    station: Path | None,
    hardware: bool,
    url: str | None,
    trusted: Path | None,
    data: Path,
    out: Path,
    control: str,
    sites: int | None,
    seed: int,
    speed: float | None,
    faults: tuple[str, ...],
    recipe: Path | None,
    temperature: Temperature | None,
    socket: Path | None,
    recover: commands.Recover | None,
    as_json: bool,
) -> None:
    """Stand ready and run the lots that signed commands or a console ask for, until interrupted.

    A lot that is open in --out is taken up first.
    """
    if hardware and station is None:
        raise click.UsageError("--hardware needs --station FILE")
    if hardware and faults:
        raise click.UsageError("--fault is for simulated machines")
    config = station_config.load(station or simulated_station_file(), sites=sites)
    if hardware:
        must_be_released(config, sequence_named(config.cell.sequence))
    data.mkdir(parents=True, exist_ok=True)
    network = None
    if url or config.mqtt.url or socket is None:
        broker = mqtt_offer.broker(config, url, simulated=not hardware)
        mode = Mode.REMOTE if control == "remote" else Mode.LOCAL
        if trusted is None and not config.mqtt.trust:
            whose = "mqtt.trust: whose commands are taken? write it, or give --trust"
            raise ConfigError(f"{config.source}: {whose}")
        network = mqtt_offer.settings(config, trusted, data, mode), broker
    console = None
    if socket is not None:
        socket.parent.mkdir(parents=True, exist_ok=True)
        console = ConsoleOffer(socket, console_offer.hello(config, more_lots=True, real=hardware))

    def world(config: StationConfig, order: LotOrder, epoch: float) -> Surroundings:
        if hardware:
            return Hardware(config.visa.library)
        return simulated(
            config,
            lot=order.lot,
            devices=order.devices,
            seed=seed,
            faults=faults,
            speed=speed,
            epoch=epoch,
            diary=order.folder / WORLD,
        )

    world(
        config, LotOrder("check", 1, out / "check", seed), EPOCH
    )  # a fault that cannot be meant is told now
    standing = Standing(config, out, seed, world, recipe, temperature, recover, data)
    service = Service(standing, network, console)
    with signals_call(service.stop):
        service.run(_ready(config, console, as_json=as_json), _told(as_json=as_json))


def _ready(
    config: StationConfig, console: ConsoleOffer | None, *, as_json: bool
) -> Callable[[Presence | None], None]:
    def ready(presence: Presence | None) -> None:
        if presence is not None:
            root = tree(config.station.plant, config.station.name).root
            click.echo(f"hardbin: {root}, epoch {presence.epoch}, {presence.control.mode.value}", err=as_json)
        if console is not None:
            click.echo(f"hardbin: ready for the console at {console.socket}", err=as_json)

    return ready


def _told(*, as_json: bool) -> Callable[[LotReport], None]:
    def told(report: LotReport) -> None:
        line = f"{report.lot}: {report.state}, {report.good} good of {report.tested}"
        reason = f": {report.reason}" if report.reason else ""
        click.echo(json.encode(report) if as_json else line + reason)

    return told
