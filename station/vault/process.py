"""The vault as a child process: started with the station, never outliving it."""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, BinaryIO

from station.custody import durable_file
from station.errors import CustodyError

READY_S = 60.0
STOP_S = 5.0
SOCKET = "vault.sock"
SOCKET_PATH_MAX = 100
"""`sun_path` has 108 bytes on Linux, 104 elsewhere."""
READY = b"vault ready "
DESK = "desk.sock"
"""Where persons speak to the vault, beside the socket of the stations."""


def desk_of(socket: Path) -> Path:
    """The desk's socket of a vault that serves stations on this one."""
    return socket.with_name(DESK)


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")


class VaultProcess:
    """A running `hardbin-vault`. Its standard input is its lifeline: when that closes, the vault ends."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, socket: Path) -> None:
        self._process = process
        self.folder = folder
        self.socket = socket

    @classmethod
    def start(
        cls, folder: Path, *, epoch: float | None = None, seed: int | None = None, ready_s: float = READY_S
    ) -> "VaultProcess":
        """Start a vault with its files in `folder` and wait until it serves; CustodyError if it does not.

        `epoch` (unix seconds) and `seed` make times and development keys repeatable, for simulated lots.
        """
        durable_file.keep_folder(folder, mode=0o700)
        socket = _socket(folder)
        with _private(folder / "vault.log") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                _command(folder, socket, epoch, seed),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                process_group=0,  # what ends a station in a terminal is for the station, which ends this last
            )
        vault = cls(process, folder, socket)
        try:
            if why := _why_not_ready(process, ready_s):
                raise CustodyError(f"the vault {why}; see {folder / 'vault.log'}")
        except BaseException:  # whoever is interrupted while it starts has no vault to end
            vault.stop()
            raise
        return vault

    @property
    def desk(self) -> Path:
        """The socket for persons."""
        return desk_of(self.socket)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def stop(self, *, grace_s: float = STOP_S) -> int:
        """Ask it to end, kill it after `grace_s`, and return its exit status; safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.terminate()
        try:
            status = self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self.socket.parent != self.folder:
            shutil.rmtree(self.socket.parent, ignore_errors=True)
        return status


def _socket(folder: Path) -> Path:
    """Beside the files, or in a short folder of its own where that path is too long for a Unix socket."""
    socket = folder / SOCKET
    if len(bytes(socket.absolute())) <= SOCKET_PATH_MAX:
        return socket
    return Path(mkdtemp(prefix="hardbin-")) / SOCKET


def _command(folder: Path, socket: Path, epoch: float | None, seed: int | None) -> list[str]:
    command = [sys.executable, "-P", "-m", "station.vault", "--folder", str(folder), "--socket", str(socket)]
    if epoch is not None:
        command += ["--epoch", repr(epoch)]
    if seed is not None:
        command += ["--seed", str(seed)]
    return command


def _why_not_ready(process: "subprocess.Popen[bytes]", seconds: float) -> str:
    """Wait until it serves; empty if it does."""
    out: IO[bytes] | None = process.stdout
    if out is None or not _speaks(out, seconds):
        return f"did not start within {seconds:g} s"
    return "" if out.readline().startswith(READY) else "ended before it served"


def _speaks(out: IO[bytes], seconds: float) -> bool:
    """Wait until something comes, or its end. `select` would take no descriptor above 1,023."""
    asked = select.poll()
    asked.register(out, select.POLLIN)
    return bool(asked.poll(seconds * 1000))
