"""How the command line reaches a station through its broker: where, as whom, and what comes back."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from station.cli.codes import Exit
from station.cli.key_access import stop
from station.clock import RealClock
from station.errors import ConfigError
from station.remote.client import Client, NoAnswerError, signers
from station.remote.link import Link, LinkError
from station.remote.mqtt_broker import Address, MqttBroker
from station.remote.topics import Tree, tree

P = ParamSpec("P")
T = TypeVar("T")

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
CONNECTION = (
    click.option("--mqtt", "url", envvar="HARDBIN_MQTT", required=True, help="Broker: mqtts://HOST[:PORT]."),
    click.option("--ca", envvar="HARDBIN_CA", type=FILE, help="Certificate authority of the broker."),
    click.option("--cert", envvar="HARDBIN_CERT", type=FILE, help="Our certificate."),
    click.option("--cert-key", envvar="HARDBIN_CERT_KEY", type=FILE, help="Its key."),
)
BROKER = (
    CONNECTION[0],
    click.option("--at", envvar="HARDBIN_AT", required=True, help="Which station: PLANT/NAME."),
    *CONNECTION[1:],
    click.option("--timeout", "timeout_s", type=click.FloatRange(0.1), help="Seconds until we give up."),
)
SIGNED = (
    click.option("--kid", envvar="HARDBIN_KID", required=True, help="Our key's name, as mes-gw#1."),
    click.option("--sign", envvar="HARDBIN_SIGN", type=FILE, required=True, help="File with our keys, PEM."),
)


@dataclass(frozen=True)
class Broker:
    """A station behind a broker, as the command line says."""

    url: str
    at: str
    ca: Path | None
    cert: Path | None
    cert_key: Path | None
    timeout_s: float | None

    @property
    def tree(self) -> Tree:
        """The topics of the station."""
        plant, slash, name = self.at.partition("/")
        if not slash:
            raise ConfigError(f"--at {self.at!r}: write PLANT/NAME")
        return tree(plant, name)

    def talk(self, name: str, talk: Callable[[Link], Coroutine[object, object, T]]) -> T:
        """Connect and have a conversation; the command ends if nobody answers in time."""
        try:
            return asyncio.run(self._talked(name, talk))
        except* LinkError as group:
            stop(Exit.LINK, str(_first(group)))
        except* (NoAnswerError, TimeoutError) as group:
            stop(Exit.TIMEOUT, str(_first(group)) or f"nothing within {self.timeout_s:g} s")

    async def _talked(self, name: str, talk: Callable[[Link], Coroutine[object, object, T]]) -> T:
        broker = MqttBroker(Address(self.url, self.ca, self.cert, self.cert_key), simulated=True)
        client_id = f"{name[:32]}-{os.urandom(4).hex()}"
        async with asyncio.timeout(self.timeout_s), broker.link(client_id) as link:
            return await talk(link)


@dataclass(frozen=True)
class Commander:
    """A client that signs."""

    broker: Broker
    kid: str
    sign: Path

    def talk(self, talk: Callable[[Client], Coroutine[object, object, T]]) -> T:
        """Connect, learn the station's epoch, and have a conversation."""
        keys, name = signers(self.sign, self.kid), self.kid.partition("#")[0]

        async def joined(link: Link) -> T:
            client = Client(link, self.broker.tree, name, keys, RealClock().unix)
            hearing = asyncio.get_running_loop().create_task(client.run())
            try:
                return await _while_hearing(hearing, _joined(client, talk))
            finally:
                hearing.cancel()
                with suppress(asyncio.CancelledError, LinkError):
                    await hearing

        return self.broker.talk(name, joined)


async def _joined(client: Client, talk: Callable[[Client], Coroutine[object, object, T]]) -> T:
    await client.join()
    return await talk(client)


async def _while_hearing(hearing: "asyncio.Task[None]", work: Coroutine[object, object, T]) -> T:
    """Await `work`; LinkError as soon as nothing can be heard any more."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait([task, hearing], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            hearing.result()
        return await task
    finally:
        task.cancel()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def connecting(command: Callable[Concatenate[Address, P], T]) -> Callable[P, T]:
    """Give a command the options that say which broker, and who we are to it."""

    @wraps(command)
    def called(*args: P.args, **options: P.kwargs) -> T:
        url = str(options.pop("url"))
        files = (options.pop(name) for name in ("ca", "cert", "cert_key"))
        return command(Address(url, *files), *args, **options)  # type: ignore[arg-type]

    for option in reversed(CONNECTION):
        called = option(called)
    return called


def at_broker(command: Callable[Concatenate[Broker, P], T]) -> Callable[P, T]:
    """Give a command the options that say which station behind which broker."""

    @wraps(command)
    def called(*args: P.args, **options: P.kwargs) -> T:
        named = ("url", "at", "ca", "cert", "cert_key", "timeout_s")
        return command(Broker(*(options.pop(name) for name in named)), *args, **options)  # type: ignore[arg-type]

    for option in reversed(BROKER):
        called = option(called)
    return called


def signing(command: Callable[Concatenate[Commander, P], T]) -> Callable[P, T]:
    """Give a command the options of `at_broker`, and those that say who signs."""

    @at_broker
    @wraps(command)
    def called(broker: Broker, /, *args: P.args, **options: P.kwargs) -> T:
        kid, sign = str(options.pop("kid")), Path(str(options.pop("sign")))
        return command(Commander(broker, kid, sign), *args, **options)

    for option in reversed(SIGNED):
        called = option(called)
    return called
