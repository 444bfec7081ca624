"""A real-time event loop in a thread of its own, for everything that talks to the outside world."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

STOP_S = 5.0
OPEN_S = 30.0


class IoThread:
    """Runs coroutines beside the station's loop, whose time may be virtual; results come back as futures."""

    def __init__(self, name: str = "io") -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the loop; a second call does nothing."""
        if self._thread is not None:
            return
        self._loop = asyncio.DefaultEventLoopPolicy().new_event_loop()
        self._thread = Thread(target=self._run, args=(self._loop,), name=self._name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run `work` on the loop; RuntimeError if it is not running."""
        if self._loop is None:
            work.close()
            raise RuntimeError(f"the {self._name} thread is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Cancel what still runs, close the loop and join the thread, within 5 s; safe to call twice."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_S)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            _cancel_all(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@contextmanager
def beside(name: str, made: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Have what `made` makes open on a loop beside ours while the block lasts."""
    io, ended = IoThread(name), asyncio.Event()
    there: Future[T] = Future()
    io.start()
    try:
        running = io.submit(_open(made, there, ended))
        running.add_done_callback(partial(failed, there))
        yield there.result(OPEN_S)
        io.submit(_set(ended)).result(OPEN_S)
        running.result(OPEN_S)
    finally:
        io.stop()


async def _open(
    made: Callable[[], AbstractAsyncContextManager[T]], there: "Future[T]", ended: asyncio.Event
) -> None:
    async with made() as opened:
        there.set_result(opened)
        await ended.wait()


async def _set(event: asyncio.Event) -> None:
    event.set()


def failed(there: "Future[Any]", running: "Future[Any]") -> None:
    """As a callback of `running`: what was to be there will not be, and why."""
    if not there.done():
        error = None if running.cancelled() else running.exception()
        there.set_exception(error or RuntimeError("it has ended before it was there"))


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=STOP_S))
    loop.run_until_complete(loop.shutdown_asyncgens())
