"""SIGINT and SIGTERM, heard whatever the main thread does and whichever thread the system gives them to."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_call(ask: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call `ask`, on a thread of their own, until the end of the block.

    A loop that takes signals over loses those that come while it closes. Handlers run on the main thread,
    which sleeps on when the system gives the signal to another one, as it does after a SIGSTOP.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    waiting = threading.Thread(target=_call_for_each, args=(heard, ask), name="signals", daemon=True)
    waiting.start()
    fd_before = signal.set_wakeup_fd(told)
    before = {number: signal.signal(number, _ignored) for number in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(fd_before)
        os.close(told)
        waiting.join()
        os.close(heard)


def _call_for_each(heard: int, ask: Callable[[], None]) -> None:
    while numbers := os.read(heard, 64):
        for number in numbers:
            if number in NUMBERS:
                ask()


def _ignored(*_: object) -> None:
    """Whoever reads the wake-up descriptor deals with it."""
