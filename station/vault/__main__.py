"""`hardbin-vault`: the trusted zone as a process of its own, on a Unix socket."""

import argparse
import asyncio
import fcntl
import gc
import os
import resource
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import grpc
import structlog
import uvloop

from station.clock import RealClock
from station.custody import durable_file
from station.custody.ledger import Fact
from station.custody.log_keys import key_of
from station.errors import ConfigError, LedgerError
from station.side_work import working
from station.vault import configuration, tls
from station.vault.clock_events import ClockEvents
from station.vault.configuration import Configuration
from station.vault.desk import founders
from station.vault.desk.orders import Orders, Place
from station.vault.desk.reception import reception, serving_desk
from station.vault.die.job import Means
from station.vault.evidence.exporter import Exporter
from station.vault.journal import Journal, JournalError
from station.vault.key_events import KeyEvents
from station.vault.keyring import Keyring
from station.vault.keys.client import KeyStoreClient
from station.vault.keys.errors import KeyStoreError
from station.vault.keys.hardening import harden
from station.vault.pki.authorities import House, Trust
from station.vault.pki.issuer import Issuer, trusted
from station.vault.pki.publication import Publication
from station.vault.pki.revocation import Revocations
from station.vault.plant.checks import Checks, Embedded
from station.vault.plant.courier import Courier, Office
from station.vault.plant.site_registry import NameTakenError
from station.vault.process import READY, desk_of
from station.vault.products import Products
from station.vault.profiles import SE1
from station.vault.publisher import Publisher, Witnessed
from station.vault.registry import Registry
from station.vault.server import serving
from station.vault.service import Floor
from station.vault.sorted_dies import Birthplace, SortedDies
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.times import Times
from station.vault.unusual import Unusual
from station.vault.work import Workers

log = structlog.get_logger()

STOP_S = 1.0
STDIN = 0
DATABASE, KEYS, LEDGER = "vault.sqlite", "keys", "ledger"
GARBAGE_EVERY = 20_000
SEALED_S = 1.0
"""How often a sealed key store is looked at."""
SWITCH_S = 0.001
"""How long a thread keeps the interpreter from others: journal and workers need it often and briefly."""
REFUSED = 2
"""Exit status when the vault cannot start; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, or until the pipe at standard input closes; return the exit status."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _log_to_stderr()
    try:
        durable_file.keep_folder(options.folder)
        with _only_one(options.folder):
            for path in (options.socket, desk_of(options.socket)):
                path.unlink(missing_ok=True)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(options.folder, options.socket, options.epoch, options.seed))
    except (ConfigError, JournalError, KeyStoreError, LedgerError, NameTakenError, OSError) as error:
        sys.stderr.write(f"hardbin-vault: {error}\n")
        return REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hardbin-vault", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where keys, certificates and journal lie")
    parser.add_argument("--socket", type=Path, required=True, help="the Unix socket to serve on")
    parser.add_argument("--epoch", type=float, help="unix time of a simulated lot, until a station tells one")
    parser.add_argument("--seed", type=int, help="make the development keys repeatable")
    return parser


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two vaults on one journal would both believe in their own truth."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{folder}: another vault runs on this folder") from error
        yield


async def _serve(folder: Path, socket: Path, epoch: float | None, seed: int | None) -> None:
    stop = _stop_event()
    config = configuration.load(folder / configuration.FILE)
    times = Times(development=not config.production, epoch=epoch)
    if config.production:  # keys of the dies in contact are in this memory
        harden()
    async with AsyncExitStack() as stack:
        keys = await _keyring(folder, config, seed, stop, stack)
        work = stack.enter_context(Workers().running(os.cpu_count() or 1))
        issuer = await Issuer.open(folder, keys, work, _trust(folder, config))
        teller = _teller(config)
        products, stops = Products(production=config.production), Stops()
        journal = await _journal(folder, stack)
        orders = Orders(_place(config), products)
        await journal.commit(products.load)
        office = Office(journal, teller, stops, lambda: times.now(None))
        registry = Registry(
            journal,
            teller,
            orders,
            await _checks(config, office, stack),
            _sorted(config, journal, teller),
            Unusual(config.alarms),
        )
        await _started(registry, config, times, stack)
        publisher = await _publisher(folder, config, keys, stack)
        publication = Publication(folder, issuer, Revocations(journal, teller.tell), keys, work)
        await _published(publication, products, keys, times, stack)
        events = KeyEvents(journal, teller, stops, keys, uses=config.production)
        means = Means(keys, issuer, registry, SE1, work, products)
        exporter = Exporter(folder, means, publisher, publication, config, times)
        desk = await reception(journal, orders, stops, teller, times, config.mode, founders.read(folder))
        floor = Floor(means, times, config, publisher, stops)
        servers = serving(floor, exporter, socket), serving_desk(desk, desk_of(socket))
        _beyond(servers, folder, config)
        await _told_of_keys(events, times, stack)
        await _served(servers, socket, stop)
        await registry.told(Fact("vault.stopped"), times.now(None))


def _place(config: Configuration) -> Place:
    low = config.quota_low_percent
    place = Place(config.name, seals=config.seals, low_percent=low, alone=config.production)
    return replace(place, origin=config.ledger.origin)


def _beyond(servers: tuple[grpc.aio.Server, grpc.aio.Server], folder: Path, config: Configuration) -> None:
    """Listen on TCP too, where the file says so; ConfigError if that cannot be."""
    if config.tls is None:
        return
    authorities = config.tls.stations, config.tls.persons or config.tls.stations
    for server, address, authority in zip(servers, (config.floor, config.desk), authorities, strict=True):
        if not address:
            continue
        credentials = tls.server_credentials(folder, config.tls, authority)
        try:
            port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ConfigError(f"{address}: nobody can be served there") from error
        log.info("listening", address=address, port=port)


async def _served(servers: Sequence[grpc.aio.Server], socket: Path, stop: asyncio.Event) -> None:
    """Serve until we are to stop."""
    for server in servers:
        await server.start()
    _share_out()
    sys.stdout.write(f"{READY.decode()}{socket}\n")
    sys.stdout.flush()
    try:
        await stop.wait()
    finally:
        for server in servers:
            await server.stop(STOP_S)


async def _keyring(
    folder: Path, config: Configuration, seed: int | None, stop: asyncio.Event, stack: AsyncExitStack
) -> Keyring:
    store = KeyStoreClient(folder / KEYS, production=config.production)
    stack.push_async_callback(store.aclose)
    store.begin()
    if config.production:
        await _activated(store, folder / KEYS, stop)
    return await Keyring.open(store, folder, production=config.production, seed=seed)


async def _activated(store: KeyStoreClient, folder: Path, stop: asyncio.Event) -> None:
    """Wait until custodians have opened the store; KeyStoreError if we are to stop before that."""
    told = False
    while (await store.health()).state == "sealed":
        if not told:
            log.warning("sealed", store=str(folder), waits_for="custodians: hardbin key activate")
        told = True
        with suppress(TimeoutError):
            async with asyncio.timeout(SEALED_S):
                await stop.wait()
            raise KeyStoreError(f"{folder}: nobody opened the key store before the vault was stopped")


def _trust(folder: Path, config: Configuration) -> Trust | None:
    """What a production vault was told of its authorities; None: it makes its own, for development."""
    if not config.production:
        return None
    told = config.authorities
    return trusted(folder, told.root, House(told.country, told.organisation, told.crl_base))


def _teller(config: Configuration) -> Teller:
    monotonic = asyncio.get_running_loop().time
    return Teller(config.hash(), monotonic, monotonic())


def _sorted(config: Configuration, journal: Journal, teller: Teller) -> SortedDies:
    birthplace = Birthplace(config.creator, config.plant_code)
    return SortedDies(journal, teller, birthplace, known_only=config.known_dies)


async def _journal(folder: Path, stack: AsyncExitStack) -> Journal:
    journal = Journal(folder / DATABASE)
    stack.callback(journal.close)
    await journal.open()
    return journal


async def _checks(config: Configuration, office: Office, stack: AsyncExitStack) -> Checks:
    """The registry of the plant, if the vault's own file is not all of it."""
    if config.registry.kind == "embedded":
        return Embedded()
    courier = Courier(office, config.registry, config.name)
    stack.push_async_callback(courier.close)
    await courier.open()
    await stack.enter_async_context(working(courier.run()))
    return courier


async def _started(registry: Registry, config: Configuration, times: Times, stack: AsyncExitStack) -> None:
    about = {"name": config.name, "mode": config.mode, "version": version("hardbin")}
    opening = Fact("log.opened", data={"origin": config.ledger.origin, "mode": config.mode})
    await registry.began(opening, Fact("vault.started", data=about), times.now(None))
    if config.production:  # else the station tells the time
        clock = ClockEvents(registry.told, RealClock().unix, table=config.clock)
        times.unsafe = clock.unsafe
        await stack.enter_async_context(working(clock.run()))


async def _publisher(folder: Path, config: Configuration, keys: Keyring, stack: AsyncExitStack) -> Publisher:
    """The ledger's folder, compared with what was signed last; LedgerError if one of them went back."""
    witnesses = [Witnessed(one.url, (key_of(one.key),)) for one in config.ledger.witness]
    publisher = Publisher(folder / DATABASE, folder / LEDGER, config.ledger, keys, witnesses)
    await publisher.open()
    stack.push_async_callback(publisher.close)
    await stack.enter_async_context(working(publisher.run()))
    return publisher


async def _published(
    publication: Publication, products: Products, keys: Keyring, times: Times, stack: AsyncExitStack
) -> None:
    """What is said of certificates: lists and answers, brought up to date until the vault stops."""

    def now() -> float:
        return times.now(None)

    await publication.open(now(), products.values())
    stack.push_async_callback(publication.attempt, now, keys.compromised)
    await stack.enter_async_context(working(publication.run(now, keys.compromised)))


async def _told_of_keys(events: KeyEvents, times: Times, stack: AsyncExitStack) -> None:
    """What became of keys since the last start, and what becomes of them until the vault stops."""

    def now() -> float:
        return times.now(None)

    await events.tell(now())
    await stack.enter_async_context(working(events.run(now)))


def _share_out() -> None:
    """Time for the other threads, and less for the collector.

    What lives as long as the process is not looked through again and again; dies leave little behind.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_EVERY)


def _stop_event() -> asyncio.Event:
    """Set by SIGTERM and SIGINT, and when the one who started us, at the other end of the pipe, is gone."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if stat.S_ISFIFO(os.fstat(STDIN).st_mode):
        loop.add_reader(STDIN, _watch, stop, loop)
    return stop


def _watch(stop: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    if not os.read(STDIN, 64):
        loop.remove_reader(STDIN)
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
