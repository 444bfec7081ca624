"""Which layout a station file has: a later one is refused by name, an earlier one migrated when asked for."""

import difflib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from station.errors import ConfigError

SCHEMA = 1
"""The layout that this version writes; a file that does not say has the first one."""
Table: TypeAlias = dict[str, Any]


class Step:
    """From one layout to the next: what a file says, and its text with its comments."""

    def __init__(self, about: str, table: Callable[[Table], Table], text: Callable[[str], str]) -> None:
        self.about, self.table, self.text = about, table, text


STEPS: Mapping[int, Step] = MappingProxyType({})
"""By the layout from which it leads: none yet, since there has been one layout only."""

log = logging.getLogger(__name__)
_told = set[Path]()


def read(table: Table, path: Path) -> Table:
    """Return what a file says in the layout of today; ConfigError if that is not known here.

    The file stays as it is; of an earlier layout it is said once.
    """
    found = of(table, path)
    if found < SCHEMA and path.absolute() not in _told:
        _told.add(path.absolute())
        changes = "; ".join(STEPS[n].about for n in range(found, SCHEMA))
        log.warning("%s: schema %d is read as %d (%s): hardbin config migrate", path, found, SCHEMA, changes)
    for number in range(found, SCHEMA):
        table = STEPS[number].table(table)
    return table | {"schema": SCHEMA}


def migrated(text: str, table: Table, path: Path) -> str:
    """Return the text of a file in the layout of today, which it says from then on; the same if it does."""
    for number in range(of(table, path), SCHEMA):
        text = STEPS[number].text(text)
    return _saying(text)


def difference(before: str, after: str, path: Path) -> str:
    """Return what a migration changes, as `diff -u` does; empty if nothing."""
    lines = (before.splitlines(keepends=True), after.splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, str(path), f"{path}, schema {SCHEMA}", n=1))


def of(table: Table, path: Path) -> int:
    """Return the layout that a file has; ConfigError if that is no number, or not known here."""
    found = table.get("schema", 1)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ConfigError(f"{path}: schema: a number from 1 to {SCHEMA} is meant (it is {found!r})")
    if found > SCHEMA:
        raise ConfigError(
            f"{path}: schema {found} is of a later hardbin; this one reads up to {SCHEMA}: update it first"
        )
    return found


def _saying(text: str) -> str:
    """Put the line in before the first table, or bring the one that is there up to date."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    says = next((n for n in range(first) if lines[n].partition("=")[0].strip() == "schema"), None)
    if says is not None:
        lines[says] = f"schema = {SCHEMA}\n"
    else:
        lines[first:first] = [f"schema = {SCHEMA}\n", "\n"]
    return "".join(lines)
