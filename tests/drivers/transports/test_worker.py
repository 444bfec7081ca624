"""The seven rules of a port's thread, and what is easily got wrong about each."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from subprocess import run
from typing import Any, TypeVar

import pytest

from drivers.errors import DeviceLost, DutError, InstrumentError, Silent
from drivers.transports.worker import Worker
from sim.time import VirtualLoop, new_loop

T = TypeVar("T")
Make = Callable[[], asyncio.AbstractEventLoop]


def run_on(make: Make, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=make, debug=False) as runner:
        return runner.run(main)


@pytest.fixture(params=["real", "virtual"])
def make(request: pytest.FixtureRequest) -> Make:
    return asyncio.SelectorEventLoop if request.param == "real" else lambda: new_loop(None)


class Far:
    """Something at the far end of a port: a read blocks until it is answered or aborted."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.changed = threading.Condition()
        self.reading = asyncio.Event()
        self.answer: str | None = None
        self.aborted = 0
        self.recovered: list[str] = []
        self.deaf = False

    def read(self, name: str) -> str:
        self.loop.call_soon_threadsafe(self.reading.set)
        with self.changed:
            while self.answer is None and not (self.aborted and not self.deaf):
                self._wait()
        if self.answer is None:
            raise Silent(f"{name} aborted")
        return f"{name} {self.answer}"

    def _wait(self) -> None:
        if isinstance(self.loop, VirtualLoop):
            self.loop.clock.wait(self.changed, None)
        else:
            self.changed.wait()

    def abort(self) -> None:
        with self.changed:
            self.aborted += 1
            self._tell()

    def say(self, answer: str) -> None:
        with self.changed:
            self.answer = answer
            self._tell()

    def _tell(self) -> None:
        if isinstance(self.loop, VirtualLoop):
            self.loop.clock.notify(self.changed)
        else:
            self.changed.notify_all()

    def recover(self) -> None:
        self.recovered.append(threading.current_thread().name)
        self.aborted = 0


def test_jobs_run_in_order_on_one_thread_of_their_own(make: Make) -> None:
    async def main() -> None:
        worker = Worker("a")
        ran: list[tuple[int, str]] = []

        def job(number: int) -> int:
            ran.append((number, threading.current_thread().name))
            return number * 10

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(worker.call(job, number)) for number in range(5)]
        assert [task.result() for task in tasks] == [0, 10, 20, 30, 40]
        assert [number for number, _ in ran] == [0, 1, 2, 3, 4]
        assert {name for _, name in ran} == {"port a"}
        assert await worker.aclose()
        assert worker.load.jobs == 6

    run_on(make, main())


def test_a_call_cancelled_while_queued_never_runs(make: Make) -> None:
    async def main() -> None:
        far = Far()
        worker = Worker("a", abort=far.abort, recover=far.recover)
        first = asyncio.create_task(worker.call(far.read, "first"))
        await far.reading.wait()
        ran: list[str] = []
        second = asyncio.create_task(worker.call(ran.append, "second"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert far.aborted == 0, "the abort is for the call that runs, which nobody cancelled"
        far.say("done")
        assert await first == "first done"
        assert await worker.call(len, "abc") == 3
        assert not ran
        assert await worker.aclose()

    run_on(make, main())


def test_a_running_call_is_aborted_and_recovered_before_the_cancel_is_delivered(make: Make) -> None:
    async def main() -> None:
        far = Far()
        worker = Worker("a", abort=far.abort, recover=far.recover, grace_s=30)
        call = asyncio.create_task(worker.call(far.read, "first"))
        await far.reading.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert far.recovered == ["port a"]
        assert not worker.lost
        assert await worker.call(len, "abc") == 3
        assert await worker.aclose()

    run_on(make, main())


def test_a_timeout_around_a_call_is_a_timeout_though_the_call_absorbs_cancels(make: Make) -> None:
    async def main() -> None:
        far = Far()
        worker = Worker("a", abort=far.abort, recover=far.recover, grace_s=30)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await worker.call(far.read, "first")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        assert await worker.aclose()

    run_on(make, main())


@pytest.mark.parametrize("cancels", [1, 3])
def test_a_thread_that_does_not_come_back_is_lost_after_the_grace(make: Make, cancels: int) -> None:
    async def main() -> None:
        far = Far()
        far.deaf = True
        worker = Worker("a", abort=far.abort, recover=far.recover, grace_s=0.05)
        call = asyncio.create_task(worker.call(far.read, "first"))
        await far.reading.wait()
        queued = asyncio.create_task(worker.call(len, "abc"))
        began = asyncio.get_running_loop().time()
        for _ in range(cancels):
            call.cancel()
            await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert asyncio.get_running_loop().time() - began >= 0.05, "a second cancel shortened the grace"
        assert worker.lost
        with pytest.raises(DeviceLost, match="did not come back"):
            await queued
        with pytest.raises(DeviceLost, match="a: its thread"):
            await worker.call(len, "abc")
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        assert not await worker.aclose(lambda: loop.call_soon_threadsafe(closed.set), timeout_s=30)
        assert not far.recovered
        far.say("late")
        await closed.wait()  # the late return is dropped, and closes the handle

    run_on(make, main())


def test_an_abort_cannot_hit_the_next_job(make: Make) -> None:
    """The cancel comes when the thread has left the port, but the loop has not heard of it."""

    async def main() -> None:
        far = Far()
        ended = threading.Event()
        worker = Worker("a", abort=far.abort, recover=far.recover)
        call = asyncio.create_task(worker.call(ended.set))
        await asyncio.sleep(0)
        if isinstance(asyncio.get_running_loop(), VirtualLoop):
            await worker.call(len, "")
        else:
            assert ended.wait(10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
            raise asyncio.CancelledError  # it had ended before the cancel came: also right
        far.say("right")
        assert await worker.call(far.read, "next") == "next right"
        assert await worker.aclose()

    run_on(make, main())


@pytest.mark.parametrize(
    ("error", "recoveries"),
    [(Silent("x"), 1), (ValueError("x"), 1), (InstrumentError(-222, "range"), 0), (DutError("x"), 0)],
)
def test_a_failure_makes_the_port_dirty_unless_the_far_end_has_spoken(
    make: Make, error: Exception, recoveries: int
) -> None:
    async def main() -> None:
        recovered: list[int] = []
        worker = Worker("a", recover=lambda: recovered.append(1))

        def fail() -> None:
            raise error

        with pytest.raises(type(error)):
            await worker.call(fail)
        assert len(recovered) == recoveries
        assert await worker.call(len, "abc") == 3
        assert await worker.aclose()

    run_on(make, main())


def test_a_job_may_say_itself_that_it_leaves_dirt(make: Make) -> None:
    async def main() -> None:
        recovered: list[int] = []
        worker = Worker("a", recover=lambda: recovered.append(1))
        await worker.call(worker.soil)
        assert recovered == [1]
        await worker.call(len, "")
        assert recovered == [1]
        assert await worker.aclose()

    run_on(make, main())


def test_a_recovery_that_fails_loses_the_port(make: Make) -> None:
    async def main() -> None:
        def recover() -> None:
            raise Silent("no answer to device clear")

        def fail() -> None:
            raise Silent("nothing")

        worker = Worker("a", recover=recover)
        with pytest.raises(Silent, match="nothing"):
            await worker.call(fail)
        with pytest.raises(DeviceLost, match="no answer to device clear"):
            await worker.call(len, "")
        assert await worker.aclose()

    run_on(make, main())


def test_a_port_that_is_gone_is_lost_at_once(make: Make) -> None:
    async def main() -> None:
        recovered: list[int] = []
        worker = Worker("a", recover=lambda: recovered.append(1))

        def fail() -> None:
            raise DeviceLost("a: unplugged")

        with pytest.raises(DeviceLost):
            await worker.call(fail)
        assert worker.lost
        with pytest.raises(DeviceLost, match="^a: unplugged$"):
            await worker.call(len, "")
        assert not recovered
        assert await worker.aclose()

    run_on(make, main())


def test_settle_lets_a_short_job_end_though_it_is_cancelled(make: Make) -> None:
    async def main() -> None:
        far = Far()
        worker = Worker("a", abort=far.abort, recover=far.recover)
        call = asyncio.create_task(worker.settle(far.read, "poll", bound_s=30))
        await far.reading.wait()
        call.cancel()
        await asyncio.sleep(0)
        far.say("done")
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (far.aborted, far.recovered) == (0, [])
        assert await worker.aclose()

    run_on(make, main())


def test_a_pause_ends_when_its_job_is_cancelled(make: Make) -> None:
    async def main() -> None:
        worker = Worker("a", grace_s=30)
        pausing = asyncio.Event()
        loop = asyncio.get_running_loop()

        def job() -> None:
            loop.call_soon_threadsafe(pausing.set)
            worker.pause(1e6)
            worker.pause(1e6)

        call = asyncio.create_task(worker.call(job))
        await pausing.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not worker.lost
        began = loop.time()
        await worker.call(worker.pause, 0.02)
        assert loop.time() - began >= 0.0199, "the wake-up of one job ended the pause of the next"
        assert await worker.aclose()

    run_on(make, main())


def test_closing_drops_the_queue_aborts_what_runs_and_closes_on_the_thread(make: Make) -> None:
    async def main() -> None:
        far = Far()
        worker = Worker("a", abort=far.abort, recover=far.recover)
        call = asyncio.create_task(worker.call(far.read, "first"))
        await far.reading.wait()
        queued = asyncio.create_task(worker.call(len, "abc"))
        await asyncio.sleep(0)
        closed_on: list[str] = []
        assert await worker.aclose(lambda: closed_on.append(threading.current_thread().name))
        assert closed_on == ["port a"]
        with pytest.raises(Silent):
            await call
        with pytest.raises(DeviceLost, match="closed"):
            await queued
        with pytest.raises(DeviceLost, match="closed"):
            await worker.call(len, "abc")
        assert not await worker.aclose(), "closed once is closed"

    run_on(make, main())


def test_nobody_complains_of_results_that_nobody_wants(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        far = Far()
        worker = Worker("a", abort=far.abort, recover=far.recover)
        call = asyncio.create_task(worker.call(far.read, "first"))
        await far.reading.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        def fail() -> None:
            raise OSError("already closed")

        assert await worker.aclose(fail)

    run_on(make, main())
    gc.collect()
    assert not caplog.records


def test_a_stop_iteration_reaches_the_caller(make: Make) -> None:
    async def main() -> None:
        worker = Worker("a")
        nothing: list[int] = []
        with pytest.raises(RuntimeError, match="StopIteration"):
            await worker.call(iter(nothing).__next__)
        assert await worker.aclose()

    run_on(make, main())


def test_a_thread_that_outlives_its_loop_raises_nothing() -> None:
    """An exception in a thread fails the test."""
    release = threading.Event()

    async def main() -> None:
        reading = asyncio.Event()
        loop = asyncio.get_running_loop()

        def job() -> None:
            loop.call_soon_threadsafe(reading.set)
            release.wait()

        worker = Worker("late", grace_s=0.01)
        call = asyncio.create_task(worker.call(job))
        await reading.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not await worker.aclose()

    run_on(asyncio.SelectorEventLoop, main())
    thread = next(thread for thread in threading.enumerate() if thread.name == "port late")
    release.set()
    thread.join(10)
    assert not thread.is_alive()


HANGING = """
import asyncio, threading
from drivers.transports.worker import Worker

async def main():
    worker = Worker("hung", grace_s=0.05)
    try:
        async with asyncio.timeout(0.05):
            await worker.call(threading.Event().wait)
    except TimeoutError:
        print("lost", worker.lost, await worker.aclose())

asyncio.run(main())
"""


def test_the_process_ends_though_a_driver_hangs() -> None:
    ended = run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "lost True False\n", ended.stderr
    assert ended.returncode == 0


def test_no_descriptor_is_left_behind_by_a_loop_that_had_ports() -> None:
    async def call() -> int:
        worker = Worker("some port")
        answer = await worker.call(int, "7")
        await worker.aclose()
        return answer

    def descriptors() -> int:
        for thread in threading.enumerate():
            if "some port" in thread.name:
                thread.join(10)
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    assert run_on(asyncio.SelectorEventLoop, call()) == 7
    before = descriptors()
    for _ in range(5):
        run_on(asyncio.SelectorEventLoop, call())
    assert descriptors() <= before
