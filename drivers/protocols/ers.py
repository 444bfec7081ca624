"""Lines of ERS AC3 chuck controllers: a letter, then tenths of a degree, or a code.

Ref: ERS AC3 Fusion, as comet reads it. Values are a sign and digits, as many as the controller likes.
"""

import re

from msgspec import Struct

UNKNOWN = "?"
"""What is answered to a line that is not understood."""
AT_TEMPERATURE, HEATING, COOLING, FAILED = 0, 1, 2, 8
NORMAL, STANDBY = 1, 2
LOWEST_C, HIGHEST_C = -70.0, 300.0

ERRORS = {
    1: "over temperature",
    3: "ADC",
    4: "chuck sensor",
    5: "voltage or current sensor",
    7: "base sensor",
    8: "chiller does not answer",
    16: "dew point: waiting",
    17: "dew point: defrosting",
    18: "dew point sensor",
    40: "ADC frozen, power is off",
    61: "heater 1: over current",
    62: "heater 1: power supply",
    63: "heater 1: under current",
    70: "internal temperature",
    72: "thermal cut-out",
    81: "heater 2: over current",
    82: "heater 2: power supply",
    83: "heater 2: under current",
    89: "chiller is not cold",
    97: "air pressure",
    200: "locked by the prober",
    201: "chuck temperature differs, power is off",
    202: "PT1000 J",
    203: "PT100 M",
}
DEAD_ENDS = frozenset({61, 72, 81})
"""Errors after which only a person may go on."""

_VALUE = re.compile(r"([A-Z])([+-]\d{1,5})")
_CODE = re.compile(r"([A-Z])(\d{1,3})")


class Target(Struct, frozen=True):
    """`ST+0850`: go to 85 °C."""

    celsius: float

    def encode(self) -> str:
        return f"ST{round(self.celsius * 10):+05d}"

    @classmethod
    def decode(cls, line: str) -> "Target":
        """Read it; ValueError if it is none, or out of range."""
        celsius = value(line.removeprefix("S"), "T")
        if not LOWEST_C <= celsius <= HIGHEST_C:
            raise ValueError(f"{celsius:g} °C is not between {LOWEST_C:g} and {HIGHEST_C:g}")
        return cls(celsius)


def write_value(letter: str, celsius: float) -> str:
    """Write `C+0250`."""
    return f"{letter}{round(celsius * 10):+05d}"


def value(text: str, letter: str) -> float:
    """Read `C+0250` as 25.0; ValueError if it is no value of that letter."""
    found = _VALUE.fullmatch(text)
    if not found or found[1] != letter:
        raise ValueError(f"{text!r} is not {letter} and a temperature")
    return int(found[2]) / 10


def code(text: str, letter: str) -> int:
    """Read `E000`, `I1` or `O2`; ValueError if it is no code of that letter."""
    found = _CODE.fullmatch(text)
    if not found or found[1] != letter:
        raise ValueError(f"{text!r} is not {letter} and a number")
    return int(found[2])
