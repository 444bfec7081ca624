"""The great mass of test records: passes like one that was checked. They are checked in one step."""

import struct
from math import isfinite

from station.datalog.stdf.fields import Order
from station.datalog.stdf.records import Record
from station.datalog.stdf.rules import limits_of
from station.datalog.stdf.seen import RANKS, TESTS, Limits, Seen

PTR, MPR, FTR = 10, 15, 20
BODY = RANKS["PTR"]
PASSED = {PTR: b"\x00\xc0", MPR: b"\x00\xc0", FTR: b"\x00"}
"""TEST_FLG and PARM_FLG of a pass, where they stand behind number, head and site."""
FLAGS_AT = 6


class Usual:
    """Knows the records that were sound; what differs only in part, site and result needs no other look."""

    def __init__(self, seen: Seen, order: Order) -> None:
        self._seen, self._order = seen, order
        self._place = struct.Struct(order + "IBB")
        self._counts = struct.Struct(order + "HH")
        self._result = struct.Struct(order + "f")
        self._known: dict[tuple[int, int, bytes], Limits] = {}

    def learn(self, record: Record, content: bytes) -> None:
        """Take in a record of a pass that no rule had anything against."""
        if record.name in TESTS and content.startswith(PASSED[record.sub], FLAGS_AT):
            fixed, _ = self._split(record.sub, content)
            self._known[record.integer("TEST_NUM"), record.sub, fixed] = limits_of(record, self._seen)

    def holds(self, sub: int, content: bytes) -> bool:
        """Tell whether this is such a record, and count it if so."""
        passed = PASSED.get(sub)
        if passed is None or len(content) < 12 or not content.startswith(passed, FLAGS_AT):
            return False
        number, head, site = self._place.unpack_from(content)
        fixed, results = self._split(sub, content)
        limits = self._known.get((number, sub, fixed))
        if limits is None or not all(_inside(result, limits) for result in results):
            return False
        return self._counted(number, head, site)

    def _split(self, sub: int, content: bytes) -> tuple[bytes, tuple[float, ...]]:
        """Part what is the same in all such records from the results."""
        if sub == FTR:
            return content[7:], ()
        if sub == PTR:
            return content[12:], self._result.unpack_from(content, 8)
        pins, results = self._counts.unpack_from(content, 8)
        begin = 12 + (pins + 1) // 2
        end = begin + 4 * results
        if end > len(content):
            return content, ()
        return content[8:begin] + content[end:], struct.unpack(f"{self._order}{results}f", content[begin:end])

    def _counted(self, number: int, head: int, site: int) -> bool:
        seen = self._seen
        counted = seen.executions.get((number, head, site))
        if counted is None or seen.rank != BODY or (head, site) not in seen.open_parts:
            return False
        counted.executed += 1
        counted.valid += 1
        seen.records += 1
        return True


def _inside(result: float, limits: Limits) -> bool:
    low, high = limits.low, limits.high
    return (low is None or result >= low) and (high is None or result <= high) and isfinite(result)
