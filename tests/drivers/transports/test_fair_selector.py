"""A loop that is never idle lets go of the GIL now and then; a loop that sleeps pays nothing."""

import asyncio

import pytest

from drivers.transports import fair_selector
from drivers.transports.fair_selector import fair_loop
from drivers.transports.worker import Worker


def test_a_saturated_loop_does_not_starve_a_ports_thread() -> None:
    async def main() -> int:
        worker = Worker("a")
        call = asyncio.create_task(worker.call(sum, range(1000)))
        loop = asyncio.get_running_loop()

        def stay_busy() -> None:
            if not call.done():
                loop.call_soon(stay_busy)

        stay_busy()
        total = await call
        assert await worker.aclose()
        return total

    with asyncio.Runner(loop_factory=fair_loop) as runner:
        assert runner.run(main()) == 499500


def test_only_a_loop_that_does_not_sleep_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    now = [10.0]
    monkeypatch.setattr("drivers.transports.fair_selector.time.sleep", naps.append)
    monkeypatch.setattr("drivers.transports.fair_selector.time.perf_counter", lambda: now[0])
    with fair_selector.FairSelector() as selector:
        selector.select(0)
        assert len(naps) == 1, "it never slept yet"
        selector.select(0)
        now[0] += 0.9e-3
        selector.select(0)
        assert len(naps) == 1
        now[0] += 0.2e-3
        selector.select(0)
        assert len(naps) == 2
        now[0] += 1.0
        selector.select(1e-6)
        selector.select(0)
        assert len(naps) == 2, "it has just slept"
