"""The real-time loop beside the station's."""

import asyncio
import threading

import pytest

from station.io_thread import IoThread


async def _name() -> str:
    return threading.current_thread().name


async def test_work_runs_on_the_thread_and_comes_back() -> None:
    io = IoThread("outside")
    io.start()
    io.start()
    assert await asyncio.wrap_future(io.submit(_name())) == "outside"
    io.stop()


def test_stopping_cancels_what_still_runs() -> None:
    io = IoThread()
    io.start()
    waiting = io.submit(asyncio.sleep(3600))
    io.stop()
    assert waiting.cancelled()
    io.stop()


def test_a_stopped_thread_takes_no_work() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        IoThread().submit(_name())
