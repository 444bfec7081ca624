"""A process that answers lines on terminals and sockets: the far end of a bench, out of its way.

`python -m station.equip.echo TERMINALS` prints one JSON object, the terminals' paths and the TCP port, and
runs until its standard input ends. `LATER` is answered twice: at once, and unasked some ms later by the time
at which that was sent, in ns of the system's monotonic clock.
"""

import json
import os
import pty
import selectors
import socket
import sys
import time
import tty
from collections.abc import Callable
from functools import partial

QUESTION = b"READ?\n"
ANSWER = b"+1.234560E+00\n"
LATER = b"LATER\n"
LATER_S = 0.003
CHUNK = 4096


class Echo:
    """All terminals and connections on one selector."""

    def __init__(self, terminals: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.paths = [self._terminal() for _ in range(terminals)]
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self._due: list[tuple[float, int]] = []

    def _terminal(self) -> str:
        here, there = pty.openpty()
        tty.setraw(there)  # it stays open, so that no client's going away ends the line
        self.selector.register(here, selectors.EVENT_READ, partial(self._answer, here))
        return os.ttyname(there)

    def _accept(self) -> None:
        line, _ = self.listener.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = line.detach()
        self.selector.register(fd, selectors.EVENT_READ, partial(self._answer, fd))

    def _answer(self, fd: int) -> None:
        data = os.read(fd, CHUNK)
        if not data:
            self.selector.unregister(fd)
            os.close(fd)
            return
        os.write(fd, ANSWER * data.count(b"\n"))
        if LATER in data:
            self._due.append((time.monotonic() + LATER_S, fd))

    def serve(self) -> None:
        """Answer until standard input ends."""
        ends = list[bool]()
        self.selector.register(sys.stdin, selectors.EVENT_READ, partial(ends.append, True))
        while not ends:
            for key, _ in self.selector.select(self._wait()):
                act: Callable[[], None] = key.data
                act()
            self._send_what_is_due()

    def _wait(self) -> float | None:
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else None

    def _send_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, fd = self._due.pop(0)
            os.write(fd, b"%d\n" % time.monotonic_ns())


def main() -> None:
    """Say where the far ends are, then serve."""
    echo = Echo(int(sys.argv[1]))
    where = {"terminals": echo.paths, "port": echo.listener.getsockname()[1]}
    sys.stdout.write(json.dumps(where) + "\n")
    sys.stdout.flush()
    echo.serve()


if __name__ == "__main__":
    main()
