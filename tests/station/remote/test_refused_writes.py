"""A station whose memory refuses a write stays on the network, and loses nothing that happened."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from station.errors import StorageError
from station.remote.agent import Agent
from station.remote.memory import Memory
from tests.station.remote.floor import Floor, listening, lot, reply
from tests.station.remote.test_presence import TOLD, closed, followed, ids, journalled, lot_events

Refuse = Callable[[str], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Have the next call of a method of memory refused."""

    def once(name: str) -> None:
        done: Callable[..., Any] = getattr(Memory, name)

        left = ["remote.db: database is locked"]

        def perhaps(memory: Memory, *args: Any) -> Any:
            if left:
                raise StorageError(left.pop())
            return done(memory, *args)

        monkeypatch.setattr(Memory, name, perhaps)

    return once


@pytest.mark.parametrize("name", ["put", "journals", "finished", "waiting", "delivered"])
async def test_a_lot_is_told_whole_though_memory_refuses_once(
    tmp_path: Path, refuse: Refuse, name: str
) -> None:
    floor = Floor(tmp_path)
    path = await journalled(tmp_path)
    async with floor.station() as presence, listening(floor.bus) as ear:
        refuse(name)
        await followed(presence, path)
        found = await ear.until(closed)
        while not await presence.told():  # noqa: ASYNC110 - the outbox rings no bell
            await asyncio.sleep(0)
        count = presence.herald.view.count
    first = list(dict.fromkeys(event.id for event in found))
    assert lot_events([next(event for event in found if event.id == one) for one in first]) == TOLD
    assert (count.tested, count.good) == (4, 2)
    async with listening(floor.bus) as ear, floor.station():
        pass
    assert ids(ear.events()) == []


async def test_a_command_whose_receipt_is_refused_has_had_its_effect_and_others_are_answered(
    tmp_path: Path, refuse: Refuse
) -> None:
    floor = Floor(tmp_path)
    floor.cell.block = asyncio.Event()
    async with floor.station(), floor.client() as client:
        await client.ask("control.acquire")
        loop = asyncio.get_running_loop()
        unanswered = loop.create_task(client.ask("lot.load", lot(), name="job-1"))
        await floor.cell.seen.wait()
        refuse("settle")
        floor.cell.block.set()
        answer = await client.ask("control.ping")
        unanswered.cancel()
    reply("ok", answer)
    assert len(floor.cell.taken) == 1


async def test_that_its_presence_has_failed_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = asyncio.Event()

    async def fail(agent: Agent) -> None:
        agent.connected.set()
        asyncio.get_running_loop().call_soon(failed.set)
        raise KeyError("a mistake")

    monkeypatch.setattr(Agent, "run", fail)
    with caplog.at_level(logging.ERROR):
        async with Floor(tmp_path).station():
            await failed.wait()
            assert [line.getMessage() for line in caplog.records] == [
                "presence on the network has failed, and is not there any more"
            ]
