"""A real `hardbin console` of a served cell, on loopback: whoever knows its folder may kill and start it."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from station.errors import ConfigError
from station.own_process import free_ports, kill, listens, process_of

PORT, PID = "port", "pid"
SOCKET = "s"
"""The engine's end, beside the folder. Short: a socket's path has 107 bytes."""
STARTS_S = 60.0
"""So long may it take on a busy machine; it takes about a second."""


def made(folder: Path) -> int:
    """Make and start one in a folder that is there; return its port. ConfigError if it does not start."""
    for port in free_ports():
        (folder / PORT).write_text(str(port))
        started(folder)
        if listens(port, folder / PID, _engine(folder), within_s=STARTS_S):
            return port
        killed(folder)
    raise ConfigError("the console does not start")


def started(folder: Path) -> None:
    """Start the one of a folder, unless it runs; it listens soon. Nothing, if none was made there."""
    if not (folder / PORT).exists() or _process(folder) is not None:
        return
    where = ("--engine", _engine(folder), "--port", (folder / PORT).read_text())
    command = (sys.executable, "-P", "-m", "station.cli", "console", *where, "--person", "chaos")
    nowhere = [(os.POSIX_SPAWN_OPEN, out, os.devnull, os.O_WRONLY, 0) for out in (1, 2)]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=nowhere, setsid=True)
    (folder / PID).write_text(str(process))


def killed(folder: Path) -> None:
    """Kill it, as a crash would. Return when it is dead."""
    process = _process(folder)
    if process is None:
        return
    kill(process)
    with suppress(ChildProcessError):  # another process has started it
        os.waitpid(process, 0)


def _process(folder: Path) -> int | None:
    return process_of(folder / PID, _engine(folder))


def _engine(folder: Path) -> str:
    return str(folder.absolute().parent / SOCKET)
