"""What is said between lots is told on the network too, once, also what a stop left untold."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from station import events
from station.custody.journal import Journal
from station.engine.states import State
from station.remote.herald import Herald
from station.remote.memory import Memory
from station.remote.projection import EVENTS
from station.remote.projection import told as told_of
from station.remote.topics import tree
from station.remote.view import View
from station.writer import Writer

STAGED = events.Staged(at=1.0, recipe="ab" * 32, title="se1 3", actor="p-1")
APPLIED = events.ConfigApplied(at=2.0, config="cd" * 32, changed=("cell.sites",), actor="p-1", second="p-2")


class Told:
    """A herald, and the outbox that it fills."""

    def __init__(self, folder: Path) -> None:
        self.memory, self.writer = Memory(folder / "remote.db"), Writer("remote")
        self.memory.open()
        self.herald = Herald(tree("ahm1", "ws-07"), self.memory, self.writer, View((1,)), lambda: 0.0)

    def outbox(self) -> list[tuple[str, Any]]:
        found = self.memory.waiting(100)
        return [(one.topic.rpartition("/")[2], msgspec.json.decode(one.payload)) for one in found]


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[Told, None]:
    told = Told(folder)
    await told.herald.catch_up()
    task = asyncio.create_task(told.herald.run())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])
        told.writer.close()
        told.memory.close()


async def journalled(path: Path, *happened: events.Any) -> None:
    journal = Journal(path, reserve_bytes=0)
    journal.open()
    await journal.commit(*happened)
    journal.close()


async def test_recipes_and_files_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "between"
    await journalled(path, STAGED)
    async with running(tmp_path) as told:
        told.herald.noted(path, 1, STAGED)
        async with asyncio.timeout(30):
            await told.herald.queued.wait()
        ((kind, event),) = told.outbox()
        assert (kind, kind in EVENTS) == ("recipe.staged", True)
        assert event["data"] == {"recipe": "ab" * 32, "title": "se1 3", "actor": "p-1"}
    await journalled(path, APPLIED)  # the station stopped before it told of this
    async with running(tmp_path) as told:
        first, second = told.outbox()
        assert (first[0], second[0]) == ("recipe.staged", "config.applied")
        assert first[1]["id"] != second[1]["id"]
        assert second[1]["data"]["changed"] == ["cell.sites"]


async def test_a_closed_lot_that_is_put_back_changes_the_state(tmp_path: Path) -> None:
    back = events.StateChanged(at=3.0, old="CLOSED", new="EMPTY")
    async with running(tmp_path) as told:
        told.herald.view.cell = State.CLOSED
        told.herald.noted(tmp_path / "between", 1, back)
        async with asyncio.timeout(30):
            await told.herald.changed.wait()
        assert told.herald.view.cell is State.EMPTY
        assert told.outbox() == []


def test_what_the_vault_tells_of_orders_and_its_ledger_is_told() -> None:
    low = events.QuotaLow(at=1.0, order="WO-1", left=40, quantity=1000, origin="o", leaf=1)
    head = events.LedgerHead(at=1.0, origin="vault.ahm1", size=7, root="ab" * 32)
    assert list(told_of(low)) == [("quota.low", {"order": "WO-1", "left": 40, "quantity": 1000})]
    assert list(told_of(head)) == [("ledger.head", {"origin": "vault.ahm1", "size": 7, "root": "ab" * 32})]
    assert {"quota.low", "ledger.head"} <= EVENTS


async def test_what_a_vault_stopped_counts_until_it_says_otherwise_also_after_a_restart(
    tmp_path: Path,
) -> None:
    path = tmp_path / "between"
    stopped = events.VaultTold(at=1.0, what="line.stopped", scope="line", why="twin", origin="o", leaf=3)
    over = events.VaultTold(at=2.0, what="line.released", scope="line", over=True, origin="o", leaf=4)
    await journalled(path, stopped)
    async with running(tmp_path) as told:
        told.herald.noted(path, 1, stopped)
        async with asyncio.timeout(30):
            await told.herald.queued.wait()
        assert told.herald.view.alarms.high == 1
    async with running(tmp_path) as told:
        assert told.herald.view.alarms.high == 1
        told.herald.noted(path, 2, over)
        async with asyncio.timeout(30):
            await told.herald.queued.wait()
        assert told.herald.view.alarms.high == 0
        assert [kind for kind, _ in told.outbox()] == ["alarm.raised", "alarm.cleared"]


def test_wafers_are_told_by_their_name() -> None:
    def said(what: str, text: str) -> list[tuple[str, dict[str, Any]]]:
        return list(told_of(events.MachineTold(at=1.0, machine="prober", what=what, text=text)))

    about = {"machine": "prober", "wafer": "W07"}
    assert said("wafer loaded", "W07, slot 7 of cassette 1") == [("wafer.started", about)]
    assert said("wafer ended", "W07") == [("wafer.completed", about)]
    assert said("paused", "") == []
    assert {"wafer.started", "wafer.completed"} <= EVENTS
