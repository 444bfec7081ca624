"""The rows of a map file as somebody sees them, turned upright and back; what E142 and G85 share."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lxml import etree

from station.datalog.maps.axes import Axes, Place, View
from station.datalog.maps.codes import BinType, Coding, Decoding, Definition
from station.datalog.maps.wafer import Die, WaferMap, joined
from station.errors import MapError

RowOrder: TypeAlias = Literal["seen", "origin"]
"""Rows and dies from the top and the left as they are seen, or from where the coordinates begin."""
LARGEST = 64 * 1024 * 1024
"""Bytes of a map file; a wafer has less than a million dies."""


def written(found: WaferMap, view: View, axes: Axes, order: RowOrder, coding: Coding) -> list[str]:
    """Return the rows of a map as a file has them."""
    width, height = view.size(found.size)
    sheet: list[list[str]] = [[coding.kind.null] * width for _ in range(height)]
    for place, die in found.dies.items():
        column, row = view.grid_seen(place, found.size)
        sheet[row][column] = coding.of(die)
    return [coding.kind.gap.join(codes) for codes in _ordered(sheet, axes, order)]


def read(
    rows: Sequence[str],
    view: View,
    axes: Axes,
    order: RowOrder,
    kind: BinType,
    table: "Table",
) -> WaferMap:
    """Return the map of a file's rows; its other facts are filled in by who reads the file."""
    decoding = Decoding(kind, table.null, table.lines, table.where)
    split = [_split(kind, row, number, table.where) for number, row in enumerate(rows, 1)]
    sheet = _ordered(split, axes, order)
    width, height = len(sheet[0]) if sheet else 0, len(sheet)
    dies = dict[Place, Die]()
    for row, codes in enumerate(sheet):
        if len(codes) != width:
            raise MapError(f"{table.where}: row {row + 1} has {len(codes)} dies, the first one has {width}")
        for column, code in enumerate(codes):
            die = decoding.die(code)
            if die is not None:
                dies[view.grid_upright((column, row), (width, height))] = die
    decoding.counted(Counter(code for codes in sheet for code in codes))
    columns, height = view.size((width, height))
    found = WaferMap(table.wafer, columns, height, dict(sorted(dies.items())))
    references = tuple(_reference(place, found, view, axes, table.where) for place in table.references)
    return WaferMap(
        table.wafer,
        columns,
        height,
        found.dies,
        joined(decoding.bins(), found.counts()),
        references=references,
    )


class Table:
    """What a file says beside its rows."""

    def __init__(
        self, wafer: str, null: str, lines: Iterable[Definition], references: Sequence[Place], where: str
    ) -> None:
        self.wafer, self.null, self.lines = wafer, null, tuple(lines)
        self.references, self.where = references, where


def _ordered(sheet: list[list[str]], axes: Axes, order: RowOrder) -> list[list[str]]:
    """Turn rows between what is seen and where the coordinates begin: the same step both ways."""
    if order == "seen":
        return sheet
    rows = sheet if axes.down else sheet[::-1]
    return rows if axes.right else [codes[::-1] for codes in rows]


def _split(kind: BinType, row: str, number: int, where: str) -> list[str]:
    try:
        return kind.split(row)
    except ValueError as error:
        raise MapError(f"{where}: row {number}: {error}") from None


def _reference(coordinates: Place, found: WaferMap, view: View, axes: Axes, where: str) -> Place:
    size = view.size(found.size)
    column, row = axes.place(coordinates, size)
    if not (0 <= column < size[0] and 0 <= row < size[1]):
        outside = f"is outside {size[0]} columns and {size[1]} rows"
        raise MapError(f"{where}: the reference device {coordinates} {outside}")
    return view.grid_upright((column, row), size)


def coordinates(place: Place, found: WaferMap, view: View, axes: Axes) -> Place:
    """Return X and Y of a die as a file has them."""
    return axes.coordinates(view.grid_seen(place, found.size), view.size(found.size))


# -- XML
def parsed(path: Path) -> etree._Element:
    """Read an XML file without entities, document types or network; MapError if it is none."""
    try:
        if path.stat().st_size > LARGEST:
            raise MapError(f"{path}: a map is at most {LARGEST} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise MapError(f"{path}: {error.strerror}") from error
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise MapError(f"{path}: it is no XML: {error.msg}") from None
    if root.getroottree().docinfo.doctype:
        raise MapError(f"{path}: it declares a document type, which no map has")
    return root


def named(parent: etree._Element, name: str) -> list[etree._Element]:
    """Return the elements of a name below another one, whatever their namespace."""
    return [one for one in parent.iter() if isinstance(one.tag, str) and etree.QName(one).localname == name]


def said(element: etree._Element, *names: str) -> str:
    """Return the first attribute of these names that is there; prefixes do not matter."""
    found = {etree.QName(name).localname: value for name, value in element.attrib.items()}
    return next((str(found[name]).strip() for name in names if name in found), "")


def number_of(element: etree._Element, name: str, where: str) -> int:
    """Return an attribute that must be a whole number."""
    text = said(element, name)
    try:
        return int(text)
    except ValueError:
        raise MapError(f"{where}: {name} is {text!r}, a whole number is needed") from None


def definitions(lines: Iterable[etree._Element], where: str) -> list[Definition]:
    """Return a bin table; a code that is defined again keeps its first meaning."""
    found = dict[str, Definition]()
    for line in lines:
        code = said(line, "BinCode")
        count = number_of(line, "BinCount", where) if said(line, "BinCount") else None
        line_of = Definition(code, said(line, "BinQuality"), said(line, "BinDescription"), count)
        found.setdefault(code, line_of)
    return list(found.values())
