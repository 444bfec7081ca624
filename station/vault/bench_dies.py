"""Dies that a bench brings to a vault, side by side, and what each of them waited for."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from drivers.errors import TransportError
from drivers.roles.card import Card, CardStep, ScriptReply
from station.clock import RealClock
from station.errors import CustodyError
from station.io_thread import IoThread
from station.model import Disposition
from station.sequence import Die
from station.vault.client import VaultClient, VaultProcess
from station.vault.desk.client import DeskClient
from station.vault.desk.development_order import Lot, order
from station.vault.profiles import SE1

T = TypeVar("T")

STATION = "bench"
FINGERPRINT = sha256(b"bench").digest()


@dataclass
class StopwatchClock(RealClock):
    """The machine's clock, which notes how long each answer of the vault took."""

    took_s: list[float] = field(default_factory=list)

    async def answered(self, future: "Future[T]", *, latency_s: float) -> T:
        began = time.perf_counter()
        answer = await super().answered(future, latency_s=latency_s)
        self.took_s.append(time.perf_counter() - began)
        return answer


@dataclass(frozen=True)
class Bench:
    """A vault, and the way to it."""

    process: VaultProcess
    io: IoThread

    def client(self, clock: RealClock) -> VaultClient:
        """A station of its own."""
        return VaultClient(self.process.socket, clock=clock, io=self.io, station=STATION)


@contextmanager
def bench(*, ahead: bool = False) -> Iterator[Bench]:
    """A vault in a folder that is removed afterwards.

    `ahead`: it goes before all other work, and so do its dies but behind it; PermissionError but for root.
    """
    with TemporaryDirectory() as folder:
        process = VaultProcess.start(Path(folder) / "vault")
        if ahead:
            _go_ahead(process.pid)
        io = IoThread()
        io.start()
        try:
            yield Bench(process, io)
        finally:
            io.stop()
            process.stop()


def family(pid: int) -> tuple[int, ...]:
    """A process and its children."""
    return (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _go_ahead(vault: int) -> None:
    """The key store before the vault, that before the dies, as if each had cores of its own."""
    own, *stores = family(vault)
    for rank, pids in enumerate(([os.getpid()], [own], stores), 1):
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(rank))


class TimedCard(Card):
    """A die that adds up how long it takes itself, as its reader tells."""

    def __init__(self, card: Card) -> None:
        super().__init__(card.name)
        self._card, self.own_s = card, 0.0

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        answer = await self._card.run(script)
        self.own_s += sum(reply.elapsed_s for reply in answer.replies)
        return answer

    async def power_on(self) -> bytes:
        return await self._card.power_on()

    async def power_off(self) -> None:
        await self._card.power_off()

    async def make_safe(self) -> None:
        await self._card.make_safe()


class TornCard(TimedCard):
    """A die whose reader fails at one script and every later one."""

    def __init__(self, card: Card, fails_at: int) -> None:
        super().__init__(card)
        self._left = fails_at

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        self._left -= 1
        if self._left < 0:
            raise TransportError("the reader is unplugged")
        return await super().run(script)


@dataclass(frozen=True)
class Done:
    """A die that came to its end; moments are those of `time.perf_counter`."""

    began_s: float
    ended_s: float
    own_s: float
    """What the die itself took."""
    answers_s: tuple[float, ...]
    """How long it waited for each answer of the vault."""


@dataclass
class Run:
    """Dies of one lot that sites take one after the other."""

    vault: Bench
    lot: str
    cards: Iterator[tuple[int, Card]]
    sealed: bool = True
    """Whether each must be."""
    done: list[Done] = field(default_factory=list)

    async def site(self, site: int, *, after_s: float = 0.0) -> None:
        """Take dies as long as there are any."""
        await asyncio.sleep(after_s)
        clock = StopwatchClock()
        client = self.vault.client(clock)
        for number, card in self.cards:
            clock.took_s = []
            began, timed = time.perf_counter(), TimedCard(card)
            try:
                await self._die(client, f"{self.lot}/{number}", site, timed)
            except TransportError:
                continue
            self.done.append(Done(began, time.perf_counter(), timed.own_s, tuple(clock.took_s)))
        await client.aclose()

    async def _die(self, client: VaultClient, unit: str, site: int, card: Card) -> None:
        die = Die(unit, self.lot, 1, site, FINGERPRINT, sha256(unit.encode()).digest()[:16])
        outcome = await client.personalise(die, card)
        if self.sealed and outcome.disposition is not Disposition.SEALED:
            raise CustodyError(f"{unit} was not sealed: {outcome.error} {outcome.detail}")


async def personalised(
    vault: Bench, lot: str, cards: Sequence[Card], sites: int, *, sealed: bool = True, apart_s: float = 0.0
) -> list[Done]:
    """Bring all dies of a lot to the vault, as many side by side as there are sites.

    The sites begin so long one after the other; with 0 together.
    """
    client = vault.client(RealClock())
    await client.connect()
    asked = Lot(lot, SE1.product, len(cards), FINGERPRINT, STATION, RealClock().unix())
    client.order = await asyncio.wrap_future(vault.io.submit(order(DeskClient(vault.process.desk), asked)))
    await client.open_lot(lot, product=SE1.product, quantity=len(cards))
    await client.aclose()
    run = Run(vault, lot, iter(enumerate(cards, 1)), sealed)
    try:
        async with asyncio.TaskGroup() as group:
            for site in range(1, sites + 1):
                group.create_task(run.site(site, after_s=(site - 1) * apart_s))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # one die's reason is enough
    return run.done
