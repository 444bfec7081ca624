"""The vault of one lot: the one that the station file names, or one for development that is the lot's own."""

from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from station.clock import Clock
from station.config import StationConfig
from station.io_thread import IoThread
from station.sequence import Sequence
from station.side_work import seen
from station.vault.client import ClientTls, VaultClient, VaultProcess
from station.vault.desk import development_order
from station.vault.desk.client import DeskClient
from station.vault.relay import Relay
from station.vault_watch import WATCH, Tell, VaultWatch


@dataclass
class LotVault:
    """Opens it; `ordered_as` tells under which order a development vault works, once it is open."""

    config: StationConfig
    sequence: Sequence[Any]
    clock: Clock
    lot: str
    devices: int
    folder: Path
    """Of a development vault."""
    seed: int | None
    """Of a new one's keys."""
    tell: Tell | None = None
    """Who keeps what it says by itself; None: nobody."""
    ordered_as: str = field(default="", init=False)

    @asynccontextmanager
    async def opened(self, *, needed: bool) -> AsyncGenerator[VaultClient | None, None]:
        """Have the vault inside the block; None if there is none, or none is needed."""
        if self.config.vault.mode == "none" or not needed:
            yield None
        elif self.config.vault.mode == "running":
            async with reached(self.config, self.clock, self.tell) as client:
                yield client
        else:
            async with self._development() as client:
                yield client

    @asynccontextmanager
    async def _development(self) -> AsyncGenerator[VaultClient, None]:
        clock = self.clock
        async with AsyncExitStack() as stack:
            process = VaultProcess.start(self.folder, epoch=clock.unix(), seed=self.seed)
            stack.callback(process.stop)
            io = IoThread()
            stack.callback(io.stop)
            io.start()
            client = VaultClient(process.socket, clock=clock, io=io, station=self.config.station.name)
            stack.push_async_callback(client.aclose)
            if self.tell is not None:
                relay = partial(Relay, process.socket, self.config.station.name)
                stack.callback(_watched(io, VaultWatch(relay, self.tell)).cancel)
            if await client.connect() == "development" and self.sequence.personalises:
                client.order = await clock.answered(io.submit(self._ordered(process)), latency_s=0.0)
                self.ordered_as = f"{client.order}, development: its signers stand for nobody"
            yield client

    async def _ordered(self, process: VaultProcess) -> str:
        """A development vault has an order for exactly this lot made for it; in another, persons sign one."""
        now = self.clock.unix()
        lot = development_order.Lot(
            name=self.lot,
            product=self.config.cell.product,
            quantity=self.devices,
            fingerprint=self.sequence.fingerprint(),
            station=self.config.station.name,
            now=now,
        )
        return await development_order.order(DeskClient(process.desk, told_time=now), lot)


def _watched(io: IoThread, watch: VaultWatch) -> "Future[None]":
    running = io.submit(watch.run())
    seen(WATCH, running)
    return running


def relay_of(config: StationConfig) -> Relay:
    """A connection to a vault that runs, not yet opened; ConfigError for wrong files."""
    return Relay(config.vault.address, config.station.name, tls=_tls(config))


def _tls(config: StationConfig) -> ClientTls | None:
    table, here = config.vault, config.source.parent
    files = [here / one for one in (table.certificate, table.key, table.authority) if one]
    return ClientTls.read(*files) if files else None


@asynccontextmanager
async def reached(
    config: StationConfig, clock: Clock, tell: Tell | None = None
) -> AsyncGenerator[VaultClient, None]:
    """A client of a vault that runs; ConfigError for wrong files, CustodyError if it does not answer.

    `tell` is told what it says by itself meanwhile.
    """
    table, tls = config.vault, _tls(config)
    io = IoThread()
    io.start()
    try:
        client = VaultClient(table.address, clock=clock, io=io, station=config.station.name, tls=tls)
        client.order = table.order
        if tell is not None:
            _watched(io, VaultWatch(partial(relay_of, config), tell))
        try:
            await client.connect()
            yield client
        finally:
            await client.aclose()
    finally:
        io.stop()
