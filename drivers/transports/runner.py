"""Where the jobs of a port run: a thread of its own, or one that the event loop brings."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol, runtime_checkable


class Runner(Protocol):
    """Runs bodies one after another, off the loop; a pause on it is the port's own clock."""

    def submit(self, body: Callable[[], None]) -> None:
        """Run `body` after all that was submitted before."""

    def pause(self, seconds: float) -> None:
        """Block the runner's thread, which calls this, for `seconds` or until `wake`."""

    def wake(self) -> None:
        """End the pause under way; one that begins later is not hurt. Called by the loop's thread."""

    def close(self) -> None:
        """End the thread when all that was submitted has run."""


@runtime_checkable
class RunnerSource(Protocol):
    """A loop that brings its own threads, as the one of virtual time does."""

    def new_runner(self, name: str) -> Runner:
        """Make the runner of one port."""


class ThreadRunner:
    """A daemon thread, so that a driver that hangs cannot keep the process alive."""

    def __init__(self, name: str) -> None:
        self._bodies: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._woken = threading.Event()
        threading.Thread(target=self._main, name=name, daemon=True).start()

    def submit(self, body: Callable[[], None]) -> None:
        self._bodies.put(body)

    def pause(self, seconds: float) -> None:
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._bodies.put(None)

    def _main(self) -> None:
        while (body := self._bodies.get()) is not None:
            if self._woken.is_set():
                self._woken.clear()
            body()


def runner_of_port(name: str) -> Runner:
    """Make the runner of one port, as the running loop wants it."""
    loop = asyncio.get_running_loop()
    return loop.new_runner(name) if isinstance(loop, RunnerSource) else ThreadRunner(name)
