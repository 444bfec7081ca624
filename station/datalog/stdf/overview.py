"""A file in numbers: what lot, how many parts, where they ended, which tests failed."""

from collections import Counter
from pathlib import Path

import numpy as np
from msgspec import Struct

from station.datalog.stdf.columns import Columns, load
from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import Part, Seen

FAIL_BITS, FAIL = 0xC0, 0x80


class BinLine(Struct, frozen=True):
    """The parts of one soft bin, by last result."""

    soft: int
    hard: int
    name: str
    good: bool
    count: int


class TestLine(Struct, frozen=True):
    """One test: executions, fails, and its valid results as float32 had them."""

    __test__ = False

    number: int
    name: str
    record: str
    executed: int
    failed: int
    unit: str = ""
    low: float | None = None
    mean: float | None = None
    high: float | None = None


class Overview(Struct, frozen=True):
    """A file in numbers; a part counts once, as its last contact left it."""

    lot: str
    product: str
    program: str
    station: str
    records: int
    parts: int
    good: int
    contacts: int
    sites: int
    wafers: tuple[str, ...]
    bins: tuple[BinLine, ...]
    tests: tuple[TestLine, ...]
    fault: str
    """Why the file ended early, or that its end is missing; empty if neither."""


def overview(path: Path) -> Overview:
    """Count a file; one that was cut is counted as far as it goes."""
    columns, seen, names = load(path), Seen(), dict[int, str]()
    for record in columns.others:
        seen.note(record)
        if record.name == "SBR":
            names[record.integer("SBIN_NUM")] = record.text("SBIN_NAM")
    master = next((record for record in columns.others if record.name == "MIR"), Record("MIR", {}))
    parts = list(seen.parts.values())
    fault = columns.fault or ("" if seen.ended else "it has no MRR: the lot was not ended")
    return Overview(
        master.text("LOT_ID"),
        master.text("PART_TYP"),
        f"{master.text('JOB_NAM')} {master.text('JOB_REV')}".strip(),
        master.text("NODE_NAM"),
        columns.records,
        len(parts),
        sum(part.good for part in parts),
        seen.counts["PRR"],
        len(seen.sites),
        tuple(seen.contacts),
        _bins(parts, names),
        tuple(sorted([*_parametric(columns), *_others(columns)], key=lambda line: line.number)),
        fault,
    )


def _bins(parts: list[Part], names: dict[int, str]) -> tuple[BinLine, ...]:
    counts = Counter((part.soft, part.hard, part.good) for part in parts)
    return tuple(
        BinLine(soft, hard, names.get(soft, ""), good, count)
        for (soft, hard, good), count in sorted(counts.items())
    )


def _parametric(columns: Columns) -> list[TestLine]:
    lines, usable = list[TestLine](), columns.usable
    for number, first in columns.firsts.items():
        mine = columns.test == number
        values = columns.result[mine & usable].astype(float)
        failed = int(np.count_nonzero(columns.flags[mine] & FAIL_BITS == FAIL))
        numbers = (float(values.min()), float(values.mean()), float(values.max())) if len(values) else ()
        name, unit = first.text("TEST_TXT"), first.text("UNITS")
        lines.append(TestLine(number, name, "PTR", int(np.count_nonzero(mine)), failed, unit, *numbers))
    return lines


def _others(columns: Columns) -> list[TestLine]:
    executed, failed, names = Counter[int](), Counter[int](), dict[int, tuple[str, str]]()
    for record in columns.others:
        if record.name in {"MPR", "FTR", "STR"}:
            number = record.integer("TEST_NUM")
            executed[number] += 1
            failed[number] += record.integer("TEST_FLG") & FAIL_BITS == FAIL
            names.setdefault(number, (record.name, record.text("TEST_TXT")))
    return [
        TestLine(number, text, name, executed[number], failed[number])
        for number, (name, text) in names.items()
    ]
