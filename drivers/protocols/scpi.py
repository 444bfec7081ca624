"""SCPI texts: numbers, booleans, error entries, identities, blocks and the parts of a message.

Ref: SCPI-99 vol. 1 (7.2 numbers, 21.8 SYSTem:ERRor);
IEEE 488.2 (8 response messages, 8.7.9 blocks, 10.14 *IDN?).
"""

import math
import re
from dataclasses import dataclass

OVER_RANGE = 9.9e37
NOT_A_NUMBER = 9.91e37

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_ERROR = re.compile(r"\s*([+-]?\d+)\s*,\s*(\"[^\"]*\"|'[^']*')\s*")
_UNIT = re.compile(r"((?:[^;\"']|\"[^\"]*\"|'[^']*')*)(?:;|$)")


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One entry of an error queue; code 0 says that the queue is empty."""

    code: int
    text: str

    def encode(self) -> str:
        return f'{self.code},"{self.text}"'


def write_number(value: float) -> str:
    """Write a setting with nine digits, which is more than any source resolves; ValueError unless finite."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be set: a setting is a finite number")
    return f"{value:.9G}"


def read_number(text: str) -> float:
    """Read one number; 9.9E37 is ±inf (over range), 9.91E37 is NaN; ValueError for all else."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return judged(float(text))


def judged(value: float) -> float:
    """Return what a number says: 9.9E37 is ±inf (over range), 9.91E37 is NaN."""
    if math.isclose(abs(value), NOT_A_NUMBER, rel_tol=1e-4):
        return math.nan
    if abs(value) >= OVER_RANGE * 0.9999:
        return math.copysign(math.inf, value)
    return value


def read_numbers(text: str) -> tuple[float, ...]:
    """Read numbers between commas; ValueError for all else."""
    return tuple(map(read_number, text.split(",")))


def read_whole(text: str) -> int:
    """Read a whole number; ValueError for all else."""
    value = read_number(text)
    if not value.is_integer():
        raise ValueError(f"{text!r} is not a whole number")
    return int(value)


def read_boolean(text: str) -> bool:
    """Read `1`, `0`, `ON` or `OFF`; ValueError for all else."""
    match text.strip().upper():
        case "1" | "+1" | "ON":
            return True
        case "0" | "+0" | "OFF":
            return False
    raise ValueError(f"{text!r} is neither 1 nor 0")


def read_error(text: str) -> ErrorEntry:
    """Read `code,"text"`; ValueError for all else."""
    if not (found := _ERROR.fullmatch(text)):
        raise ValueError(f"{text!r} is not an entry of an error queue")
    return ErrorEntry(int(found[1]), found[2][1:-1])


def units(message: str) -> list[str]:
    """Cut a message or an answer at its semicolons, but for those within quotes."""
    if '"' not in message and "'" not in message:
        return message.split(";")
    parts = [found[1] for found in _UNIT.finditer(message)]
    return parts if message.endswith(";") or not parts or parts[-1] else parts[:-1]


def is_query(unit: str) -> bool:
    """Tell whether a program message unit asks for an answer."""
    return unit.partition(" ")[0].endswith("?")


def write_block(data: bytes) -> bytes:
    """Write data as a block that announces its length."""
    length = str(len(data)).encode("ascii")
    return b"#%d%b%b" % (len(length), length, data)


def read_block(message: bytes, *, size: int | None = None) -> bytes | None:
    """Return the data of a block that is a whole message; None while bytes are missing.

    `size` is what a block without length (`#0`) must bring. ValueError if it is no block, or too long.
    """
    if message[:1] not in (b"", b"#") or not (message[1:2] or b"0").isdigit():
        raise ValueError(f"{message[:20]!r} does not begin a block")
    digits = int(message[1:2] or b"9")
    start, length = 2 + digits, size if digits == 0 else None
    if length is None:
        if len(announced := message[2:start]) < digits:
            return None
        length = int(announced)
    end = start + length
    if len(message) <= end:  # a block ends with a line end of its own, also after a byte that looks like one
        return None
    if message[end:].strip(b"\r\n"):
        raise ValueError(f"a block of {length} bytes brought {len(message) - end} more")
    return message[start:end]


def identity(text: str) -> tuple[str, str, str, str]:
    """Cut an answer to `*IDN?` into maker, model, serial and firmware; ValueError unless there are four."""
    parts = [part.strip() for part in text.split(",", 3)]
    if len(parts) != 4:
        raise ValueError(f"{text!r} is not maker,model,serial,firmware")
    return parts[0], parts[1], parts[2], parts[3]
