"""ATDF, the text form of STDF: one record a line, fields in an order of its own, values unscaled.

What an STDF record says goes there and back; fields that a flag makes invalid are empty, and come back so.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from station.datalog.stdf import atdf_generic
from station.datalog.stdf.atdf_table import ALARMS, COLUMNS, COMPARE, TESTS
from station.datalog.stdf.fields import Bits, Item, Value
from station.datalog.stdf.records import LAYOUTS, Field, Record, encode, whole
from station.errors import StorageError

SEPARATORS = "|^~;\t`\\"
TIMES = frozenset({"MOD_TIM", "SETUP_T", "START_T", "FINISH_T"})
TIME = "%-H:%M:%S %-d-%b-%Y"
TOTAL = 255
LONGEST = 1 << 20


def lines(records: Iterable[Record]) -> Iterator[str]:
    """Yield a file as ATDF, line by line; StorageError where no separator is left, or a PLR is there."""
    kept = list(records)
    used = {c for record in kept for value in record.values.values() for c in _characters(value)}
    free = next((mark for mark in SEPARATORS if mark not in used), None)
    if free is None:
        raise StorageError(f"its texts hold all of {' '.join(SEPARATORS)}: no separator is left")
    for record in kept:
        if record.name == "FAR":
            yield f"FAR:A{free}4{free}2{free}U"
        elif record.name == "GDR":
            yield f"GDR:{free.join(atdf_generic.cells(record))}"
        elif record.name in COLUMNS:
            cells = [_cell(record, column) for column in COLUMNS[record.name]]
            while cells and not cells[-1]:
                cells.pop()
            yield f"{record.name}:{free.join(cells)}"
        else:
            raise StorageError(f"{record.name or record.typ}: no record that is written as ATDF")


def records(text: Iterable[str]) -> Iterator[bytes]:
    """Yield the records of ATDF lines as STDF; StorageError says line and fault."""
    separator = ""
    for number, line in _joined(text):
        try:
            name, _, rest = line.partition(":")
            if not separator:
                separator = _begun(name, rest)
                yield whole("FAR", CPU_TYPE=2, STDF_VER=4)
            else:
                yield _record(name, rest.split(separator) if rest else [])
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise StorageError(f"line {number}: {error}") from error


def _begun(name: str, rest: str) -> str:
    if name != "FAR" or not rest.startswith("A") or len(rest) < 2:
        raise ValueError("ATDF begins with FAR:A and a separator")
    if rest.split(rest[1])[3:4] != ["U"]:
        raise ValueError("values are scaled, only unscaled ones (U) are read")
    return rest[1]


def _joined(text: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Join lines that begin with a space to those before."""
    begun, number = "", 0
    for here, line in enumerate(text, start=1):
        if line.startswith(" ") and begun:
            begun += line[1:].rstrip("\r\n")
            if len(begun) > LONGEST:
                raise StorageError(f"line {here}: a record of more than {LONGEST} characters")
            continue
        if begun:
            yield number, begun
        begun, number = line.rstrip("\r\n"), here
    if begun:
        yield number, begun


# -- out
def _cell(record: Record, column: str) -> str:
    flags, parm = (
        record.integer("TEST_FLG" if record.name in TESTS else "PART_FLG"),
        record.integer("PARM_FLG"),
    )
    match column:
        case "P/F":
            judged, failed = (0x40, 0x80) if record.name in TESTS else (0x10, 0x08)
            return "" if flags & judged else "F" if flags & failed else "A" if parm & 0x20 else "P"
        case "alarms":
            return "".join(c for c, (of, bit) in ALARMS.items() if record.integer(of) >> bit & 1)
        case "compare":
            return "".join(c for c, bit in COMPARE.items() if parm >> bit & 1)
        case "retest":
            return "I" if flags & 0x01 else "C" if flags & 0x02 else ""
        case "abort":
            return "Y" if flags & 0x04 else ""
    if column in {"HEAD_NUM", "SITE_NUM"} and record.integer("HEAD_NUM") == TOTAL and record.name != "PIR":
        return ""
    field = _field(record.name, column)
    return _told(record, field) if record.valid(column) else ""


def _told(record: Record, field: Field) -> str:
    value = record.values[field.name]
    if field.name in TIMES and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime(TIME)
    if not field.count and not isinstance(value, Bits | tuple) and value == field.missing:
        return ""
    if isinstance(value, Bits):
        return ",".join(str(n) for n in range(value.count) if value.data[n // 8] >> n % 8 & 1)
    if isinstance(value, tuple):
        return ",".join(_state(one) if field.kind == "N1" else _scalar(one) for one in value)
    return _scalar(value)


def _state(value: object) -> str:
    return f"{value:X}" if isinstance(value, int) else ""


def _scalar(value: object) -> str:
    match value:
        case float():
            return str(np.float32(value))
        case bytes():
            return value.hex().upper()
    return str(value)


def _characters(value: Value) -> str:
    if isinstance(value, tuple):
        return "".join(map(_characters, value))
    if isinstance(value, Item):
        return _characters(value.value)
    return value if isinstance(value, str) else ""


# -- in
def _record(name: str, cells: list[str]) -> bytes:
    if name == "GDR":
        return atdf_generic.record(cells)
    if name not in COLUMNS:
        raise ValueError(f"{name!r} is no record that is read from ATDF")
    columns = COLUMNS[name]
    if len(cells) > len(columns):
        raise ValueError(f"{name} has {len(cells)} fields, {len(columns)} at most")
    found = dict(zip(columns, cells, strict=False))
    values = {c: _value(_field(name, c), text) for c, text in found.items() if text and c not in VIRTUAL}
    if name in TOTALS and not found.get("HEAD_NUM"):
        values |= {"HEAD_NUM": TOTAL, "SITE_NUM": 0}
    values |= _flags(name, found)
    if name in TESTS or name == "TSR":
        return _with_options(name, values)
    return whole(name, **values) if LAYOUTS[name].fields else encode(name, {})


TOTALS = frozenset({"TSR", "HBR", "SBR", "PCR"})
VIRTUAL = frozenset({"P/F", "alarms", "compare", "retest", "abort"})


def _value(field: Field, text: str) -> Value:
    if field.name in TIMES:
        return int(datetime.strptime(text, "%H:%M:%S %d-%b-%Y").replace(tzinfo=UTC).timestamp())
    if field.kind == "Dn":
        return _bits([int(one) for one in text.split(",")])
    if field.count:
        return tuple(_one(field.kind, one) for one in text.split(","))
    return _one(field.kind, text)


def _one(kind: str, text: str) -> int | float | str | bytes:
    match kind:
        case "Cn" | "C1":
            return text
        case "R4":
            return float(text)
        case "N1":
            return int(text, 16)
        case "Bn":
            return bytes.fromhex(text)
    return int(text)


def _bits(numbers: list[int]) -> Bits:
    data = bytearray(max(numbers) // 8 + 1)
    for number in numbers:
        data[number // 8] |= 1 << number % 8
    return Bits(max(numbers) + 1, bytes(data))


def _flags(name: str, found: Mapping[str, str]) -> dict[str, Value]:
    judged = found.get("P/F", "")
    if name == "PRR":
        flags = {"": 0x10, "F": 0x08}.get(judged, 0) | {"I": 0x01, "C": 0x02}.get(found.get("retest", ""), 0)
        return {"PART_FLG": flags | (0x04 if found.get("abort") == "Y" else 0)}
    if name not in TESTS:
        return {}
    verdict = {"": 0x40, "F": 0x80}.get(judged, 0)
    bits = {"TEST_FLG": verdict, "PARM_FLG": 0x20 if judged == "A" else 0}
    for letter in found.get("alarms", ""):
        of, bit = ALARMS[letter]
        bits[of] |= 1 << bit
    for letter in found.get("compare", ""):
        bits["PARM_FLG"] |= 1 << COMPARE[letter]
    if name == "PTR" and not found.get("RESULT"):
        bits["TEST_FLG"] |= 0x02
    return {key: value for key, value in bits.items() if name != "FTR" or key != "PARM_FLG"}


RESERVED = {"TSR": 0xC8, "PTR": 0x02, "FTR": 0xC0, "MPR": 0x00}
OPEN = {"LO_LIMIT": 0x40, "HI_LIMIT": 0x80}
"""A limit that is not there, in the first record of a test."""


def _with_options(name: str, values: dict[str, Value]) -> bytes:
    """Encode a record with its OPT_FLAG, if it says something behind that."""
    fields = LAYOUTS[name].fields
    place = next(i for i, field in enumerate(fields) if field.name == "OPT_FLAG")
    if name == "PTR":
        values.setdefault("RESULT", 0.0)
    if name == "MPR":
        values.setdefault("RTN_RSLT", ())
    if name in {"PTR", "MPR"} and not any(field.name in values for field in fields[place:]):
        return encode(name, values)
    flags = RESERVED[name]
    for field in fields[place + 1 :]:
        if field.invalid_bits and field.name not in values:
            flags |= OPEN.get(field.name, 0) or (
                0 if len(field.invalid_bits) > 1 else 1 << field.invalid_bits[0]
            )
    last = max(i for i, field in enumerate(fields) if field.name in values)
    if name == "FTR" and fields[last].name == "TEST_TXT":
        return encode(name, values | {"OPT_FLAG": flags})
    return whole(name, **values | {"OPT_FLAG": flags})


def _field(name: str, column: str) -> Field:
    return next(field for field in LAYOUTS[name].fields if field.name == column)
