"""Computing beside the loop: results, errors, and what happens when nobody waits any more."""

import asyncio
from threading import Event, current_thread

import pytest

from station.vault.work import Workers

WITHIN_S = 60.0


async def test_results_and_errors_come_to_the_one_who_waits() -> None:
    with Workers().running(2) as work:
        assert await work(pow, 2, 10) == 1024
        with pytest.raises(ZeroDivisionError):
            await work(divmod, 1, 0)
        assert await work(lambda: current_thread().name) in ("crypto_0", "crypto_1")


async def test_a_job_begins_before_anybody_awaits_it() -> None:
    begun = Event()
    with Workers().running(1) as work:
        job = work(begun.set)
        assert await asyncio.get_running_loop().run_in_executor(None, begun.wait, WITHIN_S)
        await job


async def test_a_job_that_was_given_up_harms_no_other() -> None:
    go = Event()
    with Workers().running(1) as work:
        given_up = asyncio.ensure_future(work(go.wait, WITHIN_S))
        given_up.cancel()
        go.set()
        assert await work(str, 7) == "7"
    assert given_up.cancelled()


def test_what_was_begun_is_done_before_the_block_ends_though_the_loop_is_gone() -> None:
    done: list[int] = []

    async def ask(work: Workers) -> None:
        for number in range(8):
            work(done.append, number)

    with Workers().running(1) as work:
        asyncio.run(ask(work))
    assert done == list(range(8))
