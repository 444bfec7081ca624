"""What a vault tells by itself, brought to whoever keeps it, whatever breaks in between.

It runs on a real-time loop beside the station's. No lot waits for it or has it in its journal: how a lot goes
is the same whoever watches its vault.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing, asynccontextmanager
from math import inf
from typing import TypeAlias

import msgspec
from msgspec import Struct

from drivers.uninterrupted import heed
from station import events
from station.alarms import OF_VAULT
from station.clock import RealClock
from station.errors import ConfigError, StorageError
from station.side_work import seen
from station.vault.notices import CHECKPOINT, RELEASE
from station.vault.relay import Relay, RelayError
from station.vault.wire import floor_pb2 as wire

Told: TypeAlias = events.VaultTold | events.QuotaLow | events.LedgerHead
Tell: TypeAlias = Callable[[Told], Awaitable[None]]
AGAIN_S = 1.0
AWAY_S = 30.0
"""A vault that is away for so long is told of."""
HEAD_S = 3600.0
"""So often the ledger's head is told, and with each lot that is closed."""
LINE = "line"
WATCH = "the watch of the vault"

log = logging.getLogger(__name__)


class _Left(Struct):
    """What is left of an order."""

    left: int
    quantity: int = 0


class VaultWatch:
    """Follows one vault after the other connection, until cancelled."""

    def __init__(
        self,
        reach: Callable[[], Relay],
        tell: Tell,
        told_of: tuple[str, int] | None = None,
        ended: Collection[str] = (),
        *,
        again_s: float = AGAIN_S,
        away_s: float = AWAY_S,
    ) -> None:
        """`told_of`: ledger and last entry that were told of; None of a vault that lives as long as a lot.

        `ended`: the logs that came before that ledger's; it never is one of them again.
        """
        self._ended = set(ended)
        self._reach, self._tell, self._lasts = reach, tell, told_of is not None
        self._origin, self._leaf = told_of or ("", -1)
        self._again_s, self._away_s = again_s, away_s
        self._waiting: list[wire.Notice] = []
        """Notices whose checkpoint has not come."""
        self._head_at = -inf
        self._lost_at: float | None = None
        self._away = False

    async def run(self) -> None:
        """Follow the vault, for ever."""
        while True:
            why = await self._followed()
            try:
                await self._missed(why)
            except StorageError as error:
                heed()
                log.warning("vault: %s", error)
            await asyncio.sleep(self._again_s)

    async def _followed(self) -> str:
        """Follow it until the connection ends; return why it did."""
        self._waiting.clear()
        try:
            relay = self._reach()
            try:
                notices = relay.watch(self._origin, self._leaf, RealClock().unix())
                async with aclosing(notices):
                    async for notice in notices:
                        await self._take(notice)
            finally:
                await relay.aclose()
        except (RelayError, ConfigError, StorageError) as error:
            heed()
            return str(error)
        except msgspec.MsgspecError as error:
            log.warning("vault: not understood: %s", error)
            return str(error)
        return "it was stopped"

    async def _take(self, notice: wire.Notice) -> None:
        await self._there()
        if notice.kind != CHECKPOINT:
            self._waiting.append(notice)
            return
        if self._lasts and notice.scope == self._origin and notice.leaf < self._leaf:
            was = f"the ledger has {notice.leaf + 1} entries, and had {self._leaf + 1}"
            await self._say("log.gap", was)
        another = notice.scope != self._origin
        if self._lasts and another and notice.scope in self._ended:
            await self._say("log.gap", f"the ledger is {notice.scope} again, and was {self._origin} since")
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            await self._told(notice.scope, one)
        await self._head(notice, now=another or any(one.kind == "closed" for one in waiting))
        if another and self._origin:
            self._ended.add(self._origin)
        self._origin, self._leaf = notice.scope, notice.leaf

    async def _told(self, origin: str, notice: wire.Notice) -> None:
        at = notice.at_ms / 1000
        if notice.kind == "quota":
            left = msgspec.json.decode(notice.detail, type=_Left)
            await self._tell(
                events.QuotaLow(
                    at=at,
                    order=notice.scope,
                    left=left.left,
                    quantity=left.quantity,
                    origin=origin,
                    leaf=notice.leaf,
                )
            )
        elif notice.event in OF_VAULT:
            told = events.VaultTold(
                at=at,
                what=notice.event,
                scope=notice.scope,
                why=notice.detail,
                over=notice.kind == RELEASE,
                origin=origin,
                leaf=notice.leaf,
            )
            log.warning("vault: %s: %s: %s", told.what, told.scope, told.why)
            await self._tell(told)

    async def _head(self, notice: wire.Notice, *, now: bool) -> None:
        at_s = asyncio.get_running_loop().time()
        if now or at_s - self._head_at >= HEAD_S:
            self._head_at, size = at_s, notice.leaf + 1
            at, root = notice.at_ms / 1000, notice.detail
            await self._tell(events.LedgerHead(at=at, origin=notice.scope, size=size, root=root))

    # -- what the station says itself
    async def _missed(self, why: str) -> None:
        """Say once that the vault is away, if it stays so."""
        now = asyncio.get_running_loop().time()
        self._lost_at = now if self._lost_at is None else self._lost_at
        if self._lasts and not self._away and now - self._lost_at >= self._away_s:
            await self._say("vault.away", why)
            self._away = True

    async def _there(self) -> None:
        self._lost_at = None
        if self._away:
            await self._say("vault.away", over=True)
            self._away = False

    async def _say(self, what: str, why: str = "", *, over: bool = False) -> None:
        told = events.VaultTold(
            at=RealClock().unix(),
            what=what,
            scope=LINE,
            why=why,
            over=over,
            origin=self._origin,
            leaf=self._leaf,
        )
        log.warning("vault: %s%s", what, " is over" if over else f": {why}")
        await self._tell(told)


@asynccontextmanager
async def watching(watch: VaultWatch) -> AsyncGenerator[None, None]:
    """Watch while the block lasts."""
    running = asyncio.get_running_loop().create_task(watch.run())
    seen(WATCH, running)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
