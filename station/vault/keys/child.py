"""The key store's process, as the vault that starts it has it: the line to it, who waits, and its end."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from station.custody import durable_file
from station.vault.keys.errors import DownError

END_S = 5.0
LOG = "keys.log"


@dataclass(frozen=True)
class Waiting:
    """Somebody who waits for a reply, and how long the call may take when its turn comes."""

    reply: "asyncio.Future[bytearray]"
    seconds: float


class Process:
    """One run of `hardbin-keys`, and the vault's end of its socket pair."""

    def __init__(self, folder: Path, *, production: bool = False, command: Sequence[str] = ()) -> None:
        ours, theirs = socket.socketpair()
        self._log = folder / LOG
        durable_file.keep_folder(folder, mode=0o700)
        module = command or (sys.executable, "-P", "-m", "station.vault.keys")
        arguments = [*module, "--folder", str(folder), "--fd", str(theirs.fileno())]
        with theirs, self._log.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*arguments, *(["--production"] if production else [])],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=log,
                process_group=0,  # what ends a vault in a terminal is for the vault alone
            )
        ours.setblocking(False)
        self.end = ours
        self.waiting: dict[int, Waiting] = {}
        self.blamed = False
        """Its end is counted."""
        self.serves = False
        """It has answered something: what it takes from now on is not its start."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> int | None:
        """End it at once, and whoever waits for it; the reader sees the end of the line and closes it.

        Returns how it ended, which may have been before.
        """
        self._shut(socket.SHUT_RDWR)
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self.give_up()
        return self._process.returncode

    async def stop(self) -> int | None:
        """Let go of it, and return its exit status once it ended."""
        self._shut(socket.SHUT_WR)
        self.give_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await _exited(self._process)
        if self.running:
            self.kill()
        return self._process.returncode

    def _shut(self, how: int) -> None:
        with suppress(OSError):
            self.end.shutdown(how)

    def give_up(self) -> None:
        """Tell all that wait that no answer comes, and where one that never served has said why."""
        why = "" if self.serves else f"; {self._log} says why"
        for waiting in self.waiting.values():
            if not waiting.reply.done():
                waiting.reply.set_exception(
                    DownError(f"the key store's process ended before it answered{why}")
                )
        self.waiting.clear()


async def _exited(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the end of a child, without holding the loop up."""
    if process.poll() is not None:
        return
    loop, ended, watched = asyncio.get_running_loop(), asyncio.Event(), os.pidfd_open(process.pid)
    loop.add_reader(watched, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)
    process.wait()
