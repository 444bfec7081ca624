"""Between a vault and its plant's registry: sends what waits, waits for answers, and bears their absence.

One task sends, whoever waits; all that blocks happens in one thread of its own. A claim that was sent and not
noted, since the vault or the registry died in between, is sent again, which changes nothing.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import structlog

from station.custody.ledger import Fact
from station.vault.configuration import RegistryTable
from station.vault.faults import STOPPING, Code, FaultError
from station.vault.journal import Journal
from station.vault.plant import conflicts, site_claims
from station.vault.plant.site_registry import NameTakenError, SiteDownError, SiteRegistry
from station.vault.plant.uniqueness import Answer, Claim, Member
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.vigilance import Stop

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()

BATCH = 500
"""Claims in one transaction of the registry."""
POLL_S = 10.0
"""How often the registry is asked for alarms when there is nothing to send."""
AGAIN_FIRST_S, AGAIN_MOST_S = 0.5, 30.0
Waiter = tuple[str, "asyncio.Future[None]"]


@dataclass(frozen=True)
class Office:
    """What the courier works with."""

    journal: Journal
    teller: Teller
    stops: Stops
    now: Callable[[], float]
    """Unix seconds."""


class Courier:
    """The `site` side of the seam."""

    def __init__(self, office: Office, table: RegistryTable, name: str) -> None:
        self._office, self._table, self._name = office, table, name
        self._site = SiteRegistry(table.address(), table.wait_s)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry")
        self._waiters: list[Waiter] = []
        self._wake = asyncio.Event()
        self._down = ""
        """Why the registry does not answer; empty if it does, or was not asked yet."""
        self._member: Member
        self._seen: tuple[int, ...] = ()
        self._compared = False

    async def open(self) -> None:
        """Take up what waits; NameTakenError if the plant knows another vault by this name, or vice versa."""
        mark = await self._office.journal.commit(self._opened)
        self._member = Member(self._name, mark)
        try:
            await self.round()
        except SiteDownError as error:
            self._is_down(str(error))

    def _opened(self, db: sqlite3.Connection) -> bytes:
        if (name := site_claims.name(db)) not in ("", self._name):
            raise NameTakenError(f"the registry of the plant knows this vault as {name}, which it must keep")
        site_claims.catch_up(db)
        self._level(db, self._office.now())
        return site_claims.mark(db)

    # -- the seam
    def admit(self, db: sqlite3.Connection, unit: str) -> None:
        """Refuse one more unit if the spool is full; one that is in it may go on."""
        if site_claims.spooled(db) >= self._table.spool_max and not site_claims.in_spool(db, unit):
            detail = f"{self._table.spool_max} units wait for the registry of the plant"
            raise FaultError(Code.SPOOL_FULL, detail)

    def write(self, db: sqlite3.Connection, unit: str, now: float, claims: Iterable[Claim]) -> None:
        """Put claims into the outbox."""
        _refuse_lost(db, unit)
        new = not site_claims.in_spool(db, unit)
        site_claims.wait(db, claims)
        if new:
            self._level(db, now)

    async def answered(self, unit: str) -> None:
        """Wait for the answer about a unit; if the registry is down, not at all."""
        if not self._down:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((unit, waiter))
            self._wake.set()
            try:
                async with asyncio.timeout(self._table.wait_s):
                    await waiter
            except TimeoutError:
                log.warning("registry late", unit=unit)
        await self._office.journal.commit(lambda db: _refuse_lost(db, unit))

    async def checked(self, unit: str) -> str:
        return await self._office.journal.commit(lambda db: site_claims.checked(db, unit))

    # -- the task
    async def run(self) -> None:
        """Send whenever something waits, until cancelled; while the registry is down, ever less often."""
        again_s = AGAIN_FIRST_S
        while True:
            try:
                more = await self.round()
                again_s = AGAIN_FIRST_S
            except SiteDownError as error:
                self._is_down(str(error))
                await asyncio.sleep(again_s)
                again_s = min(2 * again_s, AGAIN_MOST_S)
                continue
            except NameTakenError as error:
                self._is_down(str(error))
                await self._stop(Code.REGISTRY_CONFLICT, str(error))
                return
            except Exception:  # noqa: BLE001 - without its courier a vault would wait for answers for ever
                log.exception("registry")
                self._is_down(STOPPING[Code.INTERNAL])
                await self._stop(Code.INTERNAL, STOPPING[Code.INTERNAL])
                return
            if not more:
                await self._woken()

    async def round(self) -> bool:
        """Send one batch and follow the answer; True if more waits. SiteDownError, NameTakenError."""
        self._wake.clear()
        waiters, self._waiters = self._waiters, []
        units = sorted({unit for unit, _ in waiters})[:BATCH]
        try:
            if not self._compared:
                await self._compare()
            batch = await self._office.journal.commit(lambda db: site_claims.batch(db, units, BATCH))
            at_ms = round(self._office.now() * 1000)
            answer = await self._apart(self._site.claim, self._member, batch, self._seen, at_ms)
            await self._follow(batch, answer)
        finally:
            for _, waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self._down:
            log.info("registry is back")
        self._down = ""
        return len(batch) == BATCH

    async def close(self) -> None:
        """Leave; what waits is sent after the next start."""
        await self._apart(self._site.close)
        self._thread.shutdown()

    async def _compare(self) -> None:
        """Once after a start: a registry that was restored from a backup is given again what it lacks."""
        there = await self._apart(self._site.count, self._member)
        lacking = await self._office.journal.commit(lambda db: site_claims.claim_again(db, there))
        if lacking:
            log.error("registry went back", lacking=lacking)
        self._compared = True

    async def _follow(self, batch: list[Claim], answer: Answer) -> None:
        if conflicts.keys_concerned(answer):
            fresh = await self._office.journal.commit(lambda db: conflicts.new(db, answer.alarms))
            if conflicts.keys_concerned(Answer(answer.lost, fresh)):
                await self._stop(Code.SPKI_DUPLICATE, STOPPING[Code.SPKI_DUPLICATE])
        if batch or answer.alarms:
            now = self._office.now()
            await self._office.journal.commit(lambda db: self._followed(db, batch, answer, now))
        self._seen = tuple(alarm.id for alarm in answer.alarms)
        for claim, holder in answer.lost:
            log.error("conflict", unit=claim.unit, kind=claim.kind, other=holder.unit, vault=holder.vault)

    def _followed(self, db: sqlite3.Connection, batch: list[Claim], answer: Answer, now: float) -> None:
        site_claims.keep_name(db, self._name)
        lost = {claim for claim, _ in answer.lost}
        site_claims.held(db, (claim for claim in batch if claim not in lost))
        for fact in conflicts.follow(db, answer, now):
            self._office.teller.tell(db, now, fact)
        self._level(db, now)

    def _level(self, db: sqlite3.Connection, now: float) -> None:
        for fact in site_claims.level(db, self._table.spool_max):
            self._office.teller.tell(db, now, fact)

    async def _stop(self, code: Code, why: str) -> None:
        """Stop the line at once, also for the next start."""
        office, now, stop = self._office, self._office.now(), Stop(code, why)
        office.stops.now(stop)

        def act(db: sqlite3.Connection) -> None:
            office.stops.keep(db, stop, now)
            told = {"code": code.name, "why": why}
            office.teller.tell(db, now, Fact("line.stopped", data=told))

        await office.journal.commit(act)

    async def _woken(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            return

    def _is_down(self, why: str) -> None:
        if why != self._down:
            log.error("registry is down", why=why)
        self._down = why
        waiters, self._waiters = self._waiters, []
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: function(*args, **kwargs)
        )


def _refuse_lost(db: sqlite3.Connection, unit: str) -> None:
    found = site_claims.lost(db, unit)
    if found is not None:
        kind, holder = found
        raise FaultError(site_claims.CODES[kind], f"{holder} has the same {kind}; both are quarantined")
