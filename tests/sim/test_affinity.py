"""Where the threads of virtual time run."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest

from drivers.transports.worker import Worker
from sim.affinity import OneCore
from sim.time import new_loop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which thread may run where")


@pytest.fixture(autouse=True)
def cores() -> Iterator[set[int]]:
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("one core only")
    policy = os.sched_getscheduler(0)
    yield before
    assert os.sched_getaffinity(0) == before
    assert os.sched_getscheduler(0) == policy


async def used(cores: list[set[int]]) -> None:
    worker = Worker("a port")
    try:
        cores.append(await worker.call(os.sched_getaffinity, 0))
        cores.append(os.sched_getaffinity(0))
    finally:
        await worker.aclose()


def test_while_time_jumps_the_loop_and_its_ports_share_one_core() -> None:
    seen: list[set[int]] = []
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(used(seen))
    port, loop = seen
    assert len(loop) == 1
    assert port == loop


@pytest.mark.parametrize("speed", [1.0, 1000.0])
def test_paced_time_leaves_them_free(speed: float, cores: set[int]) -> None:
    seen: list[set[int]] = []
    with asyncio.Runner(loop_factory=lambda: new_loop(speed)) as runner:
        runner.run(used(seen))
    assert seen == [cores, cores]


def test_what_was_started_before_the_first_port_stays_free(cores: set[int]) -> None:
    seen: list[set[int]] = []
    asked, told = threading.Event(), threading.Event()

    def outside() -> None:
        asked.wait(5)
        seen.append(os.sched_getaffinity(0))
        told.set()

    async def main() -> None:
        thread = threading.Thread(target=outside)
        thread.start()
        await used([])
        asked.set()
        assert told.wait(5)
        thread.join()

    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        runner.run(main())
    assert seen == [cores]


def test_keeping_twice_and_freeing_twice_is_harmless(cores: set[int]) -> None:
    core = OneCore()
    core.keep()
    core.keep()
    assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getscheduler(0) == os.SCHED_BATCH
    core.free()
    core.free()
    assert os.sched_getaffinity(0) == cores
