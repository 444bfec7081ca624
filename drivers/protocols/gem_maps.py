"""The GEM messages about maps of wafers, cassettes and film frames (S12): set-up, rows, arrays, coordinates.

Ref: secsgem, message and data-item definitions. `RSINF` is x, y and the direction of a row.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct

from drivers.errors import ProtocolError
from drivers.protocols.hsms import Message
from drivers.protocols.secs import Format, Item, array, binary, numbers, text

MOST_CELLS = 1 << 22
ROWS, ARRAY, COORDINATES = 0, 1, 2
Place: TypeAlias = tuple[int, int]


class SubstrateMap(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One map as both sides know it: where it begins, how large it is, and a code for each place."""

    mid: str
    """Which wafer, cassette or film frame."""
    id_type: int = 0
    """IDTYP: 0 wafer, 1 cassette, 2 film frame."""
    flat: int = 0
    """FNLOC: degrees clockwise from the bottom."""
    origin: int = 2
    """ORLOC: 0 centre die, 1 upper right, 2 upper left, 3 lower left, 4 lower right."""
    axis: int = 0
    """PRAXI: which way the process goes; 0 to 3 row by row."""
    rows: int = 1
    columns: int = 1
    null: str = "."
    """NULBC: the code of a place without a device."""
    bins: str = ""
    """A code for each place, row by row from 0, 0; empty before there is one."""

    def __post_init__(self) -> None:
        cells = self.rows * self.columns
        if self.rows < 1 or self.columns < 1 or cells > MOST_CELLS or len(self.null) != 1:
            raise ValueError(f"a map of {self.columns} by {self.rows} places with null code {self.null!r}")
        if len(self.bins) not in (0, cells):
            raise ValueError(f"{len(self.bins)} codes for {cells} places")

    def code(self, x: int, y: int) -> str:
        """Return the code of a place."""
        return self.bins[y * self.columns + x] if self.bins else self.null

    def filled(self, codes: Iterable[tuple[Place, str]]) -> "SubstrateMap":
        """Return the map with these codes; ProtocolError for a place beside it."""
        cells = list(self.bins or self.null * (self.rows * self.columns))
        for (x, y), code in codes:
            if not (0 <= x < self.columns and 0 <= y < self.rows):
                raise ProtocolError(f"map {self.mid}: place {x}, {y} is beside it")
            cells[y * self.columns + x] = code
        told = {name: getattr(self, name) for name in self.__struct_fields__}
        return SubstrateMap(**told | {"bins": "".join(cells)})

    @property
    def size(self) -> int:
        """MLCL: how long the codes are."""
        return self.rows * self.columns


def _u1(value: int) -> Item:
    return Item(Format.U1, (value,))


def _u2(value: int) -> Item:
    return Item(Format.U2, (value,))


def _i2(*values: int) -> Item:
    return Item(Format.I2, values)


def _head(one: SubstrateMap) -> tuple[Item, Item]:
    return text(one.mid), binary(one.id_type)


# -- what the equipment says: map up
def setup(one: SubstrateMap) -> Message:
    """S12F1."""
    sizes = text("mm"), _u2(0), _u2(0), _u2(one.rows), _u2(one.columns)
    where = _u2(one.flat), _u2(0), binary(one.origin), _u1(0), array()
    ends = text(one.null), _u2(one.size), binary(one.axis)
    return Message(12, 1, array(*_head(one), *where, *sizes, *ends), wait=True)


def setup_of(message: Message) -> SubstrateMap:
    """Read S12F1; ProtocolError."""
    match _items(message):
        case (mid, kind, flat, _, origin, _, _, _, _, _, rows, columns, null, _, axis):
            return _made(
                mid.text,
                id_type=kind.number,
                flat=flat.number,
                origin=origin.number,
                rows=rows.number,
                columns=columns.number,
                null=codes_of(null) or ".",
                axis=axis.number,
            )
    raise ProtocolError(f"{message} is no map set-up")


def may_send(one: SubstrateMap) -> Message:
    """S12F5."""
    return Message(12, 5, array(*_head(one), binary(ARRAY), Item(Format.U4, (one.size,))), wait=True)


def send_array(one: SubstrateMap) -> Message:
    """S12F9."""
    return Message(12, 9, array_of(one), wait=True)


def array_of(one: SubstrateMap) -> Item:
    """Return the content of S12F9 and S12F16."""
    return array(*_head(one), _i2(0, 0), text(one.bins))


def rows_of(one: SubstrateMap) -> Item:
    """Return the content of S12F7 and S12F14: each row from its left end."""
    size = one.columns
    lines = (
        array(_i2(0, y, 1), text(one.bins[y * size : (y + 1) * size]))
        for y in range(one.rows if one.bins else 0)
    )
    return array(*_head(one), array(*lines))


def coordinates_of(one: SubstrateMap) -> Item:
    """Return the content of S12F11 and S12F18: each place with a device."""
    places = ((x, y) for y in range(one.rows) for x in range(one.columns))
    told = (array(_i2(x, y), text(one.code(x, y))) for x, y in places if one.code(x, y) != one.null)
    return array(*_head(one), array(*told))


def mid_of(message: Message) -> str:
    """Return which map a message is about; ProtocolError."""
    items = _items(message)
    if not items:
        raise ProtocolError(f"{message} names no map")
    return items[0].text


def sent(message: Message, known: SubstrateMap) -> SubstrateMap:
    """Read S12F7, F9 or F11 into a map that was set up; ProtocolError."""
    match message.function, _items(message):
        case 7, (_, _, lines):
            return known.filled(_in_rows(lines))
        case 9, (_, _, start, codes):
            x, y = _place(start)
            told = codes_of(codes)
            if (x, y) != (0, 0) or len(told) != known.size:
                raise ProtocolError(
                    f"map {known.mid}: {len(told)} codes from {x}, {y} for {known.size} places"
                )
            return known.filled(((at % known.columns, at // known.columns), c) for at, c in enumerate(told))
        case 11, (_, _, places):
            return known.filled(_at_places(places))
    raise ProtocolError(f"{message} is no map")


def _in_rows(lines: Item) -> Iterator[tuple[Place, str]]:
    for line in lines.items:
        if len(line.items) != 2:
            raise ProtocolError(f"{line} is no row of a map")
        begin = tuple(numbers(line.items[0]))
        if len(begin) != 3 or not begin[2]:
            raise ProtocolError(f"{line.items[0]} is no begin of a row: x, y and a direction are")
        x, y, direction = begin
        step = 1 if direction > 0 else -1
        for at, code in enumerate(codes_of(line.items[1])):
            yield (x + at * step, y), code


def _at_places(places: Item) -> Iterator[tuple[Place, str]]:
    for one in places.items:
        if len(one.items) != 2 or len(code := codes_of(one.items[1])) != 1:
            raise ProtocolError(f"{one} is no place with one code")
        yield _place(one.items[0]), code


def _place(item: Item) -> Place:
    match tuple(numbers(item)):
        case (x, y):
            return x, y
    raise ProtocolError(f"{item} is no place")


def codes_of(item: Item) -> str:
    """Return codes, which are written as a text or as bytes."""
    if isinstance(item.value, str):
        return item.value
    return "".join(chr(code) for code in numbers(item))


# -- what the host answers: map down
def about(one: SubstrateMap) -> Item:
    """Return the content of S12F4."""
    sizes = text("mm"), _u2(0), _u2(0), _u2(one.rows), _u2(one.columns)
    where = _u2(one.flat), binary(one.origin), _u1(0), array()
    known = text("".join(sorted(set(one.bins) - {one.null})))
    ends = _u2(one.size), known, text(one.null), Item(Format.U4, (one.size,))
    return array(*_head(one), *where, *sizes, *ends)


def about_of(message: Message) -> SubstrateMap | None:
    """Read S12F4; None if there is no such map; ProtocolError."""
    match _items(message):
        case ():
            return None
        case (mid, kind, flat, origin, _, _, _, _, _, rows, columns, _, _, null, _):
            return _made(
                mid.text,
                id_type=kind.number,
                flat=flat.number,
                origin=origin.number,
                rows=rows.number,
                columns=columns.number,
                null=codes_of(null) or ".",
            )
    raise ProtocolError(f"{message} tells nothing of a map")


def ask_about(mid: str) -> Message:
    """S12F3, in array form."""
    kind, form = binary(0), binary(ARRAY)
    return Message(
        12,
        3,
        array(text(mid), kind, form, _u2(0), _u2(0), binary(2), binary(0), text(""), text(".")),
        wait=True,
    )


def ask_array(mid: str) -> Message:
    """S12F15."""
    return Message(12, 15, array(text(mid), binary(0)), wait=True)


def _made(mid: str, **told: int | str) -> SubstrateMap:
    try:
        return SubstrateMap(mid=mid, **told)  # type: ignore[arg-type]  # each has its kind above
    except ValueError as error:
        raise ProtocolError(str(error)) from None


def _items(message: Message) -> tuple[Item, ...]:
    return message.item.items if message.item is not None else ()
