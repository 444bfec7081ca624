"""Codes as readers send them: lines of text on a serial line, or keys of a USB keyboard.

Common knowledge of the trade; keys by the USB HID Usage Tables, US layout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.errors import ProtocolError

LONGEST = 1024
REPORT = 8
"""Bytes of a keyboard's report: modifiers, a zero, six keys."""
SHIFTS = 0x22
OTHER_MODIFIERS = 0xFF ^ SHIFTS
ENTER = 0x28
_PLAIN = "abcdefghijklmnopqrstuvwxyz1234567890"
_SHIFTED = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*()"
_SIGNS = {0x2C: "  ", 0x2D: "-_", 0x2E: "=+", 0x2F: "[{", 0x30: "]}", 0x31: "\\|"}
_SIGNS |= {0x33: ";:", 0x34: "'\"", 0x35: "`~", 0x36: ",<", 0x37: ".>", 0x38: "/?"}
_LETTERS = map("".join, zip(_PLAIN, _SHIFTED, strict=True))
KEYS = dict(enumerate(_LETTERS, 4)) | _SIGNS
"""A key's characters, plain and with shift, by its usage number."""


class Lines:
    """Cuts what a reader sends into lines."""

    def __init__(self, ends: bytes) -> None:
        self._ends = ends
        self._part = bytearray()

    def clear(self) -> None:
        """Forget what has come."""
        self._part.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the lines that they complete; ProtocolError if none ever ends."""
        self._part += data
        *lines, rest = bytes(self._part).split(self._ends)
        self._part[:] = rest
        if len(rest) > LONGEST:
            self._part.clear()
            raise ProtocolError(f"{LONGEST} bytes without the end of a code")
        return [line for line in lines if line]


@dataclass(frozen=True)
class Typed:
    """A code that was ended with Enter; None where keys were among it that no code has."""

    code: str | None


class Keyboard:
    """Reads what is typed from a keyboard's reports."""

    def __init__(self) -> None:
        self._down: frozenset[int] = frozenset()
        self._text = ""
        self._spoiled = False

    def feed(self, report: bytes) -> Typed | None:
        """Take one report; return a code when Enter is pressed; ProtocolError if it is no report."""
        if len(report) != REPORT:
            raise ProtocolError(f"report of {len(report)} bytes; a keyboard in boot protocol sends {REPORT}")
        keys = [key for key in report[2:] if key]
        pressed = [key for key in keys if key not in self._down]
        self._down = frozenset(keys)
        shifted = bool(report[0] & SHIFTS)
        self._spoiled |= bool(report[0] & OTHER_MODIFIERS)
        for key in pressed:
            if key == ENTER:
                return self._ended()
            if (pair := KEYS.get(key)) is None or len(self._text) > LONGEST:
                self._spoiled = True
            else:
                self._text += pair[shifted]
        return None

    def _ended(self) -> Typed:
        typed = Typed(None if self._spoiled else self._text)
        self._text, self._spoiled = "", False
        return typed


def typing(code: str) -> Sequence[bytes]:
    """Return the reports of a keyboard that types a code and Enter, each key down and up; ASCII only."""
    found = list[bytes]()
    for character in code:
        key = next(key for key, pair in KEYS.items() if character in pair)
        shift = 0x02 if KEYS[key][0] != character else 0
        found += [bytes((shift, 0, key, 0, 0, 0, 0, 0)), bytes(REPORT)]
    return [*found, bytes((0, 0, ENTER, 0, 0, 0, 0, 0)), bytes(REPORT)]
