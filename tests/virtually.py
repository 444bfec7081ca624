"""A coroutine on a loop whose clock jumps: for what waits, and must not make the tests wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from sim.time import new_loop

T = TypeVar("T")


def virtually(body: Coroutine[Any, Any, T]) -> T:
    """Run `body` to its end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: new_loop(None)) as runner:
        return runner.run(body)
