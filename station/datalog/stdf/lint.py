"""`hardbin stdf validate`: whether a file is what the standard and its readers expect."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from station.datalog.stdf.reader import Reader
from station.datalog.stdf.records import Record
from station.datalog.stdf.rules import AT_END, BY_RECORD, file_name
from station.datalog.stdf.seen import Seen
from station.datalog.stdf.table import V4_2007
from station.datalog.stdf.usual import Usual

ADDED = frozenset(V4_2007.values())
MOST = 100
TEST = 15
"""Type code of PTR, MPR and FTR."""


class Finding(Struct, frozen=True):
    """What a rule has against a record, or against the whole file (`record` is empty)."""

    rule: str
    offset: int
    record: str
    text: str

    @property
    def error(self) -> bool:
        """Whether the file must not be used; a warning otherwise."""
        return self.rule.startswith("E")

    def __str__(self) -> str:
        where = f"{self.record} at {self.offset}" if self.record else "file"
        return f"{self.rule} {where}: {self.text}"


class Report(Struct, frozen=True):
    """What a check found, in the order of the records."""

    records: int
    findings: tuple[Finding, ...]


def check(path: Path) -> Report:
    """Read a file to its end and tell what is wrong with it."""
    seen = Seen()
    findings = [Finding("W04", 0, "", text) for text in file_name(path.name)]
    with path.open("rb") as file:
        findings += lint(file, seen)
    return Report(seen.records, tuple(findings))


def lint(file: BinaryIO, seen: Seen | None = None) -> Iterator[Finding]:
    """Yield what is wrong with the content of a file; `seen` takes in what it holds.

    A rule that is broken over and over is told a hundred times, then counted.
    """
    times = Counter[str]()
    for finding in _all(file, seen or Seen()):
        times[finding.rule] += 1
        if times[finding.rule] <= MOST:
            yield finding
    for name, count in times.items():
        if count > MOST:
            yield Finding(name, 0, "", f"{count - MOST} more of this kind")


def _all(file: BinaryIO, seen: Seen) -> Iterator[Finding]:
    reader = Reader(file)
    yield from _records(reader, seen)
    if reader.fault:
        yield Finding("E02", reader.end, "", reader.fault)
    if seen.records == 0:
        return
    for name, rule in AT_END:
        yield from (Finding(name, reader.end, "", text) for text in rule(seen))


def _records(reader: Reader, seen: Seen) -> Iterator[Finding]:
    usual: Usual | None = None
    for offset, typ, sub, content in reader.frames():
        usual = usual or Usual(seen, reader.order)
        if typ == TEST and usual.holds(sub, content):
            continue
        record = reader.decode(offset, typ, sub, content)
        found = list(_broken(record, seen))
        yield from found
        seen.note(record)
        if not found:
            usual.learn(record, content)


def _broken(record: Record, seen: Seen) -> Iterator[Finding]:
    if record.name in ADDED:
        return  # of V4-2007: kept as they are, nothing is known of them
    if record.name not in BY_RECORD:
        yield Finding("E02", record.offset, record.name, record.fault)
        return
    for name, rule in BY_RECORD[record.name]:
        for text in rule(record, seen):
            yield Finding(name, record.offset, record.name, text)
