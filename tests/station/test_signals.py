"""SIGTERM reaches a station, wherever its main thread is."""

import asyncio
import os
import signal
import threading

from station.signals import signals_call
from station.stop import StopRequest


async def test_a_signal_wakes_a_run_that_sleeps() -> None:
    stop = StopRequest()
    with signals_call(stop.ask):
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await stop.changed.wait()
    assert stop.times == 1


class Closing(asyncio.SelectorEventLoop):
    """A signal comes when it has closed its files."""

    def close(self) -> None:
        super().close()
        os.kill(os.getpid(), signal.SIGTERM)


async def requested() -> StopRequest:
    return StopRequest()


def test_a_signal_that_comes_as_the_loop_of_a_lot_closes_is_heard() -> None:
    asked: list[StopRequest] = []

    def ask() -> None:
        asked.append(stop)
        stop.ask()

    before = signal.getsignal(signal.SIGTERM)
    with signals_call(ask), asyncio.Runner(loop_factory=Closing) as runner:
        stop = runner.run(requested())
    assert asked == [stop], "the station would go on for ever"
    assert stop.times == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_another_thread_gets_is_heard_though_the_main_one_waits() -> None:
    asked = threading.Event()
    with signals_call(asked.set):
        # as for the system, when the process was stopped
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked.wait(30)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
