"""Files in TOML, read as types: whatever is wrong with one is told in one message."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from station.errors import ConfigError

T = TypeVar("T", bound=Struct)
SHOWN = 200
"""Characters of a value that a message shows."""
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")


def table_of(path: Path) -> dict[str, Any]:
    """Return what a file says; ConfigError if there is none, or it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path}: not TOML that can be meant: it is nested too deeply") from None


def meant(table: dict[str, Any], kind: type[T], path: Path, *, str_keys: bool = False) -> T:
    """Return a file's table as a type; ConfigError says which key is wrong, and what is allowed."""
    try:
        return msgspec.convert(table, kind, str_keys=str_keys)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {explained(error, kind, table)}") from error


def read(path: Path, kind: type[T], *, str_keys: bool = False) -> T:
    """Return a file as a type; ConfigError says what is wrong, where, and what is allowed."""
    return meant(table_of(path), kind, path, str_keys=str_keys)


def explained(error: msgspec.ValidationError, kind: type[Struct], table: object) -> str:
    """Turn a validation error into key, fault and what is allowed."""
    text = str(error)
    found = _PLACE.search(text)
    path = found["path"] if found else ""
    fault = _PLACE.sub("", text)
    unknown = _UNKNOWN.search(fault)
    allowed = (
        _allowed(kind, path, unknown["name"] if unknown else "")
        if "unknown field" in fault or "missing required" in fault
        else ""
    )
    value = _value(table, path)
    shown = "" if value is None or isinstance(value, dict | list) else f" (it is {_short(repr(value))})"
    return f"{path or 'top level'}: {fault}{shown}{allowed}"


def _short(text: str) -> str:
    """As much of a value as a person reads."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _allowed(kind: type[Struct], path: str, unknown: str) -> str:
    """Return what may stand there, the name nearest to the one that may not first."""
    for part in [p for p in re.split(r"\.|\[\d*\.*\]", path) if p]:
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        inner = _struct_in(fields.get(part))
        if inner is None:
            return ""
        kind = inner
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    near = difflib.get_close_matches(unknown, names, 1)
    return f"{f'; {near[0]}?' if near else ''}; allowed here: {', '.join(names)}"


def _struct_in(kind: object) -> type[Struct] | None:
    candidates = [kind, *getattr(kind, "__args__", ())]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Struct)), None)


def _value(table: object, path: str) -> object:
    for part in [p for p in re.split(r"[.\[\]]", path) if p]:
        if isinstance(table, dict) and part in table:
            table = table[part]
        elif isinstance(table, list) and part.isdigit() and int(part) < len(table):
            table = table[int(part)]
        else:
            return None
    return table
