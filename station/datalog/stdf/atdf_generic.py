"""GDR in ATDF: each item a letter and its value. Pads are not told: they follow from what stands before."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from station.datalog.stdf.fields import NIBBLE, PAD, Bits, Item
from station.datalog.stdf.records import Record, encode
from station.errors import StorageError

LETTERS: Mapping[int, str] = {
    1: "U",
    2: "M",
    3: "B",
    4: "I",
    5: "S",
    6: "L",
    7: "F",
    8: "D",
    10: "T",
    11: "X",
    12: "Y",
    NIBBLE: "N",
}
CODES = {letter: code for code, letter in LETTERS.items()}
FLOAT32 = 7
ALIGNED = frozenset({2, 3, 5, 6, 7, 8})
"""What must begin at an even place of the record."""
ITEMS_AT = 6
"""Where the first item stands, behind header and FLD_CNT."""


def cells(record: Record) -> list[str]:
    """Return the items of a GDR as ATDF has them; StorageError for bits that are no whole bytes."""
    return [LETTERS[item.code] + _told(item) for item in items(record) if item.code != PAD]


def items(record: Record) -> Iterator[Item]:
    """Yield the items of a GDR."""
    data = record.values.get("GEN_DATA", ())
    yield from (item for item in data if isinstance(item, Item)) if isinstance(data, tuple) else ()


def record(given: Iterable[str]) -> bytes:
    """Return the GDR of these cells; ValueError for one that is none."""
    made, at = list[Item](), ITEMS_AT
    for cell in given:
        item = _item(cell)
        if item.code in ALIGNED and at % 2 == 0:
            made.append(Item(PAD, 0))
            at += 1
        made.append(item)
        at += _size(item)
    return encode("GDR", {"GEN_DATA": tuple(made)})


def _told(item: Item) -> str:
    match item.value:
        case Bits(count=count, data=data):
            if count % 8:
                raise StorageError(f"GDR: {count} bits are no whole bytes, they have no text form")
            return data.hex().upper()
        case bytes(data):
            return data.hex().upper()
        case float(value) if item.code == FLOAT32:
            return str(np.float32(value))
    return str(item.value)


def _item(cell: str) -> Item:
    code = CODES.get(cell[:1])
    if code is None:
        raise ValueError(f"{cell!r} is no item of a GDR")
    text = cell[1:]
    match code:
        case 7 | 8:
            return Item(code, float(text))
        case 10:
            return Item(code, text)
        case 11:
            return Item(code, bytes.fromhex(text))
        case 12:
            data = bytes.fromhex(text)
            return Item(code, Bits(8 * len(data), data))
    return Item(code, int(text))


def _size(item: Item) -> int:
    """Return how many bytes an item takes."""
    match item.value:
        case str(text):
            return 2 + len(text)
        case bytes(data):
            return 2 + len(data)
        case Bits(data=data):
            return 3 + len(data)
    return {1: 2, 4: 2, 2: 3, 5: 3, 3: 5, 6: 5, 7: 5, 8: 9, NIBBLE: 2}[item.code]
