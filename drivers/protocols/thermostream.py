"""Words of Temptronic and inTEST ThermoStreams: bits of their registers, set points.

Ref: TP04300 Interface & Applications Manual, ch. 4 and app. C; ATS-545 Interface Manual.
"""

import math
from enum import IntFlag

INVALID_C = 400.0
"""A sensor that tells more than this is not there."""
COLD, AMBIENT, HOT = 2, 1, 0


class Condition(IntFlag):
    """`TECR?`."""

    AT_TEMPERATURE = 1
    NOT_AT_TEMPERATURE = 2
    TEST_TIME_OVER = 4
    CYCLE_DONE = 8
    ALL_CYCLES_DONE = 16
    STOPPED_ON_FAIL = 32


class Auxiliary(IntFlag):
    """`AUXC?`."""

    HEAD_UP = 4
    HEAT_ONLY = 8
    DUT_MODE = 16
    FLOW_ON = 32
    READY = 64
    OPERATOR_SCREEN = 256


ERRORS = {
    0: "overheat",
    1: "air open loop",
    2: "set point out of range",
    3: "low flow",
    4: "low input air pressure",
    5: "air sensor open, or no purge flow",
    6: "purge temperature sensor open",
    7: "internal error",
    8: "DUT open loop",
    9: "flow sensor",
    10: "no line sense, or purge heat failure",
    11: "NVRAM, or no purge flow",
    12: "BVRAM",
    13: "wrong software version",
    14: "no DUT sensor selected",
}
"""What the bits of `EROR?` mean; families that mean two things by one bit have both here."""


def errors(register: int) -> tuple[str, ...]:
    """Name what the error register tells; a bit that nobody has told of has its number."""
    return tuple(
        ERRORS.get(bit, f"error bit {bit}") for bit in range(register.bit_length()) if register >> bit & 1
    )


def set_point(celsius: float) -> int:
    """Return which set point a temperature belongs to in manual mode."""
    if celsius <= 20.0:
        return COLD
    return AMBIENT if celsius < 30.0 else HOT


def temperature(text: str) -> float:
    """Read a temperature; NaN if there is no sensor; ValueError if it is no number."""
    celsius = float(text)
    return math.nan if not abs(celsius) <= INVALID_C else celsius
