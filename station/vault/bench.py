"""How fast the vault is, beside the cryptography that it cannot do without, measured in the same run.

Vault and key store are processes of their own, as in production; the dies are simulated in this one, so that
all share the machine. CPU is user plus system, all threads of both processes, after a warm-up.
"""

import asyncio
import gc
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from drivers.roles.card import Card
from station.clock import RealClock
from station.custody.ledger import Fact
from station.vault.bench_dies import Bench, Done, TornCard, family, personalised
from station.vault.crypto_bound import Budget
from station.vault.endorsements import percentile
from station.vault.journal import Journal
from station.vault.profiles import SE1
from station.vault.teller import Teller

WARM_UP, TURNS = 8, 4
ENDORSED = 5
"""Which answer of a die's stream brings the certificates: after S0, S1, S2 and S3."""
EVENTS, TELLERS = 20_000, 64
SETTLING, SETTLE_S = 20, 0.1
"""How often, and how far apart, it is looked whether all is closed."""


def cpu_of_dies(
    vault: Bench, cards: Sequence[Card], sites: int
) -> tuple[Mapping[str, float], list[Mapping[str, object]]]:
    """What a die costs the vault; the first few are a warm-up and are not counted.

    Dies and the cryptography alone take turns: how much a second of CPU does, changes with what else runs.
    Beside the figures come the rows of that cryptography's `Budget`.
    """
    warm = min(WARM_UP, len(cards) // 2)
    asyncio.run(personalised(vault, "WARM", cards[:warm], sites))
    budget = Budget.of(tuple(SE1.kinds().values()))
    counted, before = cards[warm:], _cpu_s(vault.process.pid)
    for turn in range(TURNS):
        if some := counted[turn::TURNS]:
            asyncio.run(personalised(vault, f"CPU-{turn}", some, sites))
        budget.go_on()
    own, store = (
        (after - begun) / len(counted) for after, begun in zip(_cpu_s(vault.process.pid), before, strict=True)
    )
    figures = {
        "dies_per_s_core": 1 / (own + store),
        "vault_cpu_ms": own * 1e3,
        "key_store_cpu_ms": store * 1e3,
        "crypto_bound_per_s_core": 1 / budget.die_s,
        "vault_over_crypto": (own + store) / budget.die_s,
    }
    return figures, budget.rows()


def side_by_side(vault: Bench, cards: Sequence[Card], sites: int, die_s: float) -> Mapping[str, float]:
    """How many dies a second many sites finish, and what their endorsement takes the vault, which is new.

    The sites begin spread over `die_s`, what a die takes about, as they are spread once each takes its next
    die by itself. Counted is the time in which every site has a die. What a station sees of an endorsement
    has the way there and back in it, and waits for dies that are simulated on the same loop.
    """
    done = asyncio.run(personalised(vault, "SITES", cards, sites, apart_s=die_s / sites))
    rate = _rate(done, sites)
    own_s = sum(die.own_s for die in done) / len(done)
    figures = {
        "endorsement_p99_ms": asyncio.run(_endorsement_p99_ms(vault)),
        "endorsement_seen_p99_ms": _seen_p99_ms(done),
        f"dies_per_s_{sites}_sites": rate,
        "chips_per_hour": rate * 3600,
    }
    return figures | ({"of_sites_over_die_time": rate * own_s / sites} if own_s else {})


def together(vault: Bench, cards: Sequence[Card]) -> Mapping[str, float]:
    """How long dies wait for their certificates that all begin at once, each at a site of its own."""
    done = asyncio.run(personalised(vault, "TOGETHER", cards, len(cards)))
    return {"endorsement_together_p99_ms": _seen_p99_ms(done)}


async def _endorsement_p99_ms(vault: Bench) -> float:
    client = vault.client(RealClock())
    await client.connect()
    try:
        return await client.endorsement_p99_ms()
    finally:
        await client.aclose()


def _seen_p99_ms(done: Sequence[Done]) -> float:
    return percentile([die.answers_s[ENDORSED - 1] for die in done], 99) * 1e3


def _rate(done: Sequence[Done], sites: int) -> float:
    """Dies a second while every site has one; of fewer than two for each site, in the whole time."""
    began = sorted(die.began_s for die in done)
    if len(done) < 2 * sites:
        return len(done) / (max(die.ended_s for die in done) - began[0])
    first, last = began[sites - 1], began[-1]
    return sum(first < die.ended_s <= last for die in done) / (last - first)


def leaked(vault: Bench, batches: Iterable[Sequence[Card]], sites: int) -> Mapping[str, float]:
    """What stays open after dies whose contact is lost at random moments, batch after batch."""
    random = Random(1)  # noqa: S311 - moments at which a contact is lost
    before = asyncio.run(_left(vault))
    for number, cards in enumerate(batches):
        torn = [TornCard(card, random.randint(1, 7)) for card in cards]
        asyncio.run(personalised(vault, f"TORN-{number}", torn, sites, sealed=False))
    sessions, files = asyncio.run(_left(vault, before))
    return {"leaked_sessions": sessions, "leaked_files": max(0, files - before[1])}


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
    return sum(map(_files_of, family(pid)))


def _files_of(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        return 0


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
    own, *children = (_own_cpu_s(one) for one in family(pid))
    return own, sum(children)


def _own_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
