"""Work beside a block: whatever goes on there, its failure is seen."""

import asyncio
import logging
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any

import pytest

from station.side_work import Running, seen, working
from station.vault import __main__ as vault
from station.vault.times import Times
from tests.station.vault.dies import NOW


async def failing() -> None:
    raise KeyError("a mistake")


async def going_on(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def test_a_block_ends_with_the_failure_of_the_work_beside_it() -> None:
    ended = list[str]()
    with pytest.raises(ExceptionGroup) as found:
        async with working(going_on(ended), failing()):
            await asyncio.Event().wait()
    assert [str(error) for error in found.value.exceptions] == ["'a mistake'"]
    assert ended == ["ended"]


async def test_work_ends_with_its_block_and_the_block_s_own_failure_is_told_as_it_is() -> None:
    ended = list[str]()
    async with working(going_on(ended)):
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="its own"):
        async with working(going_on(ended)):
            await asyncio.sleep(0)
            raise ValueError("its own")
    assert ended == ["ended"] * 2


async def test_a_block_that_is_cancelled_ends_its_work() -> None:
    ended, inside = list[str](), asyncio.Event()

    async def block() -> None:
        async with working(going_on(ended)):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await inside.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended"]


async def test_that_work_has_failed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    thread: Future[Any] = Future()
    futures: list[Running] = [asyncio.create_task(failing()), thread]
    for running in futures:
        seen("the watch", running)
    thread.set_exception(OSError("gone"))
    while len(caplog.records) < len(futures):  # noqa: ASYNC110 - a log rings no bell
        await asyncio.sleep(0)
    assert {line.getMessage() for line in caplog.records} == {
        "the watch has failed, and is not there any more"
    }
    assert [line.levelno for line in caplog.records] == [logging.ERROR] * 2


async def test_work_that_is_over_or_told_to_end_is_nothing_to_log(caplog: pytest.LogCaptureFixture) -> None:
    over, cancelled = Future[Any](), Future[Any]()
    for running in (over, cancelled):
        seen("the watch", running)
    over.set_result(None)
    cancelled.cancel()
    assert caplog.records == []


async def test_a_vault_does_not_go_on_without_what_watches_its_keys() -> None:
    class Events:
        async def tell(self, now: float) -> None:
            del now

        async def run(self, now: object) -> None:
            del now
            await failing()

    events: Any = Events()
    with pytest.raises(ExceptionGroup):
        async with AsyncExitStack() as stack:
            await vault._told_of_keys(events, Times(development=True, epoch=NOW), stack)  # noqa: SLF001
            await asyncio.Event().wait()
