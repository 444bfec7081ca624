"""A lot with everything in it, to be disturbed at any of its steps, and what must hold afterwards."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.roles.turn import Turn
from sim.time import new_loop
from station import commands, events
from station.custody.balance import balance_of
from station.custody.journal import Journal, read
from station.errors import StorageError
from station.model import Disposition, Limit, Personalisation
from station.sequence import Barrier, Die, Parametric, Personalise, Retest, Sequence, While
from tests.station.engine.doubles import (
    ANY,
    BAD,
    CONTACT,
    SPOILED,
    Bench,
    BenchSite,
    ScriptedHandler,
    sequence,
)

TWO = [frozenset({1, 2})] * 2
ENDS = frozenset({"CLOSED", "ABORTED", "HELD"})
Disturb = Callable[["Trial"], Coroutine[Any, Any, None]]


class SlowHandler(ScriptedHandler):
    """Takes its time, and knows whether an abort came before it was asked to move."""

    def __init__(self, touchdowns: list[frozenset[int]]) -> None:
        super().__init__(touchdowns)
        self.aborted = False
        self.moved_after_abort = False

    async def sort(self, bins: Mapping[int, int]) -> None:
        self.moved_after_abort = self.moved_after_abort or self.aborted
        await asyncio.sleep(0.001)
        await super().sort(bins)

    async def replunge(self) -> None:
        await asyncio.sleep(0.001)
        await super().replunge()


class Trial:
    """One lot of four devices at two sites: contact, retest, a shared supply, a chip, an identity."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.supply = Turn("supply")
        self.supply.shared = True
        self.sealed = Counter[str]()
        self.contacts = Counter[int]()
        self.bench = Bench(folder, self._sequence(), TWO)
        self.handler = SlowHandler(TWO)
        self.journal = self.bench.journal = WatchedJournal(self.bench.path)
        self.bench.use(self.handler)

    def _sequence(self) -> Sequence[BenchSite]:
        retest = Retest(frozenset({CONTACT}), times=1)
        chip = While(
            self._reset,
            (Parametric(2, self._idle, ANY, bin=BAD), Barrier(), Personalise(3, self._sealed, bin=SPOILED)),
            bin=BAD,
        )
        contact = Parametric(1, self._contact, Limit(0, 1, "V"), bin=CONTACT)
        return sequence(contact, While(self._powered, (chip,), bin=BAD), retest=retest)

    async def _contact(self, site: BenchSite) -> float:
        await asyncio.sleep(0.001)
        self.contacts[site.number] += 1
        return 9.0 if site.number == 2 and self.contacts[2] == 1 else 0.0

    async def _idle(self, site: BenchSite) -> float:
        async with self.supply.taken():
            await asyncio.sleep(0.001)
        return 0.0

    async def _sealed(self, site: BenchSite, die: Die) -> Personalisation:
        await asyncio.sleep(0.001)
        self.sealed[die.unit] += 1
        return Personalisation(Disposition.SEALED, uid=die.unit.encode())

    @asynccontextmanager
    async def _powered(self, site: BenchSite) -> AsyncGenerator[None, None]:
        async with self._on(site, "power"):
            yield

    @asynccontextmanager
    async def _reset(self, site: BenchSite) -> AsyncGenerator[None, None]:
        async with self._on(site, "chip"):
            yield

    @asynccontextmanager
    async def _on(self, site: BenchSite, what: str) -> AsyncGenerator[None, None]:
        """On and off each take their time, and off has no protection of its own."""
        site.seen.append(f"{what} on")
        try:
            await asyncio.sleep(0.001)
            yield
        finally:
            await asyncio.sleep(0.001)
            site.seen.append(f"{what} off")

    # -- its run
    async def run(self, disturb: Disturb, *, unattended: bool = True) -> str:
        """Run the lot, `disturb` beside it as long as it runs; return the state."""
        await self.bench.start()
        loop = asyncio.get_running_loop()
        self.lot = loop.create_task(self.bench.cell.run_lot(unattended=unattended))
        beside = loop.create_task(_beside(disturb, self))
        await asyncio.wait([self.lot], timeout=60)
        assert self.lot.done(), "the lot hangs"
        beside.cancel()
        await asyncio.wait([beside])
        if not self.lot.cancelled():
            self.lot.result()
        await self.bench.cell.aclose()
        return self.bench.cell.state.value

    async def abort(self, name: str = "abort", *, at_once: bool = False) -> commands.Receipt:
        """Ask for an abort; nothing may move from the moment at which it was accepted."""
        kind = commands.CutOff if at_once else commands.Abort
        receipt = await self.bench.cell.request(kind(id=name, actor="op"))
        self.handler.aborted = self.handler.aborted or receipt.ok
        return receipt

    def wrong(self, state: str) -> list[str]:
        """Say what does not hold after the lot; nothing if all does."""
        history = list(read(self.bench.path))
        found = [f"state {state}"] if state not in ENDS else []
        for site in self.bench.sites.values():
            on = Counter(text.removesuffix(" on") for text in site.seen if text.endswith("on"))
            off = Counter(text.removesuffix(" off") for text in site.seen if text.endswith("off"))
            found += [f"site {site.number}: {site.seen}"] if on != off else []
        if self.handler.moved_after_abort:
            found.append("it moved after an abort")
        return found + _unclosed(history) + self._identities(history) + self._account(history, state)

    def _identities(self, history: list[events.Any]) -> list[str]:
        sealed = {
            event.unit
            for event in history
            if isinstance(event, events.PersonalisationEnded) and event.disposition is Disposition.SEALED
        }
        spoiled = {event.unit for event in history if isinstance(event, events.Intended)} - sealed
        twice = [unit for unit, times in self.sealed.items() if times > 1]
        unknown = set(self.sealed) - sealed - spoiled
        return [f"sealed twice {twice}, unknown {unknown}"] if twice or unknown else []

    def _account(self, history: list[events.Any], state: str) -> list[str]:
        balance = balance_of(history)
        accounts = balance.accounts()
        found = [] if sum(accounts.values()) == self.bench.quantity else [f"accounts {accounts}"]
        if state == "CLOSED" and balance.unsorted():
            found.append(f"closed with {balance.unsorted()} in contact")
        if {int(unit.rpartition("/")[2]) for unit in self.sealed} - _known(balance.parts()):
            found.append("sealed but never in contact")
        return found


async def _beside(disturb: Disturb, trial: Trial) -> None:
    await disturb(trial)


def _known(parts: Any) -> set[int]:
    return set(parts)


def _unclosed(history: list[events.Any]) -> list[str]:
    opened = Counter((e.seq, s) for e in history if isinstance(e, events.TouchdownOpened) for s in e.parts)
    closed = Counter(
        (e.seq, o.site) for e in history if isinstance(e, events.ContactsClosed) for o in e.outcomes
    )
    corrected = Counter(
        (e.seq, s) for e in history if isinstance(e, events.ContactsCorrected) for s in e.sites
    )
    intended = Counter(e.unit for e in history if isinstance(e, events.Intended))
    ended = Counter(e.unit for e in history if isinstance(e, events.PersonalisationEnded))
    found = [f"opened {opened}, closed {closed}"] if opened + corrected != closed else []
    return found + ([f"intents {intended}, ends {ended}"] if intended != ended else [])


@dataclass(frozen=True)
class Moment:
    """When a lot is disturbed: at a virtual time, or while its n-th journal commit is under way."""

    seconds: float = 0.0
    commit: int = 0

    async def come(self, trial: Trial) -> None:
        """Return when it is there; CancelledError does for a lot that ends before."""
        if self.commit:
            await trial.journal.begun(self.commit)
        await asyncio.sleep(self.seconds)


class WatchedJournal(Journal):
    """Tells when a commit begins, and refuses those it is told to refuse."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, reserve_bytes=0)
        self.commits = 0
        self.refuses = frozenset[int]()
        self._changed = asyncio.Condition()

    async def commit(self, *entries: events.Any) -> None:
        self.commits += 1
        async with self._changed:
            self._changed.notify_all()
        if self.commits in self.refuses:
            self.failed = f"commit {self.commits} was told to fail"
            raise StorageError(self.failed)
        await super().commit(*entries)

    async def begun(self, number: int) -> None:
        """Return when that commit begins."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.commits >= number)


def disturbed(
    folder: Path, moment: Moment, disturb: Disturb, *, unattended: bool = True
) -> tuple[Trial, str, bool]:
    """Disturb a lot at a moment; also return whether there was such a moment before it had ended."""
    reached = False

    async def later(trial: Trial) -> None:
        nonlocal reached
        await moment.come(trial)
        reached = trial.bench.cell.state.value not in ENDS
        await disturb(trial)

    async def whole() -> tuple[Trial, str]:
        trial = Trial(folder)
        state = await trial.run(later, unattended=unattended)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left: {left}"
        async with asyncio.timeout(1), trial.supply.taken():
            return trial, state

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        trial, state = runner.run(whole())
    return trial, state, reached


def moments(first: int) -> Iterator[Moment]:
    """Yield every commit of a lot, and moments between them."""
    yield from (Moment(commit=number) for number in range(4, 31))
    yield from (Moment(seconds=(number * 4 + first % 4) * 0.00017) for number in range(22))
