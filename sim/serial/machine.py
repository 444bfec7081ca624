"""The far end of a simulated serial line, and the register of ends that `hardbin://<end>` opens."""

import os
from abc import ABC, abstractmethod
from random import Random
from threading import Condition, Lock

from sim.clock import Clock, mark_simulated, unmark_simulated
from sim.faults import NO_FAULTS, Faults

LINE_KNOBS = frozenset({"noise", "chunk", "drop_tx"})
"""Faults of the line itself; a model that allows them joins them to its own knobs."""


class SerialMachine(ABC):
    """A machine on a serial line: takes bytes as they arrive, sends bytes whenever it likes.

    Bytes take their time by the baud rate at which the station opened the line, in both directions. What is
    sent while nobody has the line open is lost, as on a real one.
    """

    knobs: frozenset[str] = LINE_KNOBS
    """The names of the faults that this model knows."""

    def __init__(self, clock: Clock, faults: Faults = NO_FAULTS) -> None:
        self.clock = clock
        self.faults = faults
        self.line = Line(clock)
        self._in_free_at = 0.0
        self._out_free_at = 0.0
        self._random = Random("sim.serial.noise")

    # -- the model's side
    @abstractmethod
    def on_data(self, data: bytes) -> None:
        """Take bytes from the station, in pieces that say nothing about messages."""

    def send(self, data: bytes, *, after_s: float = 0.0) -> None:
        """Send `data`, beginning when `after_s` has passed and what was sent before is through."""
        if self.faults.strikes("drop_tx") is not None:
            return
        size = int(self.faults.strikes("chunk") or 0) or len(data)
        begin = self.clock.time() + after_s
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self._out_free_at = max(begin, self._out_free_at) + self.line.seconds(len(piece))
            self.clock.call_later(self._out_free_at - self.clock.time(), self.line.deliver, self._worn(piece))

    def unplug(self) -> None:
        """The machine or its cable is gone until `plug` registers the end anew."""
        self.line.cut()

    # -- the line's side
    def take(self, data: bytes) -> None:
        """Bytes leave the station now and reach the machine one by one by the baud rate."""
        now = self.clock.time()
        self._in_free_at = max(now, self._in_free_at) + self.line.seconds(len(data))
        self.clock.call_later(self._in_free_at - now, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if not self.line.gone:
            self.on_data(data)

    def _worn(self, data: bytes) -> bytes:
        if self.faults.strikes("noise") is None:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self._random.randrange(8),)) + data[at + 1 :]


class Line:
    """The wire between pySerial and a machine: what has arrived, and an eventfd readable meanwhile."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.condition = Condition(Lock())
        self.received = bytearray()
        self.gone = False
        self.bits_per_s = 0.0
        self.bits_per_byte = 10.0
        self._event = -1

    @property
    def busy(self) -> bool:
        """Whether somebody has the line open."""
        return self._event >= 0

    def seconds(self, count: int) -> float:
        """Return how long `count` bytes take; nothing while nobody has set a rate."""
        return count * self.bits_per_byte / self.bits_per_s if self.bits_per_s else 0.0

    def open(self) -> int:
        """Begin to listen; return the file descriptor that is readable while bytes wait."""
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        mark_simulated(self._event)
        self.received.clear()
        return self._event

    def close(self) -> None:
        """Stop listening."""
        with self.condition:
            event, self._event = self._event, -1
            self.clock.notify(self.condition)
        unmark_simulated(event)
        os.close(event)

    def deliver(self, data: bytes) -> None:
        """Bytes have arrived at the station, or are lost because nobody listens."""
        with self.condition:
            if not self.busy or self.gone:
                return
            if not self.received:
                os.eventfd_write(self._event, 1)
            self.received += data
            self.clock.notify(self.condition)

    def taken(self, size: int) -> bytes:
        """Return and forget at most `size` bytes; the caller holds the condition."""
        data = bytes(self.received[:size])
        del self.received[:size]
        if data and not self.received and not self.gone:
            os.eventfd_read(self._event)
        return data

    def cut(self) -> None:
        """End the line; its descriptor stays readable, so that whoever waits learns it."""
        with self.condition:
            self.gone = True
            if self.busy:
                os.eventfd_write(self._event, 1)
            self.clock.notify(self.condition)


_ends: dict[str, SerialMachine] = {}


def plug(end: str, machine: SerialMachine) -> None:
    """Put `machine` at the end of `hardbin://<end>`; the name carries its world, as in `lot1.handler`."""
    if end in _ends:
        raise ValueError(f"serial end {end!r} is taken")
    _ends[end] = machine


def unplug(end: str) -> None:
    """Forget the end; a port that has it open loses its line."""
    machine = _ends.pop(end, None)
    if machine is not None:
        machine.unplug()


def at_end(end: str) -> SerialMachine | None:
    """Return the machine at an end."""
    return _ends.get(end)
