"""A simulated machine on a message bus: what lies below PyVISA, GPIB, USBTMC, LAN and serial names alike."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import Condition, Lock
from typing import Literal

from sim.clock import Clock
from sim.faults import NO_FAULTS, Faults

RQS = 0x40
MAV = 0x10

ReadEnd = Literal["end", "termination", "count", "timeout", "aborted", "gone"]


class Instrument(ABC):
    """Takes whole messages, answers after the time the machine needs, asks for service.

    A model overrides `handle` and, where it matters, `cleared` and `triggered`; it calls `respond` and
    `request_service`. The rest is the bus side, called by the simulated VISA library on a port's thread.
    """

    knobs: frozenset[str] = frozenset()
    """The names of the faults that this model knows."""
    idn: str = ""
    """What it answers to `*IDN?`; empty of one that is asked in another way."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.clock = clock
        self.faults = faults
        self.condition = Condition(Lock())
        self.gone = False
        self.on_service_request: list[Callable[[], None]] = []
        self._answers: deque[tuple[float, bytes]] = deque()
        self._partial = bytearray()
        self._statuses: deque[int] = deque()
        self._abort = False

    def bear(self, serial: str) -> None:
        """Have another serial number."""
        maker, model, _, firmware = self.idn.split(",", 3)
        self.idn = ",".join((maker, model, serial, firmware))

    # -- the model's side
    @abstractmethod
    def handle(self, message: bytes) -> None:
        """Take one message, its line end stripped."""

    def cleared(self) -> None:
        """Device clear: forget what is half done."""
        return

    def triggered(self) -> None:
        """Group execute trigger."""
        return

    def status(self) -> int:
        """Return the condition bits of the status byte but RQS and MAV."""
        return 0

    def respond(self, message: bytes, *, after_s: float = 0.0) -> None:
        """Answer with `message`, its line end included, when `after_s` has passed."""
        with self.condition:
            self._answers.append((self.clock.time() + after_s, message))
            self.clock.notify(self.condition)

    def request_service(self, status: int) -> None:
        """Pull the SRQ line; each status byte is delivered once, in order."""
        with self.condition:
            self._statuses.append(status | RQS)
        for listener in tuple(self.on_service_request):
            listener()

    def unplug(self) -> None:
        """The machine or its cable is gone."""
        with self.condition:
            self.gone = True
            self.clock.notify(self.condition)

    # -- the bus side
    def bus_write(self, data: bytes, *, end: bool) -> None:
        """Take bytes; LF ends a message, and so does END on the last byte."""
        self._partial += data
        while (at := self._partial.find(b"\n")) >= 0:
            message = bytes(self._partial[:at]).rstrip(b"\r")
            del self._partial[: at + 1]
            if message:
                self.handle(message)
        if end and self._partial:
            message = bytes(self._partial)
            self._partial.clear()
            self.handle(message)

    def bus_read(
        self, count: int, termination: bytes | None, deadline: float | None
    ) -> tuple[bytes, ReadEnd]:
        """Wait for an answer that is due and return at most `count` bytes of it."""
        with self.condition:
            if (failed := self._wait_for_answer(deadline)) is not None:
                return b"", failed
            _, message = self._answers.popleft()
            size, end = _cut(message, count, termination)
            if size < len(message):
                self._answers.appendleft((0.0, message[size:]))
            return message[:size], end

    def _wait_for_answer(self, deadline: float | None) -> ReadEnd | None:
        while True:
            now = self.clock.time()
            if self.gone:
                return "gone"
            if self._abort:
                self._abort = False
                return "aborted"
            if self._answers and self._answers[0][0] <= now:
                return None
            if deadline is not None and now >= deadline:
                return "timeout"
            due = self._answers[0][0] if self._answers else None
            wakes = [t for t in (deadline, due) if t is not None]
            self.clock.wait(self.condition, min(wakes, default=None))

    def bus_status(self) -> int:
        """Serial poll: the oldest service request, cleared by this; else the bare condition."""
        with self.condition:
            available = self._answers and self._answers[0][0] <= self.clock.time()
            asked = self._statuses.popleft() if self._statuses else 0
            return asked | self.status() | (MAV if available else 0)

    @property
    def answer_due(self) -> float | None:
        """When the oldest answer is due, on the machine's clock; None if there is none."""
        return self._answers[0][0] if self._answers else None

    @property
    def next_status(self) -> int | None:
        """The status byte that the next serial poll brings because of a service request; it stays."""
        return self._statuses[0] if self._statuses else None

    @property
    def asks_for_service(self) -> bool:
        """Whether the SRQ line is pulled."""
        return bool(self._statuses)

    def bus_clear(self) -> None:
        """Device clear: nothing said before is answered afterwards, and no abort hits the next read."""
        with self.condition:
            self._answers.clear()
            self._partial.clear()
            self._abort = False
            self.clock.notify(self.condition)
        self.cleared()

    def bus_disconnect(self) -> None:
        """A stream was closed: what was on its way in either direction is lost, the machine goes on."""
        with self.condition:
            self._answers.clear()
            self._partial.clear()
            self._abort = False
            self.clock.notify(self.condition)

    def bus_abort(self) -> None:
        """End the transfer under way (viTerminate)."""
        with self.condition:
            self._abort = True
            self.clock.notify(self.condition)


def _cut(message: bytes, count: int, termination: bytes | None) -> tuple[int, ReadEnd]:
    at = message.find(termination) if termination else -1
    if 0 <= at < count:
        return at + 1, "termination"
    if len(message) > count:
        return count, "count"
    return len(message), "end"
