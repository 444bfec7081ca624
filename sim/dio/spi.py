"""A simulated shift register on SPI: what goes in comes out so many bytes later."""

from collections.abc import Mapping

from drivers.protocols.mpsse import Code

REGISTER_BYTES = 2
MODES: Mapping[tuple[bool, Code, bool], int] = {
    (False, Code.SHIFT, False): 0,
    (False, Code.SHIFT_BACK, True): 1,
    (True, Code.SHIFT_BACK, False): 2,
    (True, Code.SHIFT, True): 3,
}
"""By the level at which the clock rests, the command, and whether it has three phases."""


class Register:
    """It hangs between D1 and D2, and takes bits in one mode."""

    def __init__(self, mode: int = 0) -> None:
        self.mode = mode
        self._bits = bytearray(REGISTER_BYTES)

    def shift(self, data: bytes, *, rests_high: bool, code: Code, three_phases: bool) -> bytes:
        """Bytes in and out; by a clock of another mode it takes each bit at the edge where it changes."""
        fits = MODES.get((rests_high, code, three_phases)) == self.mode
        passing = self._bits + (data if fits else _late(data))
        self._bits[:] = passing[len(data) :]
        return bytes(passing[: len(data)])


def _late(data: bytes) -> bytes:
    """The bits one place late: each is taken before it is there."""
    number = int.from_bytes(data, "big") >> 1
    return number.to_bytes(len(data), "big")
