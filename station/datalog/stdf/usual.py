"""The great mass of test records: passes like one that was checked. They are checked in one step."""

import struct
from math import isfinite

from station.datalog.stdf.fields import Order
from station.datalog.stdf.records import Record
from station.datalog.stdf.rules import limits_of
from station.datalog.stdf.seen import RANKS, Limits, Seen

PTR, FTR = 10, 20
BODY = RANKS["PTR"]
OPEN = Limits(None, None)


class Usual:
    """Knows the records that were sound; what differs only in part, site and result needs no other look."""

    def __init__(self, seen: Seen, order: Order) -> None:
        self._seen = seen
        self._parametric = struct.Struct(order + "IBBBBf")
        self._functional = struct.Struct(order + "IBBB")
        self._known: dict[tuple[int, int, bytes], Limits] = {}

    def learn(self, record: Record, content: bytes) -> None:
        """Take in a record of a pass that no rule had anything against."""
        if record.name == "PTR" and (record.integer("TEST_FLG"), record.integer("PARM_FLG")) == (0, 0xC0):
            key = (record.integer("TEST_NUM"), PTR, content[self._parametric.size :])
            self._known[key] = limits_of(record, self._seen)
        elif record.name == "FTR" and record.integer("TEST_FLG") == 0:
            self._known[record.integer("TEST_NUM"), FTR, content[self._functional.size :]] = OPEN

    def holds(self, sub: int, content: bytes) -> bool:
        """Tell whether this is such a record, and count it if so."""
        if sub == PTR and len(content) > self._parametric.size:
            number, head, site, test, parm, result = self._parametric.unpack_from(content)
            tail = content[self._parametric.size :]
        elif sub == FTR and len(content) > self._functional.size:
            number, head, site, test = self._functional.unpack_from(content)
            tail, parm, result = content[self._functional.size :], 0xC0, 0.0
        else:
            return False
        limits = self._known.get((number, sub, tail))
        if limits is None or test or parm != 0xC0 or not _inside(result, limits):
            return False
        return self._counted(number, head, site)

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
