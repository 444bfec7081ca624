"""I2C by commands of the MPSSE engine: D0 is the clock, D1 drives the data line, D2 reads it.

No maker's text was at hand; the way is that of public code for these bridges (pyftdi), three phases and all.
D1 is driven both ways while bytes go out, and let go while the device has the line; the board pulls it up.
The clock is always driven, so that a device cannot make the station wait.
"""

import math
from dataclasses import dataclass

from drivers.protocols.mpsse import Code, Command, counted

CLOCK, DATA = 0x01, 0x02
"""Bits of the low byte."""
COMMAND_S = 0.5e-6
"""The least time that a command which sets lines takes."""
READS = 1
"""The lowest bit of the byte that calls a device: it is to speak."""


@dataclass(frozen=True)
class Bus:
    """Commands for a bus, which leave the other lines of the low byte as they are."""

    value: int
    direction: int
    hz: float

    def start(self) -> bytes:
        """Begin, or begin anew: the data line falls while the clock is high."""
        return self._low(DATA) + self._low(DATA | CLOCK) + self._low(CLOCK) + self._low(0)

    def stop(self) -> bytes:
        """End: the data line rises while the clock is high."""
        return self._low(0) + self._low(CLOCK) + self._low(DATA | CLOCK)

    def said(self, byte: int) -> bytes:
        """A byte out and the device's answer in: a byte, 0 in its lowest bit if the device took it."""
        heard = self._let_go() + Command(Code.BITS_IN, b"\0").encode()
        return counted(Code.SHIFT_OUT, bytes((byte,))) + heard + self._once(0)

    def heard(self, *, last: bool) -> bytes:
        """A byte in, and what the station says to it: go on, or that it was the last one."""
        answer = Command(Code.BITS_OUT, b"\0" + (b"\xff" if last else b"\0")).encode()
        return self._let_go() + counted(Code.SHIFT_IN, size=1) + self._once(DATA if last else 0) + answer

    def _low(self, lines: int) -> bytes:
        """Hold clock and data for half a period."""
        return self._once(lines) * max(math.ceil(0.5 / self.hz / COMMAND_S), 1)

    def _once(self, lines: int) -> bytes:
        value = self.value & ~(CLOCK | DATA) | lines
        return Command(Code.SET_LOW, bytes((value & 0xFF, self.direction & 0xFF))).encode()

    def _let_go(self) -> bytes:
        value = self.value & ~(CLOCK | DATA)
        return Command(Code.SET_LOW, bytes((value & 0xFF, self.direction & ~DATA & 0xFF))).encode()


def took(answer: int) -> bool:
    """Whether the device took a byte."""
    return not answer & 1
