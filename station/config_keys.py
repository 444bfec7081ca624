"""Keys of a station file one by one: what each means, where its value comes from, and its default."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from station.config import StationFile, environment_name
from station.errors import ConfigError
from station.toml_file import table_of

TABLES = ("station", "cell", "vault", "recipe", "visa", "simulation", "wafer", "mqtt", "datalog")
"""Those that a file has once."""
PAGE = "station-file.md"
_ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<type>.*?) \| (?P<default>.*?) \| (?P<means>.*) \|$")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\([^)]*\)")


class Source(Struct, frozen=True):
    """One of the places that may give a key its value, the strongest first."""

    name: str
    value: object
    """None if this place says nothing."""
    where: str = ""
    """File and line, or the name of the variable."""


class Explained(Struct, frozen=True):
    """A key with all that is known of it."""

    key: str
    type: str
    means: str
    sources: tuple[Source, ...]
    value: object
    winner: str


def explained(key: str, path: Path) -> Explained:
    """Explain a key as `mqtt.url`; ConfigError if there is no such key, or the file cannot be read."""
    table, _, name = key.partition(".")
    if name not in _fields(table):
        near = [one for one in keys() if table in one or (name and name in one)] or list(keys())
        raise ConfigError(f"{key}: there is no such key; there are {', '.join(near[:12])}")
    told = table_of(path)
    variable = environment_name(table, name)
    sources = (
        Source("environment", os.environ.get(variable), variable),
        Source("file", told.get(table, {}).get(name), place(path, table, name)),
        Source("default", _default(table, name)),
    )
    winner = next((one for one in sources if one.value is not None), sources[-1])
    kind, means = _told(table, name)
    shown = tuple(msgspec.structs.replace(one, value=redacted(one.value)) for one in sources)
    return Explained(key, kind, means, shown, redacted(winner.value), winner.name)


def keys() -> Iterator[str]:
    """Yield every key of the tables that a file has once."""
    for table in TABLES:
        yield from (f"{table}.{name}" for name in _fields(table))


def redacted(value: object) -> object:
    """Leave out what a network address says of user and password."""
    if not isinstance(value, str) or "@" not in value or "://" not in value:
        return value
    parts = urlsplit(value)
    return urlunsplit(parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}"))


def shown(value: object) -> Any:  # noqa: ANN401 - as JSON has it
    """Return a configuration as plain data, redacted."""
    match value:
        case Mapping():
            return {str(name): shown(one) for name, one in value.items()}
        case list() | tuple():
            return [shown(one) for one in value]
        case _:
            return redacted(value)


def _kind(table: str) -> type[Struct] | None:
    field = {one.encode_name: one.type for one in msgspec.structs.fields(StationFile)}.get(table)
    kinds = [field, *getattr(field, "__args__", ())]
    return next((one for one in kinds if isinstance(one, type) and issubclass(one, Struct)), None)


def _fields(table: str) -> Mapping[str, msgspec.structs.FieldInfo]:
    kind = _kind(table) if table in TABLES else None
    return {} if kind is None else {one.encode_name: one for one in msgspec.structs.fields(kind)}


def _default(table: str, name: str) -> object:
    field = _fields(table)[name]
    return None if field.default is msgspec.NODEFAULT else field.default


def place(path: Path, table: str, name: str) -> str:
    """Where a key stands: file, and the line that begins with it after its table's heading."""
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text.startswith("["):
            inside = text.split("#")[0].strip() == f"[{table}]"
        elif inside and re.match(rf"\"?{re.escape(name)}\"?\s*=", text):
            return f"{path}:{number}"
    return str(path)


def _told(table: str, name: str) -> tuple[str, str]:
    """Return type and meaning as the reference page has them."""
    inside = False
    for line in _page().splitlines():
        if line.startswith("## "):
            inside = line == f"## [{table}]"
        elif inside and (row := _ROW.match(line)) and row["key"] == name:
            return _plain(row["type"]), _plain(row["means"])
    return "", ""


def _plain(text: str) -> str:
    return _LINK.sub(lambda found: found["text"], text).replace("`", "")


def _page() -> str:
    """The page comes with the wheel; in a working copy it is where it was written."""
    here = Path(__file__).parent
    places = (here / PAGE, here.parent / "docs" / "reference" / PAGE)
    return next((one.read_text("utf-8") for one in places if one.exists()), "")
