"""Words of the Exatron 3000B and 5000 handlers on their serial line.

Follows the Exatron 3000B User's Manual, ch. 3. The handler's lines end with CR; the station answers with
single characters. The mode is chosen on the handler, and a line never mixes modes.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["exatron", "super", "hp"]

SORTS = range(1, 9)
HOME_BIN = 5
"""Where an aborted part goes."""
READY = b"R"
AGAIN = b"0"
ABORT = b"*"
ATTENTION = b"+"
LONGEST = 64
"""Bytes without a line end after which a line is taken as noise."""


class Word(Enum):
    """The lines that ask the station for something."""

    PART = "H"
    """A part is at the site."""
    START = "S"
    """The contacts are closed."""
    TEST = "TEST"
    END_TEST = "END TEST"
    """Asks for the sort."""
    RETEST = "RETEST"
    END_RETEST = "END RETEST"
    MARK = "MARK"
    END_LASER = "END LASER"
    ERROR = "ERROR"
    """The last command was not understood."""
    ATTENTION = "+"

    def encode(self) -> bytes:
        """Return the line as the handler sends it; the answer to an attention is a bare character."""
        return b"+" if self is Word.ATTENTION else self.value.encode("ascii") + b"\r"


class Light(Enum):
    """The kinds of information lines of the HP mode."""

    RUNNING = "G"
    ERROR = "R"
    WARNING = "Y"
    BIN = "B"
    DROPPED = "L"
    EMPTY = "E"


ALARMS = frozenset({Light.ERROR, Light.DROPPED})
"""The red ones: parts in motion may be anywhere."""


@dataclass(frozen=True)
class Info:
    """Information that needs no answer."""

    light: Light
    text: str = ""

    def encode(self) -> bytes:
        """Return the line as the handler sends it."""
        return f"${self.light.value} {self.text}".rstrip().encode("ascii") + b"\r"


@dataclass(frozen=True)
class Other:
    """Any other line: the answer to an engineer's command, a word of another mode, or noise."""

    line: bytes


Message: TypeAlias = Word | Info | Other

_SHORT = {word.value: word for word in (Word.PART, Word.START)}
_LONG = {word.value: word for word in Word if word.value not in _SHORT}


def decode(line: bytes, mode: Mode) -> Message:
    """Read one line of the handler, its end stripped; what its mode does not know is Other."""
    text = line.decode("ascii", "replace")
    if (word := (_LONG if mode == "super" else _SHORT).get(text)) is not None:
        return word
    if mode == "hp" and text[:1] == "$" and text[2:3] in ("", " "):
        for light in Light:
            if light.value == text[1:2]:
                return Info(light, text[3:].strip())
    return Other(line)


class Lines:
    """Cuts what arrives into lines, however it was split or joined on the way."""

    def __init__(self) -> None:
        self._part = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the lines that they complete, without line ends and without empty ones."""
        lines = list[bytes]()
        for byte in data:
            if byte == 0x0A:
                continue
            if byte != 0x0D:
                self._part.append(byte)
            if byte == 0x0D or self._part == ATTENTION or len(self._part) > LONGEST:
                lines.append(bytes(self._part))
                self._part.clear()
        return [line for line in lines if line]


def sort_of(hard_bin: int) -> bytes:
    """Return the character that sorts the part to a hard bin, 1 to 8; ValueError for others."""
    if hard_bin not in SORTS:
        raise ValueError(f"hard bin {hard_bin}: 1 to 8 are allowed")
    return b"%d" % hard_bin
