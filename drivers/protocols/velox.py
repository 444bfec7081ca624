"""Lines of FormFactor's Velox: commands by name, in an envelope over TCP and bare over GPIB.

Follows the FormFactor Velox Python SDK 2025 for TCP; the bare form over GPIB follows public code for SUSS
PA300 and Cascade CM300.
"""

import re
from dataclasses import dataclass
from typing import Self

from drivers.errors import ProtocolError

END_OF_WAFER, NO_WAFER_MAP = 703, 512
NO_WAFER = "does not have a wafer"
"""In the text of the error that an unload of an empty chuck brings."""
MOST_IDS = 999
_VALUE = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class Command:
    """Station to prober."""

    id: int
    name: str
    parameters: str = ""

    def encode(self) -> str:
        """Return the line in its envelope."""
        return f"Cmd={self.id}:{self.name}:{self.parameters}"

    def bare(self) -> str:
        """Return the line as GPIB has it."""
        return f"{self.name} {self.parameters}".rstrip()

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read a line in its envelope; blanks alone are no parameters. ProtocolError."""
        found = re.fullmatch(r"Cmd=(\d+):(\w+):?(.*)", line)
        if found is None:
            raise ProtocolError(f"{line!r} is no command of Velox")
        return cls(int(found[1]), found[2], found[3].strip())


@dataclass(frozen=True)
class Reply:
    """Prober to station, when the command is finished."""

    id: int
    code: int = 0
    text: str = ""

    def encode(self) -> str:
        """Return the line in its envelope."""
        return f"Rsp={self.id}:{self.code}:{self.text}"

    def bare(self) -> str:
        """Return the line as GPIB has it."""
        return f"{self.code}: {self.text}".rstrip()

    @classmethod
    def decode(cls, line: str) -> Self:
        """Read a line in its envelope; values may hold colons, and may be missing. ProtocolError."""
        found = re.fullmatch(r"Rsp=(\d+):(-?\d+)(?::(.*))?", line.strip())
        if found is None:
            raise ProtocolError(f"{line!r} is no reply of Velox")
        return cls(int(found[1]), int(found[2]), (found[3] or "").strip())

    @classmethod
    def decode_bare(cls, line: str) -> Self:
        """Read a line as GPIB has it; ProtocolError."""
        found = re.fullmatch(r"(-?\d+):(.*)", line.strip())
        if found is None:
            raise ProtocolError(f"{line!r} is no reply of Velox over GPIB")
        return cls(0, int(found[1]), found[2].strip())


def values(text: str) -> tuple[str, ...]:
    """Return the values of a reply: separated by blanks, those with blanks in quotation marks."""
    return tuple(quoted or plain for quoted, plain in _VALUE.findall(text))


def numbers(text: str, count: int) -> tuple[float, ...]:
    """Return the first `count` values as numbers; ProtocolError."""
    found = values(text)[:count]
    try:
        read = tuple(float(value) for value in found)
    except ValueError:
        raise ProtocolError(f"{text!r}: numbers were expected") from None
    if len(read) < count:
        raise ProtocolError(f"{text!r}: {count} numbers were expected")
    return read


def integers(text: str, count: int) -> tuple[int, ...]:
    """Return the first `count` values as whole numbers; ProtocolError."""
    found = numbers(text, count)
    if any(value != int(value) for value in found):
        raise ProtocolError(f"{text!r}: whole numbers were expected")
    return tuple(int(value) for value in found)


@dataclass(frozen=True)
class SlotStatus:
    """One slot of a cassette, as `GetCassetteStatus` lists it."""

    port: int
    slot: int
    status: str
    id_status: str = ""
    id: str = ""

    def encode(self) -> str:
        """Return the entry, without its semicolon."""
        return " ".join(filter(None, (str(self.port), str(self.slot), self.status, self.id_status, self.id)))

    @classmethod
    def decode(cls, entry: str) -> Self:
        """Read an entry; ProtocolError."""
        port, slot, status, id_status, wafer = (*values(entry), "", "", "", "", "")[:5]
        if not port.isdigit() or not slot.isdigit():
            raise ProtocolError(f"{entry!r} is no slot of a cassette")
        return cls(int(port), int(slot), status, id_status, wafer)


def slots(text: str) -> tuple[SlotStatus, ...]:
    """Return the slots of a cassette list; ProtocolError."""
    return tuple(SlotStatus.decode(entry) for entry in text.split(";") if entry.strip())
