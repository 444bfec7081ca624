"""A Mosquitto of our own on loopback and without TLS: for benches and campaigns, never for a floor.

All that there is to know of one stands in its folder, so that any process may kill it or start it again.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from station.errors import ConfigError
from station.own_process import free_ports, kill, listens, process_of

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
FILE, PID = "mosquitto.conf", "mosquitto.pid"


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
    for port in free_ports():
        (folder / FILE).write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nlog_dest none\n"
            f"max_queued_messages 0\nuser root\npid_file {folder / PID}\n"
        )
        started(folder)
        if listens(port, folder / PID, str(folder / FILE)):
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
    if process is not None:
        kill(process)


def _process(folder: Path) -> int | None:
    """The process that has the folder's file open as its own, if it runs."""
    return process_of(folder / PID, str(folder / FILE))
