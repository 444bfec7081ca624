"""The key store's process: one thread that reads a request, answers it, and reads the next.

The vault is at one end of a socket pair; when that closes, the process ends. People reach it at a socket in
the store's folder. A call that takes too long ends the process: an alarm's own action is to kill it, so that
no module can hold it up.
"""

import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from station.vault.keys import calls, deadlines, operations
from station.vault.keys.errors import KeyStoreError, PolicyError, RequestError
from station.vault.keys.frames import ERROR, OK, Fault, Frames, frame, wipe
from station.vault.keys.service import Service
from station.vault.secret import Secret

SOCKET_PATH_MAX = 100
PEOPLE_MAX = 8
SEND_S = 5.0
CHUNK = 65536


class Stopped(BaseException):
    """The process is to end, now and in order."""


class Line:
    """One end that asks."""

    def __init__(self, end: socket.socket, *, people: bool) -> None:
        self.end, self.people = end, people
        self.frames = Frames()
        end.settimeout(SEND_S)


class Server:
    """Serves the vault and people, in turn."""

    def __init__(self, service: Service, vault: socket.socket | None, people: socket.socket | None) -> None:
        self._service, self._people = service, people
        self._ready = selectors.DefaultSelector()
        self._lines = 0
        self._seat = memoryview(bytearray(CHUNK))
        if people is not None:
            self._ready.register(people, selectors.EVENT_READ, None)
        self._vault = None if vault is None else Line(vault, people=False)
        if self._vault is not None:
            self._ready.register(self._vault.end, selectors.EVENT_READ, self._vault)

    def run(self) -> None:
        """Serve until the vault lets go; without a vault, until stopped."""
        while True:
            for key, _ in self._ready.select():
                line = key.data
                if not isinstance(line, Line):
                    self._admit()
                elif not self._served(line):
                    self._leave(line)
                    if line is self._vault:
                        return

    def _admit(self) -> None:
        if self._people is None:
            return
        end, _ = self._people.accept()
        if self._lines >= PEOPLE_MAX:
            end.close()
            return
        self._lines += 1
        self._ready.register(end, selectors.EVENT_READ, Line(end, people=True))

    def _leave(self, line: Line) -> None:
        self._lines -= line.people
        self._ready.unregister(line.end)
        line.end.close()

    def _served(self, line: Line) -> bool:
        """Read what is there and answer all that is complete; whether the line goes on."""
        try:
            count = line.end.recv_into(self._seat)
            for request in line.frames.fed(self._seat[:count]):
                self._reply(line, request)
        except (OSError, RequestError):
            return False
        finally:
            self._seat[:] = bytes(CHUNK)
        return count > 0

    def _reply(self, line: Line, request: bytearray) -> None:
        try:
            reply = _answered(self._service, request, people=line.people)
        finally:
            wipe(request)
        try:
            line.end.sendall(reply)
        finally:
            wipe(reply)


def _answered(service: Service, request: bytearray, *, people: bool) -> bytearray:
    """Do what a frame asks for; whatever goes wrong is an answer, and shows nothing of the request."""
    number = 0
    try:
        number, name, rest = msgspec.msgpack.decode(request, type=tuple[int, str, msgspec.Raw])
        call = _call(name, rest)
        if people and not isinstance(call, operations.OF_PEOPLE):
            raise PolicyError(f"{name} is the vault's to ask")
        with _within(deadlines.deadline_s(call)), _wiped(call):
            value = service.answer(call)
            return _frame(number, value)
    except msgspec.DecodeError:
        return frame((number, ERROR, Fault(RequestError.kind, "not a request of this store")))
    except KeyStoreError as error:
        return frame((number, ERROR, Fault(error.kind, str(error))))
    except Exception as error:  # noqa: BLE001 - text and trace of an unforeseen error may show a secret
        sys.stderr.write(f"hardbin-keys: internal: {type(error).__name__} at {_place(error)}\n")
        return frame((number, ERROR, Fault(KeyStoreError.kind, f"internal: {type(error).__name__}")))


def _call(name: str, rest: msgspec.Raw) -> calls.Call:
    if name not in operations.CALLS:
        raise RequestError(f"there is no operation {name[:64]!r}")
    return msgspec.msgpack.decode(rest, type=operations.CALLS[name])


def _frame(number: int, value: object) -> bytearray:
    if not isinstance(value, Secret):
        return frame((number, OK, value))
    with value:
        return frame((number, OK, value.reveal()))


def _place(error: BaseException) -> str:
    """File and line of an error's origin: enough to find it, and nothing of its data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Have the kernel end the process if the block takes longer."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _wiped(call: calls.Call) -> Iterator[None]:
    """Wipe the secrets that a call brought."""
    try:
        yield
    finally:
        for secret in operations.secrets(call):
            wipe(secret)


def listening(folder: Path) -> socket.socket:
    """The socket where people reach the store; its path has at most about 100 bytes."""
    path = folder / operations.SOCKET
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise RequestError(f"{path}: the path of a socket has at most {SOCKET_PATH_MAX} bytes")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(PEOPLE_MAX)
    return listener
