"""What a vault tells by itself reaches whoever keeps it, once, whatever becomes of connections and vaults."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from station import events
from station.errors import StorageError
from station.vault.relay import Relay
from station.vault.server import SERVICE
from station.vault.wire import floor_pb2 as wire
from station.vault_watch import Told, VaultWatch, watching

ORIGIN, NEXT = "ahm1.example/vault-1/2026", "ahm1.example/vault-1/2027"
ROOT = "ab" * 32
AT_MS = 1_780_272_000_500
PATIENCE_S = 30.0


def head(leaf: int, origin: str = ORIGIN) -> wire.Notice:
    return wire.Notice(kind="checkpoint", scope=origin, detail=ROOT, leaf=leaf, at_ms=AT_MS)


def notice(kind: str, event: str, leaf: int, detail: str = "why") -> wire.Notice:
    return wire.Notice(kind=kind, event=event, scope="line", detail=detail, leaf=leaf, at_ms=AT_MS)


class Scripted:
    """A vault that says what it is told to say, connection after connection, and then holds the line."""

    def __init__(self, *connections: list[wire.Notice]) -> None:
        self.connections = list(connections)
        self.asked: list[tuple[str, int]] = []

    async def watch(self, request: wire.WatchRequest, context: object) -> AsyncIterator[wire.Notice]:
        del context
        self.asked.append((request.origin, request.after))
        for one in self.connections.pop(0):
            yield one
        if not self.connections:
            await asyncio.Event().wait()

    @asynccontextmanager
    async def served(self, socket: Path) -> AsyncIterator[None]:
        said = grpc.unary_stream_rpc_method_handler(
            self.watch, wire.WatchRequest.FromString, wire.Notice.SerializeToString
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Watch": said}),))
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(0)


class Kept:
    """What was told, and a way to wait for it."""

    def __init__(self, socket: Path) -> None:
        self.reach: Callable[[], Relay] = lambda: Relay(socket, "cell-1")
        self.told: list[Told] = []
        self.refuses = 0
        self._arrived = asyncio.Event()

    async def tell(self, told: Told) -> None:
        if self.refuses:
            self.refuses -= 1
            raise StorageError("the disk is full")
        self.told.append(told)
        self._arrived.set()

    def watch(self, told_of: tuple[str, int] | None = ("", -1)) -> VaultWatch:
        return VaultWatch(self.reach, self.tell, told_of, again_s=0.0, away_s=0.0)

    async def until(self, number: int) -> list[Told]:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.told) < number:
                self._arrived.clear()
                await self._arrived.wait()
        return self.told


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "s")


async def test_what_is_told(tmp_path: Path, kept: Kept) -> None:
    vault = Scripted(
        [
            head(4),
            notice("alarm", "rate.unusual", 5),
            notice("hold", "unit.quarantined", 6),
            notice("quota", "quota.low", 7, '{"left":2,"quantity":20}'),
            notice("stop", "line.stopped", 8),
            notice("release", "line.released", 9),
            head(9),
            head(10),
            notice("closed", "lot.closed", 11),
            head(12),
        ]
    )
    async with vault.served(tmp_path / "s"), watching(kept.watch()):
        first, rate, quota, stop, over, last = await kept.until(6)
    at = AT_MS / 1000
    assert first == events.LedgerHead(at=at, origin=ORIGIN, size=5, root=ROOT)
    assert rate == events.VaultTold(
        at=at, what="rate.unusual", scope="line", why="why", origin=ORIGIN, leaf=5
    )
    assert quota == events.QuotaLow(at=at, order="line", left=2, quantity=20, origin=ORIGIN, leaf=7)
    assert isinstance(stop, events.VaultTold)
    assert isinstance(over, events.VaultTold)
    assert (stop.what, stop.over, over.what, over.over) == ("line.stopped", False, "line.released", True)
    assert last == events.LedgerHead(at=at, origin=ORIGIN, size=13, root=ROOT), "a lot was closed"


async def test_after_a_break_it_goes_on_behind_what_it_has_heard(tmp_path: Path, kept: Kept) -> None:
    vault = Scripted(
        [head(4), notice("alarm", "rate.unusual", 5), head(6), notice("alarm", "rate.unusual", 7)],
        [notice("alarm", "rate.unusual", 7), head(9)],
    )
    async with vault.served(tmp_path / "s"), watching(kept.watch()):
        told = await kept.until(5)
    assert vault.asked == [("", 0), (ORIGIN, 6)]
    said = [(one.what, one.leaf, one.over) for one in told if isinstance(one, events.VaultTold)]
    assert said == [
        ("rate.unusual", 5, False),
        ("vault.away", 6, False),
        ("vault.away", 6, True),
        ("rate.unusual", 7, False),
    ], "a word whose checkpoint never came is told when it comes"


async def test_a_vault_that_is_not_there_is_told_once(tmp_path: Path, kept: Kept) -> None:
    vault = Scripted([head(4)])
    async with watching(kept.watch()):
        (away,) = await kept.until(1)
        async with vault.served(tmp_path / "s"):
            _, back, seen = await kept.until(3)
    assert isinstance(away, events.VaultTold)
    assert isinstance(back, events.VaultTold)
    assert (away.what, away.over) == (back.what, False) == ("vault.away", False)
    assert back.over
    assert isinstance(seen, events.LedgerHead)


async def test_a_ledger_that_is_again_in_a_log_that_had_ended_is_an_alarm(tmp_path: Path, kept: Kept) -> None:
    """A disk from before a rotation has another log's name and, it may be, more entries than the new log."""
    vault = Scripted([head(4), head(1, NEXT), head(9), head(10), head(11)])
    async with vault.served(tmp_path / "s"), watching(kept.watch()):
        old, new, gap, back = await kept.until(4)
    assert [isinstance(one, events.LedgerHead) and one.origin for one in (old, new, back)] == [
        ORIGIN,
        NEXT,
        ORIGIN,
    ]
    assert isinstance(gap, events.VaultTold)
    assert (gap.what, gap.why) == ("log.gap", f"the ledger is {ORIGIN} again, and was {NEXT} since")


async def test_which_logs_have_ended_is_known_from_before(tmp_path: Path, kept: Kept) -> None:
    watch = VaultWatch(kept.reach, kept.tell, (NEXT, 1), [ORIGIN], again_s=0.0, away_s=0.0)
    async with Scripted([head(9)]).served(tmp_path / "s"), watching(watch):
        gap, _ = await kept.until(2)
    assert isinstance(gap, events.VaultTold)
    assert gap.what == "log.gap"


async def test_a_ledger_that_went_back_is_an_alarm(tmp_path: Path, kept: Kept) -> None:
    async with Scripted([head(4)]).served(tmp_path / "s"), watching(kept.watch((ORIGIN, 9))):
        gap, _ = await kept.until(2)
    assert isinstance(gap, events.VaultTold)
    assert (gap.what, gap.why) == ("log.gap", "the ledger has 5 entries, and had 10")


@pytest.mark.parametrize("told_of", [("another.example", 9), None])
async def test_another_ledger_is_none_that_went_back(
    tmp_path: Path, kept: Kept, told_of: tuple[str, int] | None
) -> None:
    async with Scripted([head(4)]).served(tmp_path / "s"), watching(kept.watch(told_of)):
        (only,) = await kept.until(1)
    assert isinstance(only, events.LedgerHead)


async def test_what_could_not_be_kept_is_told_again(tmp_path: Path, kept: Kept) -> None:
    kept.refuses = 1
    lines = [notice("alarm", "rate.unusual", 5), head(6)]
    async with Scripted(lines, lines).served(tmp_path / "s"), watching(kept.watch(None)):
        alarm, _ = await kept.until(2)
    assert isinstance(alarm, events.VaultTold)
    assert alarm.leaf == 5


async def test_an_alarm_of_its_own_that_could_not_be_kept_is_told_again(tmp_path: Path, kept: Kept) -> None:
    kept.refuses = 1
    async with watching(kept.watch()):
        (away,) = await kept.until(1)
        kept.refuses = 1
        async with Scripted([head(4)], [head(4)]).served(tmp_path / "s"):
            _, back, _ = await kept.until(3)
    assert isinstance(away, events.VaultTold)
    assert isinstance(back, events.VaultTold)
    assert [(one.what, one.over) for one in (away, back)] == [("vault.away", False), ("vault.away", True)]


async def test_words_that_nobody_understands_end_a_connection_and_not_the_watch(
    tmp_path: Path, kept: Kept
) -> None:
    quota = notice("quota", "quota.low", 5, detail="no number")
    async with (
        Scripted([quota, head(6)], [head(6)]).served(tmp_path / "s"),
        watching(kept.watch(None)),
    ):
        (seen,) = await kept.until(1)
    assert isinstance(seen, events.LedgerHead)
