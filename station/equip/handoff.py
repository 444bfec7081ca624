"""The best bare way to have another thread make a blocking call: the floor that ports are compared with.

It does nothing else that a port must do: no abort, no closing in order, no trace, no clean-up, no errors.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue


class Handoff:
    """Threads that share one wake-up of the loop; each takes calls from a queue of its own."""

    def __init__(self, threads: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._queues = [
            SimpleQueue[tuple[Callable[[], object], asyncio.Future[None]] | None]() for _ in range(threads)
        ]
        self._done: deque[asyncio.Future[None]] = deque()
        self._woken = False
        self._threads = [
            threading.Thread(target=self._main, args=(queue,), daemon=True) for queue in self._queues
        ]
        for thread in self._threads:
            thread.start()

    def call(self, number: int, function: Callable[[], object]) -> "asyncio.Future[None]":
        """Have thread `number` make the call; what it returns is dropped."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queues[number].put((function, future))
        return future

    def close(self) -> None:
        """End the threads."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()

    def _main(self, queue: "SimpleQueue[tuple[Callable[[], object], asyncio.Future[None]] | None]") -> None:
        while (job := queue.get()) is not None:
            function, future = job
            function()
            self._done.append(future)
            if not self._woken:
                self._woken = True
                self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._woken = False
        while self._done:
            self._done.popleft().set_result(None)
