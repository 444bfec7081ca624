"""The field types of STDF V4: how each stands in a record, in both byte orders."""

import struct
from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

Order: TypeAlias = Literal["<", ">"]
LITTLE: Order = "<"
BIG: Order = ">"


class Bits(Struct, frozen=True):
    """A Dn: `count` bits, the first one in bit 0 of the first byte."""

    count: int
    data: bytes


class Item(Struct, frozen=True):
    """A Vn of a GDR: type code (0 is a pad) and value."""

    code: int
    value: int | float | str | bytes | Bits


Scalar: TypeAlias = int | float | str | bytes | Bits | Item
Value: TypeAlias = Scalar | tuple[Scalar, ...]
Read: TypeAlias = Callable[[bytes, int], tuple[Scalar, int]]
"""Takes the content and where the field begins; returns the value and where the next one begins."""

NUMBERS = {
    "U1": "B",
    "U2": "H",
    "U4": "I",
    "U8": "Q",
    "I1": "b",
    "I2": "h",
    "I4": "i",
    "R4": "f",
    "R8": "d",
    "B1": "B",
}
GENERIC = {
    1: "U1",
    2: "U2",
    3: "U4",
    4: "I1",
    5: "I2",
    6: "I4",
    7: "R4",
    8: "R8",
    10: "Cn",
    11: "Bn",
    12: "Dn",
}
PAD, NIBBLE = 0, 13


class CutError(ValueError):
    """The content ends inside a field."""


def pack(kind: str, value: Scalar, order: Order = LITTLE) -> bytes:
    """Encode one field; ValueError if the value does not fit its type."""
    match kind, value:
        case ("Cn", str()):
            return _counted(value.encode("latin-1"))
        case ("C1", str()) if len(value) == 1:
            return value.encode("latin-1")
        case ("Bn", bytes()):
            return _counted(value)
        case ("Dn", Bits(count=count, data=data)) if len(data) == (count + 7) // 8:
            return struct.pack(order + "H", count) + data
        case ("Vn", Item()):
            return _pack_item(value, order)
        case (_, int() | float()) if kind in NUMBERS:
            return _pack_number(kind, value, order)
    raise ValueError(f"{value!r} is no {kind}")


def _counted(data: bytes) -> bytes:
    if len(data) > 255:
        raise ValueError(f"{len(data)} bytes are more than 255")
    return bytes([len(data)]) + data


def _pack_number(kind: str, value: float, order: Order) -> bytes:
    try:
        return struct.pack(order + NUMBERS[kind], value)
    except (struct.error, OverflowError):
        raise ValueError(f"{value!r} does not fit {kind}") from None


def _pack_item(item: Item, order: Order) -> bytes:
    if item.code == PAD:
        return b"\0"
    if item.code == NIBBLE and isinstance(item.value, int):
        return bytes([NIBBLE, item.value & 0x0F])
    if item.code not in GENERIC:
        raise ValueError(f"{item.code} is no type of a GDR item")
    return bytes([item.code]) + pack(GENERIC[item.code], item.value, order)


def pack_array(kind: str, values: tuple[Scalar, ...], order: Order = LITTLE) -> bytes:
    """Encode an array; nibbles go two a byte, the first in the low half."""
    if kind == "N1":
        return _pack_nibbles(values)
    return b"".join([pack(kind, value, order) for value in values])


def _pack_nibbles(values: tuple[Scalar, ...]) -> bytes:
    packed = bytearray((len(values) + 1) // 2)
    for i, value in enumerate(values):
        if not isinstance(value, int) or not 0 <= value <= 15:
            raise ValueError(f"{value!r} is no nibble")
        packed[i // 2] |= value << 4 * (i % 2)
    return bytes(packed)


def reader(kind: str, order: Order) -> Read:
    """Return the function that decodes one field of this type."""
    if kind in NUMBERS:
        return _number_reader(struct.Struct(order + NUMBERS[kind]))
    if kind == "Vn":
        return _item_reader(order)
    if kind == "Dn":
        return _bits_reader(order)
    return {"Cn": _read_text, "C1": _read_character, "Bn": _read_bytes}[kind]


def _number_reader(layout: struct.Struct) -> Read:
    unpack, size = layout.unpack_from, layout.size

    def read(data: bytes, at: int) -> tuple[Scalar, int]:
        if at + size > len(data):
            raise CutError
        value: int | float = unpack(data, at)[0]
        return value, at + size

    return read


def _read_text(data: bytes, at: int) -> tuple[Scalar, int]:
    value, end = _slice(data, at)
    return value.decode("latin-1"), end


def _read_bytes(data: bytes, at: int) -> tuple[Scalar, int]:
    return _slice(data, at)


def _slice(data: bytes, at: int) -> tuple[bytes, int]:
    if at >= len(data):
        raise CutError
    end = at + 1 + data[at]
    if end > len(data):
        raise CutError
    return data[at + 1 : end], end


def _read_character(data: bytes, at: int) -> tuple[Scalar, int]:
    if at >= len(data):
        raise CutError
    return chr(data[at]), at + 1


def _bits_reader(order: Order) -> Read:
    count_of = struct.Struct(order + "H")

    def read(data: bytes, at: int) -> tuple[Scalar, int]:
        begin = at + count_of.size
        if begin > len(data):
            raise CutError
        (count,) = count_of.unpack_from(data, at)
        end = begin + (count + 7) // 8
        if end > len(data):
            raise CutError
        return Bits(count, data[begin:end]), end

    return read


def _item_reader(order: Order) -> Read:
    readers = {code: reader(kind, order) for code, kind in GENERIC.items()}

    def read(data: bytes, at: int) -> tuple[Scalar, int]:
        if at >= len(data):
            raise CutError
        code = data[at]
        if code == PAD:
            return Item(PAD, 0), at + 1
        if code == NIBBLE:
            value, end = readers[1](data, at + 1)
        elif code in readers:
            value, end = readers[code](data, at + 1)
        else:
            raise CutError
        return Item(code, value) if not isinstance(value, Item) else value, end

    return read


def read_array(kind: str, order: Order, data: bytes, at: int, count: int) -> tuple[tuple[Scalar, ...], int]:
    """Decode `count` items of one type."""
    if kind == "N1":
        return _read_nibbles(data, at, count)
    if kind in NUMBERS:
        layout = struct.Struct(f"{order}{count}{NUMBERS[kind]}")
        if at + layout.size > len(data):
            raise CutError
        return layout.unpack_from(data, at), at + layout.size
    values: list[Scalar] = []
    read = reader(kind, order)
    for _ in range(count):
        value, at = read(data, at)
        values.append(value)
    return tuple(values), at


def _read_nibbles(data: bytes, at: int, count: int) -> tuple[tuple[Scalar, ...], int]:
    end = at + (count + 1) // 2
    if end > len(data):
        raise CutError
    halves = [half for byte in data[at:end] for half in (byte & 0x0F, byte >> 4)]
    return tuple(halves[:count]), end
