"""The people's side of a key store: a plain connection to its process, for the command line."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from station.vault.keys import calls, operations
from station.vault.keys.errors import DownError, KeyStoreError
from station.vault.keys.frames import LENGTH, frame, length_of, value_of, wipe

T = TypeVar("T")
PATIENCE_S = 65.0
"""More than the longest deadline of a call."""
END_S = 5.0


class Control:
    """Asks one key store, and waits for each answer."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._number = 0

    def ask(self, call: calls.Call, answer: type[T]) -> T:
        """Ask and return the answer; a KeyStoreError says why there is none."""
        self._number += 1
        request = frame((self._number, *operations.operation(call)))
        try:
            self._end.sendall(request)
            reply = self._exactly(length_of(self._exactly(LENGTH.size)))
        except (OSError, EOFError):
            raise DownError("the key store's process does not answer") from None
        finally:
            wipe(request)
        return value_of(reply, answer)

    def _exactly(self, size: int) -> bytearray:
        content = bytearray()
        while len(content) < size:
            part = self._end.recv(size - len(content))
            if not part:
                raise EOFError
            content += part
        return content


@contextmanager
def running(folder: Path) -> Iterator[Control | None]:
    """Yield a connection to the process that serves a folder; None if there is none."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as end:
        end.settimeout(PATIENCE_S)
        try:
            end.connect(str(folder / operations.SOCKET))
        except (FileNotFoundError, ConnectionRefusedError):
            yield None
        except OSError as error:
            raise DownError(f"{folder / operations.SOCKET}: {error.strerror or error}") from error
        else:
            yield Control(end)


@contextmanager
def own(folder: Path) -> Iterator[Control]:
    """Yield a connection to a process started for it, which ends with the block."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE_S)
    command = [sys.executable, "-P", "-m", "station.vault.keys", "--folder", str(folder), "--fd"]
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    try:
        yield Control(ours)
    except DownError:
        raise KeyStoreError(_last_words(process)) from None
    finally:
        ours.close()
        _ended(process)


def _last_words(process: "subprocess.Popen[bytes]") -> str:
    try:
        _, said = process.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        said = b""
    words = said.decode(errors="replace").strip().removeprefix("hardbin-keys: ")
    return words.splitlines()[-1] if words else "the key store's process did not answer"


def _ended(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()
