"""Servers of our own on loopback, for benches and campaigns: any process may find one and kill it."""

import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event

PORTS = 20_000, 32_000
"""Below those that a system gives to whoever connects: while a server is dead, none takes its port."""
TRIES = 20
LOOKED_S = 0.01
GONE_S = 10.0


def free_ports() -> Iterator[int]:
    """Yield some ports that nobody listens at, drawn at random."""
    random = Random()  # noqa: S311 - any port
    for _ in range(TRIES):
        port = random.randint(*PORTS)
        if not taken(port):
            yield port


def taken(port: int) -> bool:
    """Whether somebody takes connections at a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def process_of(pid: Path, word: str) -> int | None:
    """The process whose number a file has, if it runs and its command line has this word."""
    try:
        process = int(pid.read_text())
        words = Path(f"/proc/{process}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return process if word.encode() in words else None


def listens(port: int, pid: Path, word: str, *, within_s: float = GONE_S) -> bool:
    """Wait until a process takes connections; False if it is gone, or if somebody else has the port."""
    for _ in range(round(within_s / LOOKED_S)):
        if taken(port):
            return process_of(pid, word) is not None
        Event().wait(LOOKED_S)
    return False


def kill(process: int) -> None:
    """Kill a process, and return when it is dead."""
    try:
        watched = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(watched, signal.SIGKILL)
        asked = select.poll()
        asked.register(watched, select.POLLIN)
        asked.poll(GONE_S * 1000)
    except ProcessLookupError:
        pass
    finally:
        os.close(watched)
