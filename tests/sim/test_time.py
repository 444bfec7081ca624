"""Virtual time: what jumps, what waits, what is refused, and that it is the same in every run."""

import asyncio
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Condition, Lock
from typing import Any, TypeVar

import pytest

from sim.clock import Clock, RealClock, is_simulated, mark_simulated, unmark_simulated
from sim.time import VirtualClock, VirtualLoop, new_loop
from station.clock import Clock as StationClock

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, speed: float | None = None, debug: bool = False) -> T:
    with asyncio.Runner(loop_factory=lambda: new_loop(speed), debug=debug) as runner:
        return runner.run(main)


def here() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.fixture(params=[False, True], ids=["plain", "debug"])
def debug(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_a_day_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(86400)
        return here().time()

    assert run(main()) == 86400


def test_time_begins_where_it_is_told() -> None:
    loop = new_loop(None, start=5.0)
    try:
        assert loop.time() == 5.0
        assert loop.clock.time() == 5.0
    finally:
        loop.close()


@pytest.mark.parametrize("start", [0.0, 1e9, 1e15])
def test_timers_are_due_at_any_time(start: float) -> None:
    async def main() -> float:
        await asyncio.sleep(2)
        return here().time()

    with asyncio.Runner(loop_factory=lambda: new_loop(None, start=start)) as runner:
        assert runner.run(main()) == start + 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_that_fails_does_not_take_the_baton_with_it() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def main() -> float:
        here().new_runner("clumsy").submit(fail)
        await asyncio.sleep(2)
        return here().time()

    assert run(main()) == 2


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        new_loop(speed)


def test_private_names_of_asyncio_that_the_loop_relies_on() -> None:
    """When this fails, a new Python needs a new look at `sim/time.py`."""
    loop = asyncio.SelectorEventLoop()
    try:
        loop.call_soon(print)
        loop.call_later(60, print)
        private = vars(loop)
        assert len(private["_ready"]) == 1
        assert private["_scheduled"][0].when() > loop.time()
        assert private["_clock_resolution"] > 0
        assert hasattr(loop, "_check_thread")
    finally:
        loop.close()


def test_threads_and_loop_share_one_time(debug: bool) -> None:
    """Ties: timers first, then threads in the order in which they began to wait."""

    async def main() -> list[tuple[float, str]]:
        loop = here()
        seen: list[tuple[float, str]] = []

        def see(name: str) -> None:
            seen.append((loop.time(), name))

        def job(name: str, *waits: float) -> None:
            for wait in waits:
                loop.clock.sleep(wait)
                see(name)

        a, b = loop.new_runner("a"), loop.new_runner("b")
        b.submit(lambda: job("b", 1.0, 1.0))
        a.submit(lambda: job("a", 1.0, 0.5))
        loop.call_later(1.0, see, "timer")
        await asyncio.sleep(3)
        return seen

    assert run(main(), debug=debug) == [(1.0, "timer"), (1.0, "b"), (1.0, "a"), (1.5, "a"), (2.0, "b")]


def test_timers_of_one_instant_go_off_in_the_order_in_which_they_were_set() -> None:
    async def main() -> list[int]:
        went_off: list[int] = []
        for number in range(100):
            timer = here().call_later(1.0, went_off.append, number)
            if number % 3 == 0:
                timer.cancel()
        await asyncio.sleep(2)
        return went_off

    assert run(main()) == [number for number in range(100) if number % 3]


def test_a_condition_is_waited_for_until_notified_or_due(debug: bool) -> None:
    async def main() -> list[float]:
        clock = here().clock
        condition = Condition(Lock())
        woken: list[float] = []

        def job(deadline: float | None) -> None:
            with condition:
                clock.wait(condition, deadline)
                woken.append(clock.time())

        def notify() -> None:
            with condition:
                clock.notify(condition)

        for deadline in (2.0, None, 7.0, 9.0):
            here().new_runner(f"until {deadline}").submit(partial(job, deadline))
        clock.call_later(5.0, notify)
        await asyncio.sleep(100)
        return woken

    assert run(main(), debug=debug) == [2.0, 5.0, 5.0, 5.0]


def test_executors_take_no_virtual_time_and_raise(debug: bool) -> None:
    async def main() -> None:
        loop = here()
        assert await loop.run_in_executor(None, int, "7") == 7
        assert await asyncio.to_thread(len, "abc") == 3  # noqa: TID251 - libraries do so
        with pytest.raises(ValueError, match="invalid literal"):
            await loop.run_in_executor(None, int, "x")
        assert loop.time() == 0
        await asyncio.gather(  # noqa: TID251 - two at once
            loop.run_in_executor(None, loop.clock.sleep, 3.0),
            loop.run_in_executor(None, loop.clock.sleep, 3.0),
        )
        assert loop.time() == 3

    run(main(), debug=debug)


def test_simulated_io_on_the_loops_thread_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="port's thread"):
            here().clock.sleep(1)

    run(main())


def test_a_thread_that_virtual_time_does_not_know_is_an_error() -> None:
    async def main() -> None:
        clock = here().clock
        with ThreadPoolExecutor(1) as pool:
            with pytest.raises(RuntimeError, match="does not know"):
                pool.submit(clock.sleep, 1).result()
            with pytest.raises(RuntimeError, match="does not know"):
                pool.submit(clock.call_later, 1, print).result()

    run(main())


def test_call_soon_from_a_foreign_thread_is_still_an_error_in_debug_mode() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="may call this"):
            pool.submit(here().call_soon, print).result()

    run(main(), debug=True)


def test_a_real_descriptor_needs_hold() -> None:
    async def main() -> None:
        loop = here()
        read, write = os.pipe()
        with pytest.raises(RuntimeError, match="io thread"):
            loop.add_reader(read, print)
        with loop.hold():
            arrived = asyncio.Event()
            loop.add_reader(read, arrived.set)
            os.write(write, b"x")
            async with asyncio.timeout(3600):
                await arrived.wait()
            loop.remove_reader(read)
        os.close(read)
        os.close(write)
        assert loop.time() < 3600

    run(main())


def test_a_simulated_descriptor_is_welcome() -> None:
    async def main() -> None:
        loop = here()
        fd = os.eventfd(0, os.EFD_NONBLOCK)
        mark_simulated(fd)
        heard: list[float] = []

        def hear() -> None:
            os.eventfd_read(fd)
            heard.append(loop.time())

        loop.add_reader(fd, hear)
        loop.clock.call_later(2.0, os.eventfd_write, fd, 1)
        await asyncio.sleep(5)
        loop.remove_reader(fd)
        unmark_simulated(fd)
        os.close(fd)
        assert not is_simulated(fd)
        assert heard == [2.0]

    run(main())


def test_held_time_passes_as_real_time_does() -> None:
    async def main() -> None:
        loop = here()
        began = time.monotonic()
        with loop.hold():
            await asyncio.sleep(0.05)
        assert time.monotonic() - began >= 0.049
        await asyncio.sleep(3600)
        assert loop.time() == pytest.approx(3600.05)

    run(main())


def test_paced_time_keeps_to_its_start() -> None:
    async def main() -> None:
        began = time.monotonic()
        for _ in range(50):
            await asyncio.sleep(0.1)
        assert here().time() == pytest.approx(5.0)
        assert time.monotonic() - began >= 0.049

    run(main(), speed=100)


def test_the_stations_clock_counts_from_its_epoch() -> None:
    async def main() -> None:
        clock: StationClock = VirtualClock(here(), epoch=1_700_000_000.0)
        await asyncio.sleep(90)
        assert clock.unix() == 1_700_000_090.0

    run(main())


def test_an_answer_comes_at_its_virtual_time_and_the_clock_waits_for_it() -> None:
    """The real work ends in an order that the run must not show."""

    async def main() -> list[tuple[float, str]]:
        loop = here()
        clock = VirtualClock(loop, epoch=0.0)
        got: list[tuple[float, str]] = []
        futures: dict[str, Future[str]] = {name: Future() for name in ("slow", "quick", "later")}

        async def ask(name: str, latency_s: float) -> None:
            got.append((loop.time(), await clock.answered(futures[name], latency_s=latency_s)))
            got[-1] = (loop.time(), got[-1][1])

        def work() -> None:
            for name in ("later", "quick", "slow"):
                futures[name].set_result(name)

        worker = threading.Timer(0.05, work)
        worker.start()
        async with asyncio.TaskGroup() as group:
            for name, latency_s in (("slow", 0.5), ("quick", 0.5), ("later", 0.7)):
                group.create_task(ask(name, latency_s))
            loop.call_later(0.5, lambda: got.append((loop.time(), "timer")))
            loop.call_later(0.6, lambda: got.append((loop.time(), "timer")))
        worker.join()
        return got

    expected = [(0.5, "timer"), (0.5, "slow"), (0.5, "quick"), (0.6, "timer"), (0.7, "later")]
    assert run(main()) == expected
    assert run(main(), speed=100) == expected


def test_a_failed_answer_raises() -> None:
    async def main() -> None:
        failed: Future[int] = Future()
        failed.set_exception(ConnectionError("vault away"))
        with pytest.raises(ConnectionError, match="vault away"):
            await VirtualClock(here(), epoch=0).answered(failed, latency_s=1)
        assert here().time() == 1

    run(main())


@pytest.mark.parametrize("cancel_at", [0.5, 1.0])
def test_cancelling_the_wait_cancels_the_question(cancel_at: float) -> None:
    async def main() -> None:
        loop = here()
        asked: Future[int] = Future()
        waiting = loop.create_task(VirtualClock(loop, epoch=0).answered(asked, latency_s=1.0))
        loop.call_later(cancel_at, waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asked.cancelled()
        await asyncio.sleep(10)
        assert loop.time() == cancel_at + 10

    run(main())


def test_an_answer_that_was_cancelled_elsewhere_cancels_the_wait() -> None:
    async def main() -> None:
        asked: Future[int] = Future()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await VirtualClock(here(), epoch=0).answered(asked, latency_s=1)

    run(main())


def test_closing_the_loop_ends_threads_wherever_they_wait() -> None:
    left: list[str] = []

    async def main() -> None:
        clock = here().clock

        def stubborn() -> None:
            try:
                clock.sleep(1e9)
            finally:
                left.append("stubborn")

        here().new_runner("stubborn").submit(stubborn)
        here().new_runner("idle")
        await asyncio.sleep(1)

    run(main())
    assert left == ["stubborn"]
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("stubborn", "idle")]


def test_a_runner_that_was_closed_ends_its_thread() -> None:
    async def main() -> None:
        runner = here().new_runner("short")
        ran: list[int] = []
        runner.submit(lambda: ran.append(1))
        runner.close()
        await asyncio.sleep(1)
        assert ran == [1]
        assert runner.ended
        here().new_runner("next").close()

    run(main())


def test_the_real_clock_waits_plans_and_wakes() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock: Clock = RealClock(loop)
        condition = Condition(Lock())
        planned: asyncio.Future[str] = loop.create_future()

        def wake() -> None:
            with condition:
                clock.notify(condition)

        def thread() -> float:
            began = clock.time()
            clock.sleep(0.01)
            clock.call_later(0.01, planned.set_result, threading.current_thread().name)
            clock.call_later(0.01, wake)
            with condition:
                clock.wait(condition, None)
                clock.wait(condition, clock.time() + 0.01)
            return clock.time() - began

        with ThreadPoolExecutor(1) as pool:
            passed = await asyncio.wrap_future(pool.submit(thread))
        assert passed >= 0.029
        assert await planned == "ThreadPoolExecutor-0_0" or planned.done()

    with asyncio.Runner() as runner:
        runner.run(main())
