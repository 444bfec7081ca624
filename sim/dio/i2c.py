"""A simulated I2C bus with memories on it, each of 256 bytes behind a pointer of one byte."""

from collections.abc import Collection

SIZE = 256


class Memory:
    """The first byte that is written sets the pointer, the others go there; a read goes on from it."""

    def __init__(self) -> None:
        self.cells = bytearray(b"\xff" * SIZE)
        self.pointer = 0
        self._pointed = False

    def call(self) -> None:
        """It was called to listen."""
        self._pointed = False

    def take(self, byte: int) -> None:
        """A byte of the station's."""
        if not self._pointed:
            self.pointer, self._pointed = byte, True
            return
        self.cells[self.pointer] = byte
        self.pointer = (self.pointer + 1) % SIZE

    def give(self) -> int:
        """The next byte."""
        byte = self.cells[self.pointer]
        self.pointer = (self.pointer + 1) % SIZE
        return byte


class Bus:
    """Clock and data line, and who listens at them."""

    def __init__(self, addresses: Collection[int] = ()) -> None:
        self.memories = {address: Memory() for address in addresses}
        self._clock = self._data = True
        self._called: Memory | None = None
        self._begun = self._reads = self._fresh = False
        """Between start and stop; the device speaks; what comes next is an address."""
        self._takes = True
        """Whether the device answers to what it heard last."""

    def drive(self, *, clock: bool, data: bool) -> None:
        """The lines as the station drives them, or lets them go: start and stop are seen."""
        if clock and self._clock and data is not self._data:
            self._begun = self._fresh = not data
            self._called = None
        self._clock, self._data = clock, data

    def hear(self, byte: int) -> None:
        """Eight bits from the station."""
        self._takes = False
        if not self._begun:
            return
        if self._fresh:
            self._fresh, self._reads = False, bool(byte & 1)
            self._called = self.memories.get(byte >> 1)
            if self._called is not None and not self._reads:
                self._called.call()
        elif self._called is not None and not self._reads:
            self._called.take(byte)
        self._takes = self._called is not None

    def answer(self, *, refuses: bool = False) -> int:
        """The ninth bit: low if the device has taken the byte; `refuses` if it does not for once."""
        return 0 if self._takes and not refuses else 1

    def say(self) -> int:
        """Eight bits from the device; a line that nobody drives is high."""
        speaks = self._begun and self._reads and not self._fresh
        return self._called.give() if speaks and self._called is not None else 0xFF

    def heard_last(self) -> None:
        """The station has said that it takes no more: the device lets the line go."""
        self._called = None
