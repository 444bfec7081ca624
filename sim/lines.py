"""Machines that are spoken to in lines, one after the other, over TCP or a bus."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults
from sim.instrument import Instrument
from sim.tcp.machine import TCP_KNOBS, Connection, TcpMachine

Reply = Callable[[str], None]
LINE_KNOBS = TCP_KNOBS | {"no_newline"}
"""Faults of the connection and of its lines."""


class Talker(ABC):
    """What a machine makes of its lines: it works on one at a time, and answers when that is done."""

    knobs: frozenset[str] = frozenset({"drop_reply"})
    """The names of the faults that this model knows, besides those of its line."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.clock = clock
        self.faults = faults
        self._waiting: deque[tuple[str, Reply]] = deque()
        self._busy = False

    @abstractmethod
    def seconds(self, line: str) -> float:
        """Return how long the machine works on this line."""

    @abstractmethod
    def done(self, line: str) -> str | None:
        """Do what the line says, its time being over, and return the answer, None if it has none."""

    def take(self, line: str, reply: Reply) -> None:
        """Take a line; `reply` is called with its answer."""
        self._waiting.append((line, reply))
        if not self._busy:
            self._begin()

    def _begin(self) -> None:
        if self._waiting:
            self._busy = True
            line, reply = self._waiting.popleft()
            self.clock.call_later(self.seconds(line), self._end, line, reply)

    def _end(self, line: str, reply: Reply) -> None:
        answer = self.done(line)
        self._busy = False
        if answer is not None and self.faults.strikes("drop_reply") is None:
            reply(answer)
        self._begin()


class TcpLines(TcpMachine):
    """A talker at a TCP port."""

    knobs = LINE_KNOBS

    def __init__(self, talker: Talker, *, ends: str = "\n") -> None:
        """`ends`: what ends each line that it sends; it takes CR LF and LF."""
        super().__init__(talker.clock, talker.faults)
        self._talker = talker
        self._ends = ends
        self._received: dict[Connection, bytearray] = {}

    def on_data(self, connection: Connection, data: bytes) -> None:
        received = self._received.setdefault(connection, bytearray())
        received += data
        while (at := received.find(b"\n")) >= 0:
            line = bytes(received[:at]).decode("latin-1").rstrip("\r")
            del received[: at + 1]
            self._talker.take(line, lambda text: self._say(connection, text))

    def _say(self, connection: Connection, text: str) -> None:
        ends = "" if self.faults.strikes("no_newline") is not None else self._ends
        connection.send((text + ends).encode("latin-1"))

    def left(self, connection: Connection) -> None:
        super().left(connection)
        self._received.pop(connection, None)


class BusLines(Instrument):
    """A talker on a message bus."""

    def __init__(self, talker: Talker, *, ends: str = "\n") -> None:
        super().__init__(talker.clock, talker.faults)
        self._talker = talker
        self._ends = ends

    def handle(self, message: bytes) -> None:
        self._talker.take(message.decode("latin-1"), self._say)

    def _say(self, text: str) -> None:
        self.respond((text + self._ends).encode("latin-1"))
