"""Computing beside the loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Work(Protocol):
    """Where computing that would hold the loop up is done."""

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Begin at once; the function's result comes when it is awaited."""


Job: TypeAlias = tuple[Callable[[], object], "asyncio.Future[object]", asyncio.AbstractEventLoop]


class Workers:
    """Threads that compute: signing and verifying release the GIL.

    An executor's futures, with a condition and a chained one each, cost more than many a job here.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Begin at once; the function's result comes when it is awaited."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put((partial(function, *args, **kwargs), future, loop))  # type: ignore[arg-type]
        return future

    @contextmanager
    def running(self, count: int) -> Iterator["Workers"]:
        """Compute in so many threads within the block; at its end what was begun is done first."""
        threads = [Thread(target=self._run, name=f"crypto_{n}", daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for _ in threads:
                self._queue.put(None)
            for thread in threads:
                thread.join()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            act, future, loop = job
            try:
                told = partial(_done, future, act())
            except Exception as error:  # noqa: BLE001 - handed to the one who waits
                told = partial(_failed, future, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(told)


def _done(future: "asyncio.Future[object]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _failed(future: "asyncio.Future[object]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
