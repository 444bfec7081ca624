"""The process that workers and lives of a campaign are forked from, and how each of them stands apart."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, get_context, parent_process
from threading import Thread
from types import FrameType

NURSERY = get_context("forkserver")
"""Lives are forked from a process without threads that has imported what a lot takes, not from this one."""
NURSERY.set_forkserver_preload(["station.cli.run", "station.cli.serve", "sim.world"])
ENDS = signal.SIGINT, signal.SIGTERM
"""What a terminal, or `timeout`, says to a whole group of processes."""


def opened() -> None:
    """Start it, deaf to what ends a campaign: that one ends when the lots in play are over."""
    before = {one: signal.signal(one, signal.SIG_IGN) for one in ENDS}
    try:
        forkserver.ensure_running()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def stand_apart() -> None:
    """In a worker: leave the terminal, and end with the process that asked for it, however that ended."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_watch, name="parent", daemon=True).start()


def _watch() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def undone() -> Iterator[None]:
    """In a worker that is to end: leave the blocks inside this one first, then end with its lives."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    except SystemExit:
        os.killpg(0, signal.SIGKILL)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(1)


@contextmanager
def asked_to_end() -> Iterator[list[int]]:
    """Take what ends a campaign down in the list, instead of being interrupted anywhere."""
    asked = list[int]()
    before = {one: signal.signal(one, lambda number, _: asked.append(number)) for one in ENDS}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
