"""Records of InfiniiVision oscilloscopes: their preamble, and samples as bytes or words.

Ref: Keysight InfiniiVision Programmer's Guide, :WAVeform subsystem. Values at both ends of the scale are no
samples: 0 was not taken, 1 is clipped below, the highest is clipped above.
"""

import math
from struct import iter_unpack
from typing import Self

from msgspec import Struct

from drivers.protocols.scpi import read_numbers

BYTE, WORD = 0, 1
FIELDS = 10
HOLE, CLIPPED_BELOW = 0, 1


class Preamble(Struct, frozen=True):
    """How the samples of a record become seconds and volts."""

    format: int
    """0 bytes, 1 words of two bytes, the high one first."""
    points: int
    x_increment_s: float
    x_origin_s: float
    x_reference: int
    y_increment_v: float
    y_origin_v: float
    y_reference: int

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read the answer to `:WAV:PRE?`; ValueError unless it has ten numbers and a format that is known."""
        found = read_numbers(text)
        if len(found) != FIELDS or found[0] not in (BYTE, WORD):
            raise ValueError(f"{text!r} is no preamble of bytes or words")
        form, _, points, _, x_increment, x_origin, x_reference, y_increment, y_origin, y_reference = found
        return cls(
            int(form),
            int(points),
            x_increment,
            x_origin,
            int(x_reference),
            y_increment,
            y_origin,
            int(y_reference),
        )

    def encode(self) -> str:
        """Write it, as of a normal acquisition."""
        return ",".join(
            (
                f"{self.format:+d},+0,{self.points:+d},+1",
                written(self.x_increment_s),
                written(self.x_origin_s),
                f"{self.x_reference:+d}",
                written(self.y_increment_v),
                written(self.y_origin_v),
                f"{self.y_reference:+d}",
            )
        )

    @property
    def start_s(self) -> float:
        """When the first sample was taken."""
        return self.x_origin_s - self.x_reference * self.x_increment_s

    def volts(self, data: bytes) -> tuple[float, ...]:
        """Return the samples of a block; ValueError if it has not as many as the preamble says."""
        size = 2 if self.format == WORD else 1
        if len(data) != self.points * size:
            raise ValueError(f"{len(data)} bytes for {self.points} samples of {size}")
        top = (1 << 8 * size) - 1
        return tuple(self._volt(raw, top) for (raw,) in iter_unpack(">H" if size == 2 else "B", data))

    def _volt(self, raw: int, top: int) -> float:
        if raw == HOLE:
            return math.nan
        if raw in (CLIPPED_BELOW, top):
            return math.inf if raw == top else -math.inf
        return (raw - self.y_reference) * self.y_increment_v + self.y_origin_v


def written(value: float) -> str:
    """Write a number with as many digits as it has, as `+3.90625E-02`."""
    digits, _, exponent = f"{value:+.9E}".partition("E")
    whole, _, fraction = digits.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}E{exponent}"
