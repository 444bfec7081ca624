"""A Mosquitto of our own on loopback and without TLS: for benches and campaigns, never for a floor.

All that there is to know of one stands in its folder, so that any process may kill it or start it again.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event

from station.errors import ConfigError

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
FILE, PID = "mosquitto.conf", "mosquitto.pid"
PORTS = 20_000, 32_000
"""Below those that a system gives to whoever connects: while it is dead, none of them takes its port."""
TRIES = 20
LOOKED_S = 0.01
GONE_S = 10.0


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Have one while the block lasts, and give its URL; ConfigError if it does not start."""
    url = made(folder)
    try:
        yield url
    finally:
        killed(folder)


def made(folder: Path) -> str:
    """Make and start one in a folder that is there; return its URL. ConfigError if it does not start."""
    random = Random()  # noqa: S311 - any port
    for _ in range(TRIES):
        port = random.randint(*PORTS)
        if _taken(port):
            continue
        (folder / FILE).write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nlog_dest none\n"
            f"max_queued_messages 0\nuser root\npid_file {folder / PID}\n"
        )
        started(folder)
        if _listens(folder, port):
            return f"mqtt://127.0.0.1:{port}"
        killed(folder)
    raise ConfigError("mosquitto does not start")


def started(folder: Path) -> None:
    """Start the one of a folder, unless it runs; it listens soon. Nothing, if none was made there."""
    if (folder / FILE).exists() and _process(folder) is None:
        (folder / PID).unlink(missing_ok=True)
        command = [str(PROGRAM), "-d", "-c", str(folder / FILE)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - the program that the path has


def killed(folder: Path) -> None:
    """Kill it: it says nothing to anybody, and forgets what it had. Return when it is dead."""
    process = _process(folder)
    if process is None:
        return
    try:
        watched = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(watched, signal.SIGKILL)
        select.select([watched], [], [], GONE_S)
    finally:
        os.close(watched)


def _process(folder: Path) -> int | None:
    """The process that has the folder's file open as its own, if it runs."""
    try:
        process = int((folder / PID).read_text())
        words = Path(f"/proc/{process}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return process if str(folder / FILE).encode() in words else None


def _listens(folder: Path, port: int) -> bool:
    """Wait until it takes connections; False if it is gone: somebody else has the port."""
    for _ in range(round(GONE_S / LOOKED_S)):
        if _taken(port):
            return _process(folder) is not None
        Event().wait(LOOKED_S)
    return False


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
