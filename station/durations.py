"""How long single tests take: taken in some landings of a lot only, for every value costs room on disk."""

import struct
from math import inf

FIRST, EACH = 4, 16
FLOAT16 = struct.Struct("<e")
LONGEST_S = 65_504.0


def taken(seq: int) -> bool:
    """Tell whether the tests of a landing are timed: the first of a lot, and one in so many after them."""
    return seq <= FIRST or seq % EACH == 0


def kept(seconds: float) -> float:
    """Return what is kept of a time: three digits of it, as float16; all that a mean over a lot asks for."""
    (value,) = FLOAT16.unpack(FLOAT16.pack(min(max(seconds, 0.0), LONGEST_S)))
    return float(value) if value < inf else LONGEST_S
