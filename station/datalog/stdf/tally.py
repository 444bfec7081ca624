"""The summaries of a file, counted anew from its records: for one that was cut, or made of several."""

from collections import Counter
from collections.abc import Iterator, Mapping

from station.datalog.stdf import durations
from station.datalog.stdf.records import Record, whole
from station.datalog.stdf.seen import TESTS, TOTAL, Part, Place, Seen, place
from station.datalog.stdf.summary import Statistics, merged
from station.datalog.stdf.writer import summary_fields

UNUSABLE_TEST, UNUSABLE_PARM = 0x3F, 0x07
ALL: Place = (TOTAL, 0)
KINDS = {"PTR": "P", "MPR": "M", "FTR": "F"}
SETTLED_EACH = 4096
KEPT = {"TSR": ("SEQ_NAME", "TEST_LBL"), "HBR": ("HBIN_PF", "HBIN_NAM"), "SBR": ("SBIN_PF", "SBIN_NAM")}
"""What a summary record says that no count gives."""


class Tally:
    """Takes records in, in order, and makes TSR, HBR, SBR, PCR and MRR of them."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._executed: dict[int, dict[Place, Statistics]] = {}
        self._alarms = Counter[tuple[int, Place]]()
        self._names: dict[tuple[str, int], dict[str, str]] = {}
        self.latest = 0
        """The latest time that a record named."""

    def note(self, record: Record) -> None:
        """Count a record from before the summaries."""
        self.seen.note(record)
        for name in ("SETUP_T", "START_T", "FINISH_T"):
            self.latest = max(self.latest, record.integer(name))
        if record.name in TESTS:
            self._test(record)
        elif (timed := durations.read(record)) is not None:
            self._times(*timed)

    def know(self, record: Record) -> None:
        """Take the names and the P or F of a bin, or the texts of a test, from a summary record."""
        if record.name in KEPT:
            number = record.integer({"TSR": "TEST_NUM", "HBR": "HBIN_NUM", "SBR": "SBIN_NUM"}[record.name])
            known = self._names.setdefault((record.name, number), {})
            for name in KEPT[record.name]:
                if not known.get(name, "").strip():
                    known[name] = record.text(name)

    def trailer(self, finished: int, *, disposition: str = " ", why: str = "") -> Iterator[bytes]:
        """Yield what stands behind the last part."""
        yield from self._tests()
        places = [*sorted(self.seen.sites), ALL]
        for name in ("HBR", "SBR"):
            yield from self._bins(name, places)
        for where in places:
            yield self._parts(where)
        yield whole("MRR", FINISH_T=finished, DISP_COD=disposition, EXC_DESC=why)

    def _test(self, record: Record) -> None:
        number, where = record.integer("TEST_NUM"), place(record)
        test, parm = record.integer("TEST_FLG"), record.integer("PARM_FLG")
        statistics = self._executed.setdefault(number, {}).setdefault(where, Statistics())
        statistics.failed += test & 0xC0 == 0x80
        self._alarms[number, where] += test & 0x01
        if record.name == "PTR" and not (test & UNUSABLE_TEST or parm & UNUSABLE_PARM):
            statistics.add(record.real("RESULT"))
        else:
            statistics.valueless += 1
        if self.seen.records % SETTLED_EACH == 0:
            for of_site in self._executed.values():
                for one in of_site.values():
                    one.settle()

    def _times(self, site: int, times: Mapping[int, float]) -> None:
        """Take in how long the tests of a part took, whose records stand before."""
        for test, spent in times.items():
            for where, statistics in self._executed.get(test, {}).items():
                if where[1] == site:
                    statistics.took(spent)

    def _tests(self) -> Iterator[bytes]:
        for number, sites in sorted(self._executed.items()):
            for where, statistics in sorted(sites.items()):
                yield self._test_at(number, where, statistics, self._alarms[number, where])
            alarms = sum(self._alarms[number, where] for where in sites)
            yield self._test_at(number, ALL, merged(sites.values()), alarms)

    def _test_at(self, number: int, where: Place, statistics: Statistics, alarms: int) -> bytes:
        record, text = self.seen.names[number]
        return whole(
            "TSR",
            HEAD_NUM=where[0],
            SITE_NUM=where[1],
            TEST_TYP=KINDS[record],
            TEST_NUM=number,
            TEST_NAM=text,
            ALRM_CNT=alarms,
            **self._names.get(("TSR", number), {}),
            **summary_fields(statistics),
        )

    def _bins(self, name: str, places: list[Place]) -> Iterator[bytes]:
        letter, good = name[0], dict[int, bool]()
        counts = {where: Counter[int]() for where in places}
        for part in self.seen.parts.values():
            number = part.number(name)
            good.setdefault(number, part.good)
            counts.setdefault(part.place, Counter())[number] += 1
            counts[ALL][number] += 1
        numbers = sorted(good.keys() | {number for kind, number in self._names if kind == name})
        for where in places:
            for number in numbers:
                said = {f"{letter}BIN_PF": "P" if good.get(number) else "F"} | self._names.get(
                    (name, number), {}
                )
                fixed = {f"{letter}BIN_NUM": number, f"{letter}BIN_CNT": counts[where][number]}
                yield whole(name, HEAD_NUM=where[0], SITE_NUM=where[1], **fixed, **said)

    def _parts(self, where: Place) -> bytes:
        parts: list[Part] = [p for p in self.seen.parts.values() if where in {ALL, p.place}]
        retested = self.seen.retested
        return whole(
            "PCR",
            HEAD_NUM=where[0],
            SITE_NUM=where[1],
            PART_CNT=len(parts),
            RTST_CNT=retested.total() if where == ALL else retested[where],
            ABRT_CNT=sum(bool(part.flags & 0x10) for part in parts),
            GOOD_CNT=sum(part.good for part in parts),
        )
