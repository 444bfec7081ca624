"""`hardbin collector`: what a plant's stations tell, in the floor's database, from a process of its own."""

import asyncio
import signal

import click

from station.cli.mqtt_access import connecting
from station.clock import RealClock
from station.floor.collector import Collector, Duty
from station.floor.database import DEFAULT, opened
from station.floor.keeping import Keeper
from station.remote.mqtt_broker import Address, MqttBroker
from station.writer import Writer

DATABASE = click.option(
    "--database",
    envvar="HARDBIN_FLOOR",
    default=DEFAULT,
    show_default=True,
    help="Of the floor: sqlite:///FILE, or postgresql://USER@HOST/DATABASE without a password.",
)


@click.command()
@click.option("--plant", required=True, help="As in the station files.")
@click.option("--name", default="collector", show_default=True, help="Ours, as in our certificate.")
@DATABASE
@connecting
def collector(address: Address, plant: str, name: str, database: str) -> None:
    """Keep what the stations of a plant tell in the floor's database, until interrupted."""
    duty, broker = Duty(plant, name), MqttBroker(address, simulated=True)
    engine, writer = opened(database), Writer("floor")
    try:
        keeper = Keeper(engine, RealClock().unix)
        asyncio.run(_collect(Collector(broker, duty, keeper, writer), duty))
    finally:
        writer.close()
        engine.dispose()


async def _collect(collector: Collector, duty: Duty) -> None:
    loop = asyncio.get_running_loop()
    collecting = loop.create_task(collector.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, collecting.cancel)
    telling = loop.create_task(_tell(collector, duty))
    await asyncio.wait([collecting])
    telling.cancel()
    if not collecting.cancelled():
        collecting.result()


async def _tell(collector: Collector, duty: Duty) -> None:
    await collector.listening.wait()
    click.echo(f"hardbin: {duty.name} listens to the stations of {duty.plant}")
