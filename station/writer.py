"""A thread that writes files, one job after another, while the loop goes on.

On a virtual loop a job takes a little virtual time, and has a fixed place in the order of things.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from drivers.uninterrupted import uninterrupted

P = ParamSpec("P")
T = TypeVar("T")


class Writer:
    """One thread; a job that has begun is always awaited to its end."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `job` on the thread and return its result, though cancelled meanwhile."""
        return await uninterrupted(self._run(partial(job, *args, **kwargs)))

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, job)

    def close(self) -> None:
        """End the thread when its last job is done."""
        self._executor.shutdown(wait=True)
