"""Where the time of a contact goes: how long each test took, and what lies between the tests."""

from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from station.datalog.rows import DeviceRow, DeviceRows
from station.datalog.stdf import durations
from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import TOTAL, Place, place

MISSING_COUNT = 4_294_967_295


class TestTimes(Struct, frozen=True):
    """Seconds that went into the tests of all contacts of which that is known."""

    __test__ = False

    contacts: int
    whole_s: float
    """Their test time, with what lies between the tests."""
    seconds: NDArray[np.float64]
    """By test."""

    def a_contact(self, names: Iterable[str]) -> dict[str, float]:
        """Return the milliseconds of a mean contact by test, and those between its tests."""
        if not self.contacts:
            return {}
        spent = dict(zip(names, (1000 * self.seconds / self.contacts).tolist(), strict=True))
        between = 1000 * self.whole_s / self.contacts - sum(spent.values())
        return spent | {"between tests": max(0.0, between)}


def of_rows(rows: Iterable[DeviceRow], packer: DeviceRows, tests: int) -> TestTimes:
    """Take the times out of the rows of a store."""
    contacts, whole_s, seconds = 0, 0.0, np.zeros(tests)
    for row in rows:
        if times := packer.times(row):
            contacts, whole_s = contacts + 1, whole_s + row.test_ms / 1000
            seconds += np.nan_to_num(np.frombuffer(times, "<f2").astype(np.float64))
    return TestTimes(contacts, whole_s, seconds)


def of_records(records: Iterable[Record], numbers: Iterable[int]) -> TestTimes:
    """Take the times out of a file's records: those of single contacts, else the means of its TSRs."""
    places = {number: at for at, number in enumerate(numbers)}
    kept = [record for record in records if record.name in {"GDR", "PRR", "TSR"}]
    contacts, whole_s, seconds = 0, 0.0, np.zeros(len(places))
    for end, times in _timed(kept):
        contacts, whole_s = contacts + 1, whole_s + end.integer("TEST_T") / 1000
        for number, spent in times.items():
            seconds[places[number]] += spent
    return TestTimes(contacts, whole_s, seconds) if contacts else _of_summaries(kept, places)


def _timed(records: Iterable[Record]) -> Iterator[tuple[Record, dict[int, float]]]:
    """Yield the PRR of each part whose tests were timed, and their seconds."""
    waiting = dict[int, dict[int, float]]()
    for record in records:
        if (found := durations.read(record)) is not None:
            waiting.setdefault(found[0], {}).update(found[1])
        elif record.name == "PRR" and (times := waiting.pop(record.integer("SITE_NUM"), None)):
            yield record, times


def _of_summaries(records: list[Record], places: dict[int, int]) -> TestTimes:
    seconds, sites = np.zeros(len(places)), set[Place]()
    for record in records:
        if record.name == "TSR" and record.integer("HEAD_NUM") != TOTAL and record.valid("TEST_TIM"):
            executed = record.integer("EXEC_CNT")
            if executed == MISSING_COUNT:
                continue
            sites.add(place(record))
            seconds[places[record.integer("TEST_NUM")]] += record.real("TEST_TIM") * executed
    ends = [record for record in records if record.name == "PRR" and place(record) in sites]
    return TestTimes(len(ends), sum(end.integer("TEST_T") for end in ends) / 1000, seconds)
