"""Which die is in which package: the list of codes that whoever has assembled them gives."""

import csv
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from station.errors import StorageError
from station.model import Place, TraceList

COLUMNS = ("code", "wafer", "x", "y")
SEPARATORS = ",;\t"


def read(path: Path) -> tuple[TraceList, Mapping[str, Place]]:
    """Return what a list is, and the die of each code; StorageError says what in it cannot be meant."""
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: it is no text in UTF-8") from error
    found = dict[str, Place]()
    places = dict[Place, str]()
    for number, code, place in _rows(path, lines):
        if code in found or (twin := places.get(place)) is not None:
            why = f"code {code} is there already" if code in found else f"it is the die of code {twin} too"
            raise StorageError(f"{path}: line {number}: {why}")
        found[code], places[place] = place, code
    if not found:
        raise StorageError(f"{path}: it has no code")
    return TraceList(str(path.absolute()), sha256(data).hexdigest()), found


def _rows(path: Path, lines: list[str]) -> Iterator[tuple[int, str, Place]]:
    head = lines[0] if lines else ""
    separator = next((one for one in SEPARATORS if one in head), ",")
    rows = csv.DictReader(lines, delimiter=separator)
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        columns = ", ".join(COLUMNS)
        raise StorageError(f"{path}: line 1: no column {missing[0]}; {columns} are needed")
    for row in rows:
        code, wafer, x, y = ((row[name] or "").strip() for name in COLUMNS)
        if not code or not wafer:
            raise StorageError(f"{path}: line {rows.line_num}: no {'wafer' if code else 'code'}")
        try:
            place = Place(wafer, int(x), int(y))
        except ValueError:
            raise StorageError(
                f"{path}: line {rows.line_num}: x {x!r}, y {y!r}: whole numbers are needed"
            ) from None
        yield rows.line_num, code, place
