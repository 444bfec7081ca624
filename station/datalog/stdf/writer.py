"""Test records as the engine makes them: what is fixed of a test is encoded once, results in one step."""

import struct
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from station.datalog.stdf import flags
from station.datalog.stdf.fields import Value, pack
from station.datalog.stdf.records import LAYOUTS, MAX_CONTENT, encode, whole
from station.datalog.stdf.summary import Statistics
from station.errors import StorageError
from station.model import Ending, Limit, Measurement, TestDefinition, Verdict, usable
from station.set_up import Profile as Profile

Make: TypeAlias = Callable[[Measurement], bytes]
FORMAT = "%9.3f"
HEAD, GROUP = 1, 1
"""HEAD_NUM and SITE_GRP of all sites."""
LARGEST = 3.4028234663852886e38
LENGTH = struct.Struct("<H").pack
PTR_START = struct.Struct("<BBIBB").pack
RESULT = struct.Struct("<f").pack
PIR = struct.Struct("<HBBBB").pack
PRR = struct.Struct("<HBBBBBHHHhhIB").pack
PRR_FIELDS = tuple(field.name for field in LAYOUTS["PRR"].fields[:10])
NOWHERE = -32768
"""A coordinate that is missing."""
LONGEST_ALARM = 256
NO_ALARM = b"\0"
"""ALARM_ID, empty."""
MPR_HEAD = struct.Struct("<HBBIBBBBHH").pack
UNDETERMINED = 4
PASSED, VALUE = Verdict.PASSED, Ending.VALUE  # looked up once: the hot path asks for them at every result
_PLAIN = str.maketrans({"\u00b5": "u", "\u03bc": "u", "\u03a9": "Ohm", "\u2126": "Ohm", "\u00b0": "deg"})


def plain(text: str) -> str:
    """Return what a character field may hold: printable ASCII, at most 255 characters."""
    kept = (c for c in text.translate(_PLAIN) if not (c < " " or "\x7f" <= c <= "\x9f"))
    return "".join([c if c <= "~" else "?" for c in kept])[:255]


class RowRecords(Protocol):
    """Makes the records of one test."""

    statistics: dict[int, Statistics]
    """By site."""

    def at(self, site: int) -> Make:
        """Return what encodes an execution at a site, and counts it."""

    def alarmed(self, site: int, alarm: str) -> Make:
        """Return what does the same for one execution while an instrument gave an alarm."""


def _characters(*texts: str) -> bytes:
    return b"".join([pack("Cn", plain(text)) for text in texts])


def _limits(limit: Limit | None) -> tuple[int, int, int, int, float, float]:
    """OPT_FLAG, the three scales, and both limits as they go into a record."""
    low, high = flags.sides(limit)
    power = flags.scale(limit)
    return flags.limit_flags(limit), power, power, power, low or 0.0, high or 0.0


class _ParametricSite:
    """PTRs of one test at one site: a pass is made of fixed parts, the first record carries the limits."""

    __slots__ = ("_add", "_begun", "_name", "_prefix", "_rest", "_start", "_tail", "limit", "statistics")

    def __init__(self, start: bytes, limit: Limit | None, name: bytes, rest: bytes, *, again: bool) -> None:
        """`rest`: what stands behind ALARM_ID in the first record, `again`: and in every later one."""
        self._start, self.limit, self.statistics = start, limit, Statistics()
        self._add = self.statistics.add
        self._begun, self._name, self._rest = False, name, rest
        self._tail = name + b"\0" + rest if again else name
        self._prefix = self._before(self._tail, 0, flags.INCLUSIVE)

    def _before(self, tail: bytes, test: int, parm: int) -> bytes:
        return LENGTH(12 + len(tail)) + self._start + bytes((test, parm))

    def record(self, measurement: Measurement) -> bytes:
        """Encode one execution and count it; ±inf and NaN are never written."""
        value = measurement.value
        if (
            self._begun
            and measurement.verdict is PASSED
            and measurement.ending is VALUE
            and value is not None
            and -LARGEST <= value <= LARGEST
        ):
            self._add(value)
            return self._prefix + RESULT(value) + self._tail
        return self._unusual(measurement)

    def alarmed(self, alarm: bytes, measurement: Measurement) -> bytes:
        """Encode one execution while an instrument gave an alarm, `alarm` as a field, and count it."""
        short = self._begun and self._tail is self._name
        tail = self._name + alarm + (b"" if short else self._rest)
        return self._encoded(measurement, self.limit, tail, alarm=flags.ALARM)

    def judged_by(self, limit: Limit, rest: bytes, alarm: bytes, measurement: Measurement) -> bytes:
        """Encode one execution that was judged by limits of its own, which are in `rest`, and count it."""
        bit = flags.ALARM if alarm != NO_ALARM else 0
        return self._encoded(measurement, limit, self._name + alarm + rest, alarm=bit)

    def _unusual(self, measurement: Measurement) -> bytes:
        tail = self._tail if self._begun else self._name + NO_ALARM + self._rest
        return self._encoded(measurement, self.limit, tail)

    def _encoded(
        self, measurement: Measurement, limit: Limit | None, tail: bytes, *, alarm: int = 0
    ) -> bytes:
        self._begun = True
        test, parm = flags.test_flags(measurement) | alarm, flags.parm_flags(measurement, limit)
        value, result, statistics = measurement.value, 0.0, self.statistics
        statistics.failed += _failed(test)
        statistics.alarms += alarm
        if value is not None and not test & flags.UNUSABLE_TEST & ~flags.ALARM:
            result = flags.recorded(value, limit, failed=_failed(test))
        if value is None or test & flags.UNUSABLE_TEST:
            statistics.valueless += 1
        else:
            statistics.add(value)
        return self._before(tail, test, parm) + RESULT(result) + tail


class ParametricRecords:
    """PTRs of one test. In the compact profile all but the first of a site end after TEST_TXT.

    Where limits change in a lot (`averaged`), every PTR carries its own: nothing else holds for later ones.
    """

    def __init__(
        self, test: TestDefinition, sites: tuple[int, ...], profile: Profile, *, averaged: bool = False
    ) -> None:
        unit = test.limit.unit if test.limit else ""
        self._limit, name = test.limit, _characters(test.name)
        self._words = _characters(unit, *[FORMAT] * 3)
        rest = struct.pack("<Bbbbff", *_limits(test.limit)) + self._words
        if profile == "compat":
            rest += struct.pack("<ff", 0.0, 0.0)
        again = averaged or profile == "compat"
        self._sites = {
            site: _ParametricSite(
                PTR_START(15, 10, test.number, HEAD, site), test.limit, name, rest, again=again
            )
            for site in sites
        }
        self.statistics = {site: at.statistics for site, at in self._sites.items()}

    def at(self, site: int) -> Make:
        return self._sites[site].record

    def alarmed(self, site: int, alarm: str) -> Make:
        return partial(self._sites[site].alarmed, _characters(alarm))

    def judged_by(self, low: float, high: float, site: int, alarm: str) -> Make:
        """Return what encodes executions judged by these limits; those of the test are the record's spec."""
        limit = Limit(low, high, self._limit.unit if self._limit else "")
        opt, _, _, _, *sides = _limits(limit)
        _, *powers, low_spec, high_spec = _limits(self._limit)
        numbers = struct.pack("<Bbbbff", opt & ~flags.specs(self._limit), *powers, *sides)
        rest = numbers + self._words + struct.pack("<ff", low_spec, high_spec)
        return partial(self._sites[site].judged_by, limit, rest, _characters(alarm))


def _failed(test_flags: int) -> bool:
    return bool(test_flags & flags.FAILED) and not test_flags & flags.NOT_JUDGED


def _count(statistics: Statistics, test_flags: int) -> None:
    """Count an execution that has no single number."""
    statistics.valueless += 1
    statistics.failed += _failed(test_flags)
    statistics.alarms += test_flags & flags.ALARM


class MultipleRecords:
    """MPRs of one test: one result a pin, every field in every record."""

    def __init__(self, test: TestDefinition, pins: dict[int, tuple[int, ...]]) -> None:
        self._test, self._pins = test, pins
        self.statistics = {site: Statistics() for site in pins}
        self._name, self._tails = _characters(test.name), dict[tuple[int, int], bytes]()
        longest = len(self._head(0, 0, 0, len(test.pins), b"")) + len(
            self._tail(next(iter(pins)), len(test.pins))
        )
        longest += len(self._name) + LONGEST_ALARM
        if longest + (len(test.pins) + 1) // 2 + 4 * len(test.pins) > MAX_CONTENT:
            raise StorageError(
                f"test {test.number} {test.name}: {len(test.pins)} pins do not fit into one record"
            )

    def at(self, site: int) -> Make:
        return partial(self._record, site=site)

    def alarmed(self, site: int, alarm: str) -> Make:
        return partial(self._record, site=site, alarm=alarm)

    def _record(self, measurement: Measurement, *, site: int, alarm: str = "") -> bytes:
        """Encode one execution and count it."""
        test = flags.test_flags(measurement) | (flags.ALARM if alarm else 0)
        parm = flags.parm_flags(measurement, self._test.limit)
        values = measurement.values[: len(self._test.pins)]
        _count(self.statistics[site], test)
        body = self._states(values) + self._results(values, failed=_failed(test))
        body += self._name + _characters(alarm) + self._tail(site, len(values))
        return self._head(site, test, parm, len(values), body) + body

    def _head(self, site: int, test: int, parm: int, count: int, body: bytes) -> bytes:
        return MPR_HEAD(12 + len(body), 15, 15, self._test.number, HEAD, site, test, parm, count, count)

    @staticmethod
    def _states(values: tuple[float, ...]) -> bytes:
        states = [UNDETERMINED if value != value else 0 for value in values] + [0]
        return bytes([states[i] | states[i + 1] << 4 for i in range(0, len(values), 2)])

    def _results(self, values: tuple[float, ...], *, failed: bool) -> bytes:
        limit = self._test.limit
        kept = [0.0 if value != value else max(-LARGEST, min(LARGEST, value)) for value in values]
        if failed:
            kept = [flags.recorded(value, limit, failed=True) for value in kept]
        return struct.pack(f"<{len(kept)}f", *kept)

    def _tail(self, site: int, count: int) -> bytes:
        if (site, count) not in self._tails:
            self._tails[site, count] = self._made_tail(self._pins[site][:count])
        return self._tails[site, count]

    def _made_tail(self, indexes: tuple[int, ...]) -> bytes:
        unit = self._test.limit.unit if self._test.limit else ""
        fixed = struct.pack("<Bbbbffff", *_limits(self._test.limit), 0.0, 0.0)
        texts = _characters(unit, "", *[FORMAT] * 3) + struct.pack("<ff", 0.0, 0.0)
        return fixed + struct.pack(f"<{len(indexes)}H", *indexes) + texts


class FunctionalRecords:
    """FTRs of one test, without vectors. In the compact profile a later pass ends after TEST_TXT."""

    def __init__(self, test: TestDefinition, sites: tuple[int, ...], profile: Profile) -> None:
        self._test, self._compact = test, profile == "compact"
        self.statistics = {site: Statistics() for site in sites}
        self._first = set(sites)
        self._short = encode("FTR", self._values(0, 0))[4 + 7 :]

    def at(self, site: int) -> Make:
        return partial(self._record, site=site)

    def alarmed(self, site: int, alarm: str) -> Make:
        return partial(self._record, site=site, alarm=alarm)

    def _record(self, measurement: Measurement, *, site: int, alarm: str = "") -> bytes:
        """Encode one execution and count it; the text of a failure goes to RSLT_TXT."""
        test = flags.test_flags(measurement) | (flags.ALARM if alarm else 0)
        _count(self.statistics[site], test)
        if self._compact and test == 0 and site not in self._first:
            return self._prefix(len(self._short) + 7, site) + self._short
        self._first.discard(site)
        texts = {"RSLT_TXT": plain(measurement.text), "ALARM_ID": plain(alarm)}
        return whole("FTR", **texts, **self._values(site, test))

    def _values(self, site: int, test: int) -> dict[str, Value]:
        fixed: dict[str, Value] = {"TEST_NUM": self._test.number, "HEAD_NUM": HEAD, "SITE_NUM": site}
        return fixed | {"TEST_FLG": test, "OPT_FLAG": 0xFF, "TEST_TXT": plain(self._test.name)}

    def _prefix(self, length: int, site: int) -> bytes:
        return struct.pack("<HBBIBBB", length, 15, 20, self._test.number, HEAD, site, 0)


def part_begins(site: int) -> bytes:
    """Encode one PIR; ValueError if the site does not fit."""
    return PIR(2, 5, 10, HEAD, site)


def part_result(head: tuple[int, ...], place: tuple[int, int], test_ms: int, part: str) -> bytes:
    """Encode one PRR: `head` is what stands before the coordinates, in order; no text, no fix."""
    name = part.encode("ascii")
    try:
        return PRR(20 + len(name), 5, 20, *head, *place, test_ms, len(name)) + name + b"\0\0"
    except struct.error:  # the slow way names the field that does not fit
        given: dict[str, Value] = dict(zip(PRR_FIELDS, (*head, *place, test_ms, part), strict=True))
        return whole("PRR", **given)


def summary_record(
    test: TestDefinition, statistics: Statistics, *, head: int, site: int, sequence: str
) -> bytes:
    """Encode one TSR; what could not be measured is flagged, not zero."""
    return whole(
        "TSR",
        HEAD_NUM=head,
        SITE_NUM=site,
        TEST_TYP=test.kind,
        TEST_NUM=test.number,
        ALRM_CNT=statistics.alarms,
        TEST_NAM=plain(test.name),
        SEQ_NAME=plain(sequence),
        **summary_fields(statistics),
    )


def summary_fields(statistics: Statistics) -> dict[str, Value]:
    """Return the counts and numbers of a TSR, and OPT_FLAG, which says which of them are there."""
    numbers = {
        "TEST_MIN": (0x01, statistics.low),
        "TEST_MAX": (0x02, statistics.high),
        "TEST_TIM": (0x04, None),
        "TST_SUMS": (0x10, statistics.total),
        "TST_SQRS": (0x20, statistics.squares),
    }
    held: dict[str, Value] = {
        name: value
        for name, (_, value) in numbers.items()
        if value is not None and statistics.count and usable(value)
    }
    if statistics.timed:
        held["TEST_TIM"] = statistics.spent_s / statistics.timed
    invalid = sum(bit for name, (bit, _) in numbers.items() if name not in held)
    counts: dict[str, Value] = {"EXEC_CNT": statistics.executed, "FAIL_CNT": statistics.failed}
    return counts | {"OPT_FLAG": 0xC8 | invalid} | held
