"""The memory collector, kept away from devices in contact: it may stop everything for tens of ms."""

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager

FULL_EVERY = 256
"""So many touchdowns between two full collections."""


@contextmanager
def collecting_between_touchdowns() -> Generator[Callable[[], None], None, None]:
    """Switch automatic collection off; yields what is to be called while the handler indexes."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    passed = 0

    def between() -> None:
        nonlocal passed
        passed += 1
        gc.collect(2 if passed % FULL_EVERY == 0 else 1)

    try:
        yield between
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
