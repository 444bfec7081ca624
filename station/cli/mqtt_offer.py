"""What a run or a station says of itself on the network, and to which broker."""

from pathlib import Path

from station.assemble import sequence_named
from station.config import StationConfig
from station.errors import ConfigError
from station.remote import trust
from station.remote.asyncapi import digest
from station.remote.control import Mode
from station.remote.link import Broker
from station.remote.mqtt_broker import Address, MqttBroker
from station.remote.outflow import Manner
from station.remote.presence import About, Settings
from station.remote.topics import tree


def broker(config: StationConfig, url: str | None, *, simulated: bool) -> Broker:
    """Return the broker of a command's `--mqtt`, else of the station file; ConfigError if there is none."""
    table = config.mqtt
    if not (url or table.url):
        raise ConfigError(
            f"{config.source}: mqtt.url: there is no broker; write one, or give its URL with --mqtt"
        )
    beside = config.source.parent
    ca, cert, key = (beside / name if name else None for name in (table.ca, table.cert, table.key))
    return MqttBroker(Address(url or table.url, ca, cert, key), simulated=simulated)


def settings(config: StationConfig, trusted: Path | None, data: Path, mode: Mode) -> Settings:
    """Return how the station is on the network; without a trust file nobody commands it."""
    sequence = sequence_named(config.cell.sequence)
    about = About(
        product=config.cell.product,
        sequence=sequence.name,
        fingerprint=sequence.fingerprint().hex(),
        sites=tuple(sorted(config.sites)),
        schema=digest(),
    )
    file = trusted or (config.source.parent / config.mqtt.trust if config.mqtt.trust else None)
    data.mkdir(parents=True, exist_ok=True)
    return Settings(
        tree(config.station.plant, config.station.name),
        {} if file is None else trust.load(file),
        data,
        about,
        mode,
        config.mqtt.lease_s,
        manner=Manner(collected=config.mqtt.collector, retain_maps=config.mqtt.retain_maps),
    )
