"""SECS-II: messages of streams and functions, whose content is a tree of items.

Ref: secsgem, message and data-item definitions.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from drivers.errors import ProtocolError

DEEPEST = 32
LONGEST = 0xFFFFFF

Value: TypeAlias = "tuple[Item, ...] | str | bytes | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]"


class Format(IntEnum):
    """What an item is made of; the code as it stands in the first byte, shifted."""

    L = 0o00
    B = 0o10
    BOOLEAN = 0o11
    A = 0o20
    I8 = 0o30
    I1 = 0o31
    I2 = 0o32
    I4 = 0o34
    F8 = 0o40
    F4 = 0o44
    U8 = 0o50
    U1 = 0o51
    U2 = 0o52
    U4 = 0o54


_NUMBERS = {
    Format.I1: "b",
    Format.I2: "h",
    Format.I4: "i",
    Format.I8: "q",
    Format.U1: "B",
    Format.U2: "H",
    Format.U4: "I",
    Format.U8: "Q",
    Format.F4: "f",
    Format.F8: "d",
    Format.BOOLEAN: "?",
}


@dataclass(frozen=True)
class Item:
    """One item: a list of items, a text, bytes, or numbers of one kind."""

    format: Format
    value: Value

    def __str__(self) -> str:
        if isinstance(self.value, tuple) and self.format is Format.L:
            return f"[{' '.join(map(str, self.value))}]"
        return f"{self.format.name}:{self.value!r}"

    @property
    def items(self) -> "tuple[Item, ...]":
        """The items of a list; ProtocolError if it is none."""
        if self.format is not Format.L or not isinstance(self.value, tuple):
            raise ProtocolError(f"{self} is no list")
        return tuple(item for item in self.value if isinstance(item, Item))

    @property
    def number(self) -> int:
        """The one whole number, or the one byte, of an item; ProtocolError if it is none."""
        if isinstance(self.value, bytes | tuple) and len(self.value) == 1:
            (found,) = self.value
            if isinstance(found, int):
                return int(found)
        raise ProtocolError(f"{self} is not one whole number")

    @property
    def text(self) -> str:
        """The text of an item; ProtocolError if it is none."""
        if not isinstance(self.value, str):
            raise ProtocolError(f"{self} is no text")
        return self.value

    def encode(self) -> bytes:
        """Write the item; ValueError if it is too long."""
        count, body = self._body()
        if count > LONGEST:
            raise ValueError(f"item of {count} bytes; {LONGEST} are allowed")
        size = max(1, (count.bit_length() + 7) // 8)
        return bytes((self.format << 2 | size,)) + count.to_bytes(size, "big") + body

    def _body(self) -> tuple[int, bytes]:
        """Return what the length says, which for a list is how many items it has, and the data."""
        value = self.value
        if isinstance(value, str):
            body = value.encode("latin-1", "replace")
        elif isinstance(value, bytes):
            body = value
        elif self.format is Format.L:
            return len(value), b"".join(item.encode() for item in self.items)
        else:
            body = struct.pack(f">{len(value)}{_NUMBERS[self.format]}", *value)
        return len(body), body


def array(*items: Item) -> Item:
    """Make a list."""
    return Item(Format.L, items)


def text(value: str) -> Item:
    """Make a text."""
    return Item(Format.A, value)


def binary(*values: int) -> Item:
    """Make bytes."""
    return Item(Format.B, bytes(values))


def u4(*values: int) -> Item:
    """Make numbers of four bytes."""
    return Item(Format.U4, values)


def boolean(value: bool) -> Item:  # noqa: FBT001 - it is the item
    """Make a truth."""
    return Item(Format.BOOLEAN, (value,))


def decode(raw: bytes) -> Item | None:
    """Read the text of a message; None if it has none; ProtocolError if it is no tree of items."""
    if not raw:
        return None
    item, end = _read(raw, 0, 0)
    if end != len(raw):
        raise ProtocolError(f"{len(raw) - end} bytes behind the item of a message")
    return item


def _read(raw: bytes, at: int, depth: int) -> tuple[Item, int]:
    try:
        kind, size = Format(raw[at] >> 2), raw[at] & 3
    except (IndexError, ValueError):
        raise ProtocolError(f"no item at byte {at} of a message") from None
    begin = at + 1 + size
    count = int.from_bytes(raw[at + 1 : begin], "big")
    if not size or depth > DEEPEST or begin > len(raw) or (kind is not Format.L and begin + count > len(raw)):
        raise ProtocolError(f"item at byte {at} of a message is cut short, or nested too deep")
    if kind is Format.L:
        return _list(raw, begin, count, depth)
    return Item(kind, _value(kind, raw[begin : begin + count])), begin + count


def _list(raw: bytes, at: int, count: int, depth: int) -> tuple[Item, int]:
    found = list[Item]()
    for _ in range(count):
        item, at = _read(raw, at, depth + 1)
        found.append(item)
    return array(*found), at


def _value(kind: Format, data: bytes) -> Value:
    if kind is Format.A:
        return data.decode("latin-1")
    if kind is Format.B:
        return data
    letter = _NUMBERS[kind]
    size = struct.calcsize(letter)
    if len(data) % size:
        raise ProtocolError(f"{len(data)} bytes are no numbers of the kind {kind.name}")
    values: tuple[int, ...] = struct.unpack(f">{len(data) // size}{letter}", data)
    return values


def numbers(item: Item) -> Iterator[int]:
    """Yield the whole numbers of an item, or of a list of items; ProtocolError at the first that is none."""
    if item.format is Format.L:
        for inner in item.items:
            yield from numbers(inner)
    elif isinstance(item.value, bytes | tuple):
        for value in item.value:
            if not isinstance(value, int):
                raise ProtocolError(f"{item} has no whole numbers")
            yield int(value)
    else:
        raise ProtocolError(f"{item} has no whole numbers")
