"""How fast the vault is, beside the cryptography that it cannot do without, measured in the same run.

Vault and key store are processes of their own, as in production; the dies are simulated in this one, so that
all share the machine. CPU is user plus system, all threads of both processes, after a warm-up.
"""

import asyncio
import gc
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

from drivers.errors import TransportError
from drivers.roles.card import Card, CardStep, ScriptReply
from station.clock import RealClock
from station.custody.ledger import Fact
from station.errors import CustodyError
from station.io_thread import IoThread
from station.model import Disposition
from station.sequence import Die
from station.vault.client import VaultClient, VaultProcess
from station.vault.crypto_bound import crypto_bound_s
from station.vault.desk.client import DeskClient
from station.vault.desk.development_order import Lot, order
from station.vault.journal import Journal
from station.vault.profiles import SE1
from station.vault.teller import Teller

T = TypeVar("T")

STATION = "bench"
FINGERPRINT = sha256(b"bench").digest()
WARM_UP, TURNS = 8, 4
ENDORSED = 5
"""Which answer of a die's stream brings the certificates: after S0, S1, S2 and S3."""
EVENTS, TELLERS = 20_000, 64
SETTLING, SETTLE_S = 20, 0.1
"""How often, and how far apart, it is looked whether all is closed."""


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
def bench() -> Iterator[Bench]:
    """A vault in a folder that is removed afterwards."""
    with TemporaryDirectory() as folder:
        process = VaultProcess.start(Path(folder) / "vault")
        io = IoThread()
        io.start()
        try:
            yield Bench(process, io)
        finally:
            io.stop()
            process.stop()


def cpu_of_dies(vault: Bench, cards: Sequence[Card], sites: int) -> Mapping[str, float]:
    """What a die costs the vault; the first few are a warm-up and are not counted.

    Dies and the cryptography alone take turns: how much a second of CPU does, changes with what else runs.
    """
    warm = min(WARM_UP, len(cards) // 2)
    asyncio.run(_personalised(vault, "WARM", cards[:warm], sites))
    counted, before, bounds = cards[warm:], _cpu_s(vault.process.pid), list[float]()
    for turn in range(TURNS):
        if some := counted[turn::TURNS]:
            asyncio.run(_personalised(vault, f"CPU-{turn}", some, sites))
        bounds.append(crypto_bound_s(tuple(SE1.kinds().values())))
    bound = sum(bounds) / TURNS
    own, store = (
        (after - begun) / len(counted) for after, begun in zip(_cpu_s(vault.process.pid), before, strict=True)
    )
    return {
        "dies_per_s_core": 1 / (own + store),
        "vault_cpu_ms": own * 1e3,
        "key_store_cpu_ms": store * 1e3,
        "crypto_bound_per_s_core": 1 / bound,
        "vault_over_crypto": (own + store) / bound,
    }


def side_by_side(vault: Bench, cards: Sequence[Card], sites: int) -> Mapping[str, float]:
    """How many dies a second many sites finish, and how long they wait for their certificates."""
    began = time.perf_counter()
    answers = asyncio.run(_personalised(vault, "SITES", cards, sites))
    seconds = time.perf_counter() - began
    endorsed = sorted(times[ENDORSED - 1] for times in answers)
    return {
        "endorsement_p99_ms": endorsed[len(endorsed) * 99 // 100] * 1e3,
        f"dies_per_s_{sites}_sites": len(cards) / seconds,
        "chips_per_hour": len(cards) / seconds * 3600,
    }


def leaked(vault: Bench, batches: Iterable[Sequence[Card]], sites: int) -> Mapping[str, float]:
    """What stays open after dies whose contact is lost at random moments, batch after batch."""
    random = Random(1)  # noqa: S311 - moments at which a contact is lost
    before = asyncio.run(_left(vault))
    for number, cards in enumerate(batches):
        torn = [TornCard(card, random.randint(1, 7)) for card in cards]
        asyncio.run(_personalised(vault, f"TORN-{number}", torn, sites, sealed=False))
    sessions, files = asyncio.run(_left(vault, before))
    return {"leaked_sessions": sessions, "leaked_files": files - before[1]}


async def _left(vault: Bench, before: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Open channels, and file handles; connections of stations that left need a moment to be closed.

    A station's end of one stays open until its collector finds it.
    """
    clock = RealClock()
    for _ in range(SETTLING):
        gc.collect()
        client = vault.client(clock)
        await client.connect()
        found = await client.open_sessions(), _files(vault.process.pid)
        await client.aclose()
        if found <= before:
            break
        await asyncio.sleep(SETTLE_S)
    return found


def _files(pid: int) -> int:
    """Open files of both processes; a key store shows its own to root only, else they are left out."""
    return sum(map(_files_of, _family(pid)))


def _files_of(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        return 0


class TornCard(Card):
    """A die whose reader fails at one script and every later one."""

    def __init__(self, card: Card, fails_at: int) -> None:
        super().__init__(card.name)
        self._card, self._left = card, fails_at

    async def run(self, script: Sequence[CardStep]) -> ScriptReply:
        self._left -= 1
        if self._left < 0:
            raise TransportError("the reader is unplugged")
        return await self._card.run(script)

    async def power_on(self) -> bytes:
        return await self._card.power_on()

    async def power_off(self) -> None:
        await self._card.power_off()

    async def make_safe(self) -> None:
        await self._card.make_safe()


async def _personalised(
    vault: Bench, lot: str, cards: Sequence[Card], sites: int, *, sealed: bool = True
) -> list[list[float]]:
    """All dies, as many side by side as there are sites; how long each waited for each answer."""
    client = vault.client(RealClock())
    await client.connect()
    asked = Lot(lot, SE1.product, len(cards), FINGERPRINT, STATION, RealClock().unix())
    client.order = await asyncio.wrap_future(vault.io.submit(order(DeskClient(vault.process.desk), asked)))
    await client.open_lot(lot, product=SE1.product, quantity=len(cards))
    await client.aclose()
    numbered, took = iter(enumerate(cards, 1)), list[list[float]]()
    try:
        async with asyncio.TaskGroup() as group:
            for site in range(1, sites + 1):
                group.create_task(_site(vault, (lot, site), numbered, took, sealed=sealed))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # one die's reason is enough
    return took


async def _site(
    vault: Bench,
    place: tuple[str, int],
    dies: "Iterator[tuple[int, Card]]",
    took: list[list[float]],
    *,
    sealed: bool,
) -> None:
    lot, site = place
    clock = StopwatchClock()
    client = vault.client(clock)
    for number, card in dies:
        unit = f"{lot}/{number}"
        die = Die(unit, lot, 1, site, FINGERPRINT, sha256(unit.encode()).digest()[:16])
        clock.took_s = []
        try:
            outcome = await client.personalise(die, card)
        except TransportError:
            continue
        if sealed and outcome.disposition is not Disposition.SEALED:
            raise CustodyError(f"{unit} was not sealed: {outcome.error} {outcome.detail}")
        took.append(clock.took_s)
    await client.aclose()


def ledger_events_per_s() -> float:
    """How many events a second reach the disk, each with its leaf, told by many at a time."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_ledger(Path(folder)))


async def _ledger(folder: Path) -> float:
    journal, monotonic = Journal(folder / "vault.sqlite"), asyncio.get_running_loop().time
    await journal.open()
    teller = Teller("00" * 32, monotonic, monotonic())
    began = monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(TELLERS):
            group.create_task(_told(journal, teller, EVENTS // TELLERS))
    seconds = monotonic() - began
    journal.close()
    return EVENTS // TELLERS * TELLERS / seconds


async def _told(journal: Journal, teller: Teller, count: int) -> None:
    for number in range(count):
        fact = Fact("unit.binned", unit=f"L1/{number}", lot="L1", data={"bin": 1})
        await journal.commit(partial(teller.tell, now=0.0, fact=fact))


def _cpu_s(pid: int) -> tuple[float, float]:
    """User and system time of a running process, and of its children."""
    own, *children = (_own_cpu_s(one) for one in _family(pid))
    return own, sum(children)


def _family(pid: int) -> tuple[int, ...]:
    """A process and its children."""
    return (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _own_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
