"""The 25 records of STDF V4 from one table, encoded and decoded field by field."""

import struct
from collections.abc import Iterator, Mapping
from functools import cache

from msgspec import Struct

from station.datalog.stdf.fields import (
    LITTLE,
    NUMBERS,
    Bits,
    CutError,
    Order,
    Read,
    Scalar,
    Value,
    pack,
    pack_array,
    read_array,
    reader,
)
from station.datalog.stdf.table import TABLE

MAX_CONTENT = 65_535
HEADER = struct.Struct("<HBB")


class Field(Struct, frozen=True):
    """One field of a record: `count` names the field that holds the length of an array."""

    name: str
    kind: str
    count: str = ""
    missing: Scalar | None = None
    invalid_bits: tuple[int, ...] = ()
    """The field says nothing when one of these bits of OPT_FLAG is 1."""

    def filler(self, count: int) -> Value | None:
        """Return what stands for the field where it is missing; None if it cannot be."""
        if self.count:
            one = "" if self.kind == "Cn" else 0
            return (one if self.missing is None else self.missing,) * count
        return 0 if self.invalid_bits else self.missing


class Layout(Struct, frozen=True):
    """The name, the type codes and the fields of a record, in order."""

    name: str
    typ: int
    sub: int
    fields: tuple[Field, ...]


class Record(Struct, frozen=True):
    """One decoded record. `values` holds the fields that are present, in order."""

    name: str
    values: Mapping[str, Value]
    offset: int = 0
    """Of its header in the file."""
    typ: int = 0
    sub: int = 0
    fault: str = ""
    """Why its content could not be decoded to the end."""
    rest: bytes = b""
    """Content that no field accounts for."""

    def integer(self, name: str) -> int:
        """Return an integer field, or its missing value."""
        value = self._value(name)
        return value if isinstance(value, int) else 0

    def real(self, name: str) -> float:
        """Return a float field, 0.0 where it is missing."""
        value = self._value(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def text(self, name: str) -> str:
        """Return a character field, or its missing value."""
        value = self._value(name)
        return value if isinstance(value, str) else ""

    def integers(self, name: str) -> tuple[int, ...]:
        """Return an array of integers, empty where it is missing."""
        value = self._value(name)
        return tuple(v for v in value if isinstance(v, int)) if isinstance(value, tuple) else ()

    def reals(self, name: str) -> tuple[float, ...]:
        """Return an array of floats, empty where it is missing."""
        value = self._value(name)
        return tuple(v for v in value if isinstance(v, float)) if isinstance(value, tuple) else ()

    def valid(self, name: str) -> bool:
        """Tell whether a field is present and no flag bit says otherwise."""
        if name not in self.values or (name == "RESULT" and self.integer("TEST_FLG") & 0x02):
            return False
        flags = self.integer("OPT_FLAG")
        return not any(flags >> bit & 1 for bit in _by_name(self.name)[name].invalid_bits)

    def _value(self, name: str) -> Value | None:
        if name in self.values:
            return self.values[name]
        field = _by_name(self.name).get(name)
        return field.missing if field else None


def _field(text: str) -> Field:
    name, _, rest = text.partition(":")
    rest, _, bits = rest.partition("~")
    kind, equals, missing = rest.partition("=")
    count = ""
    if kind.startswith("["):
        count, _, kind = kind[1:].partition("]")
    return Field(
        name,
        kind,
        count,
        _missing(kind, missing) if equals else None,
        tuple(map(int, filter(None, bits.split(",")))),
    )


def _missing(kind: str, text: str) -> Scalar:
    match kind:
        case "Cn":
            return ""
        case "C1":
            return " "
        case "Bn":
            return b""
        case "Dn":
            return Bits(0, b"")
    return 0xFFFF_FFFF if text == "max" else float(text) if kind == "R4" else int(text)


def _layouts(table: str) -> Iterator[Layout]:
    for line in table.replace("\n     ", " ").strip().splitlines():
        name, typ, sub, *fields = line.split()
        yield Layout(name, int(typ), int(sub), tuple(map(_field, fields)))


LAYOUTS = {layout.name: layout for layout in _layouts(TABLE)}
BY_CODE = {(layout.typ, layout.sub): layout for layout in LAYOUTS.values()}


@cache
def _by_name(record: str) -> dict[str, Field]:
    return {field.name: field for field in LAYOUTS[record].fields}


@cache
def _counts(record: str) -> frozenset[str]:
    return frozenset(field.count for field in LAYOUTS[record].fields if field.count)


def framed(typ: int, sub: int, content: bytes, order: Order = LITTLE) -> bytes:
    """Put the header before a content; ValueError beyond 65,535 bytes."""
    if len(content) > MAX_CONTENT:
        raise ValueError(f"a record of {len(content)} bytes is longer than {MAX_CONTENT}")
    return struct.pack(order + "HBB", len(content), typ, sub) + content


def encode(name: str, values: Mapping[str, Value], *, order: Order = LITTLE) -> bytes:
    """Encode a record up to the last field given; fields left out before it take their missing value."""
    layout = LAYOUTS[name]
    given = _counted(layout, values)
    last = max((i for i, field in enumerate(layout.fields) if field.name in given), default=-1)
    unknown = set(given) - set(_by_name(name))
    if unknown:
        raise ValueError(f"{name} has no field {', '.join(sorted(unknown))}")
    content = b"".join([_packed(name, field, given, order) for field in layout.fields[: last + 1]])
    return framed(layout.typ, layout.sub, content, order)


def whole(name: str, **values: Value) -> bytes:
    """Encode a record with every field, those not given as missing."""
    given = _counted(LAYOUTS[name], values)
    last = LAYOUTS[name].fields[-1:]
    filled = {field.name: _filler(name, field, given) for field in last if field.name not in given}
    return encode(name, given | filled)


def encode_record(record: Record, order: Order = LITTLE) -> bytes:
    """Encode what was decoded: the same bytes, if the record had no fault."""
    content = encode(record.name, record.values, order=order)[4:] if record.name in LAYOUTS else b""
    return framed(record.typ, record.sub, content + record.rest, order)


def _counted(layout: Layout, values: Mapping[str, Value]) -> dict[str, Value]:
    """Add the counts of the arrays that are given without."""
    given = dict(values)
    for field in layout.fields:
        array = values.get(field.name)
        if field.count and isinstance(array, tuple):
            given.setdefault(field.count, len(array))
    return given


def _filler(record: str, field: Field, given: Mapping[str, Value]) -> Value:
    count = given.get(field.count, 0) if field.count else 0
    value = field.filler(count if isinstance(count, int) else 0)
    if value is None and field.name in _counts(record):
        return 0
    if value is None:
        raise ValueError(f"{record}.{field.name} must be given")
    return value


def _packed(record: str, field: Field, given: Mapping[str, Value], order: Order) -> bytes:
    value = given[field.name] if field.name in given else _filler(record, field, given)
    try:
        if not field.count:
            return pack(field.kind, _scalar(value), order)
        count = given.get(field.count, 0)
        if not isinstance(value, tuple) or len(value) != count:
            raise ValueError(f"it must have {count!r} items, as {field.count} says")
        return pack_array(field.kind, value, order)
    except ValueError as error:
        raise ValueError(f"{record}.{field.name}: {error}") from None


def _scalar(value: Value) -> Scalar:
    if not isinstance(value, tuple):
        return value
    raise ValueError("an array where one value belongs")


class Decoder:
    """Decodes one type of record in one byte order; its leading numbers in one step."""

    def __init__(self, layout: Layout, order: Order) -> None:
        self.layout, self.order = layout, order
        leading = _leading(layout)
        self._head = struct.Struct(order + "".join(NUMBERS[field.kind] for field in leading))
        self._head_names = tuple(field.name for field in leading)
        self._all = tuple(self._readers(layout.fields))
        self._tail = self._all[len(leading) :]

    def _readers(self, fields: tuple[Field, ...]) -> Iterator[tuple[Field, Read | None]]:
        for field in fields:
            yield field, None if field.count else reader(field.kind, self.order)

    def decode(self, content: bytes, offset: int) -> Record:
        """Decode a content; what is wrong with it stands in `fault`."""
        values: dict[str, Value] = {}
        at, fields = 0, self._all
        if len(content) >= self._head.size:
            values = dict(zip(self._head_names, self._head.unpack_from(content), strict=True))
            at, fields = self._head.size, self._tail
        fault, at = self._decode_rest(content, at, fields, values)
        return Record(self.layout.name, values, offset, self.layout.typ, self.layout.sub, fault, content[at:])

    def _decode_rest(
        self, content: bytes, at: int, fields: tuple[tuple[Field, Read | None], ...], values: dict[str, Value]
    ) -> tuple[str, int]:
        end = len(content)
        for field, read in fields:
            if at == end and not self._empty_array(field, values):
                break
            try:
                if read is not None:
                    values[field.name], at = read(content, at)
                else:
                    count = values[field.count]
                    if not isinstance(count, int):
                        raise CutError
                    values[field.name], at = read_array(field.kind, self.order, content, at, count)
            except CutError:
                return f"the content of {end} bytes ends inside {field.name}", at
        return ("" if at == end else f"{end - at} bytes more than its fields"), at

    @staticmethod
    def _empty_array(field: Field, values: Mapping[str, Value]) -> bool:
        return bool(field.count) and values.get(field.count) == 0


def _leading(layout: Layout) -> tuple[Field, ...]:
    leading = list[Field]()
    for field in layout.fields:
        if field.count or field.kind not in NUMBERS:
            break
        leading.append(field)
    return tuple(leading)


@cache
def decoder(typ: int, sub: int, order: Order) -> Decoder | None:
    """Return the decoder of a record type, None if V4 has none."""
    layout = BY_CODE.get((typ, sub))
    return Decoder(layout, order) if layout else None
