"""What a file has shown so far: the state that its check rests on."""

from collections import Counter
from dataclasses import dataclass, field

from station.datalog.stdf.records import Record

Place = tuple[int, int]
"""Head and site."""
Identity = tuple[str, str]
"""Wafer and name of a part: many testers begin PART_ID anew on each wafer."""
TESTS = frozenset({"PTR", "MPR", "FTR"})
TOTAL = 255
FAILED, NO_VERDICT = 0x08, 0x10


@dataclass(frozen=True)
class Part:
    """What a PRR says of a part."""

    place: Place
    hard: int
    soft: int
    flags: int

    @property
    def good(self) -> bool:
        """Whether it passed."""
        return not self.flags & (FAILED | NO_VERDICT)

    def number(self, record: str) -> int:
        """Return its bin as HBR or SBR count it."""
        return self.hard if record == "HBR" else self.soft


@dataclass
class Executions:
    """Records of one test at one place."""

    executed: int = 0
    failed: int = 0
    valid: int = 0
    alarms: int = 0


@dataclass
class WaferCount:
    """Parts of one wafer by last result, and the contacts that superseded."""

    parts: dict[Identity, Part] = field(default_factory=dict)
    retested: int = 0

    def add(self, known: Identity, part: Part) -> None:
        """Take a contact in."""
        self.parts[known] = part
        self.retested += bool(part.flags & 0x03)

    def fields(self) -> dict[str, int]:
        """Return the counts as a WRR has them."""
        parts = self.parts.values()
        return {
            "PART_CNT": len(self.parts),
            "RTST_CNT": self.retested,
            "ABRT_CNT": sum(bool(part.flags & NO_VERDICT) for part in parts),
            "GOOD_CNT": sum(part.good for part in parts),
        }


@dataclass
class Limits:
    """Defaults of a test: its first record's limits, None where a side is open."""

    low: float | None
    high: float | None


@dataclass
class Seen:
    """Everything that an earlier record decides for a later one."""

    records: int = 0
    latest: Record | None = None
    rank: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    open_parts: dict[Place, int] = field(default_factory=dict)
    """Offsets of the PIRs without PRR."""
    sections: int = 0
    names: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Record name and TEST_TXT by test number."""
    limits: dict[int, Limits] = field(default_factory=dict)
    pins: int = 0
    sites: dict[Place, int] = field(default_factory=dict)
    """Places of the SDRs, and the group of each."""
    groups: set[Place] = field(default_factory=set)
    """Head and SITE_GRP."""
    executions: dict[tuple[int, int, int], Executions] = field(default_factory=dict)
    """By test, head and site."""
    parts: dict[Identity, Part] = field(default_factory=dict)
    """Last result by identity."""
    retested: Counter[Place] = field(default_factory=Counter)
    verdicts: dict[tuple[int, bool], int] = field(default_factory=dict)
    """Offset of the first PRR by hard bin and whether it passed."""
    bins: dict[str, dict[Place, dict[int, int]]] = field(default_factory=lambda: {"HBR": {}, "SBR": {}})
    part_counts: dict[Place, Record] = field(default_factory=dict)
    wafers: dict[Place, int] = field(default_factory=dict)
    """Offsets of the WIRs without WRR, by head and group."""
    start: int = 0
    _totals: dict[int, Executions] = field(default_factory=dict)

    wafer: str = ""
    """WAFER_ID of the latest WIR."""
    contacts: dict[str, WaferCount] = field(default_factory=dict)
    """What was contacted on each wafer."""
    _dies: dict[tuple[str, int, int], Identity] = field(default_factory=dict)
    """Identity by wafer and place on it."""

    @property
    def ended(self) -> bool:
        """Whether the latest record is the MRR."""
        return self.latest is not None and self.latest.name == "MRR"

    def note(self, record: Record) -> None:
        """Take in a record that was checked."""
        self.records += 1
        self.counts[record.name] += 1
        self.latest = record
        self.rank = max(self.rank, RANKS.get(record.name, 0))
        match record.name:
            case "PTR" | "MPR" | "FTR":
                self._test(record)
            case "PIR":
                self.open_parts[place(record)] = record.offset
            case "PRR":
                self._part(record)
            case "SDR":
                self._sites(record)
            case "PMR":
                self.pins = max(self.pins, record.integer("PMR_INDX"))
            case "HBR" | "SBR":
                self._bin(record)
            case "PCR":
                self.part_counts[place(record)] = record
            case "BPS" | "EPS":
                self.sections += 1 if record.name == "BPS" else -1
            case "MIR":
                self.start = record.integer("START_T")
            case "WIR" | "WRR":
                self._wafer(record)

    def executed(self, test: int, where: Place) -> Executions:
        """Return how often a test ran at a place, or in all."""
        if where[0] != TOTAL:
            return self.executions.get((test, *where), Executions())
        if not self._totals:
            self._totals = _summed(self.executions)
        return self._totals.get(test, Executions())

    def _test(self, record: Record) -> None:
        number = record.integer("TEST_NUM")
        if number not in self.names:
            self.names[number] = (record.name, record.text("TEST_TXT"))
            self.limits[number] = first_limits(record)
        key = (number, *place(record))
        if key not in self.executions:
            self.executions[key] = Executions()
        counted, flags = self.executions[key], record.integer("TEST_FLG")
        counted.executed += 1
        counted.failed += flags & 0xC0 == 0x80
        counted.valid += flags & 0x3F == 0
        counted.alarms += flags & 0x01

    def identity(self, record: Record) -> Identity:
        """Return what tells a part from others: PART_ID, or its place on the wafer where that supersedes."""
        known = self._dies.get(self._die(record))
        return known if known and (record.integer("PART_FLG") & 0x02) else (self.wafer, name_of(record))

    def _die(self, record: Record) -> tuple[str, int, int]:
        return self.wafer, record.integer("X_COORD"), record.integer("Y_COORD")

    def _part(self, record: Record) -> None:
        at, known = place(record), self.identity(record)
        self.open_parts.pop(at, None)
        if -32768 not in self._die(record):
            self._dies.setdefault(self._die(record), known)
        part = Part(at, record.integer("HARD_BIN"), record.integer("SOFT_BIN"), record.integer("PART_FLG"))
        self.retested[at] += bool(part.flags & 0x03)
        self.parts[known] = part
        if self.wafer:
            self.contacts[self.wafer].add(known, part)
        if not part.flags & NO_VERDICT:
            self.verdicts.setdefault((part.hard, part.good), record.offset)

    def _sites(self, record: Record) -> None:
        head, group = record.integer("HEAD_NUM"), record.integer("SITE_GRP")
        self.groups.add((head, group))
        self.sites |= {(head, site): group for site in record.integers("SITE_NUM")}

    def _bin(self, record: Record) -> None:
        letter = record.name[0]
        of_place = self.bins[record.name].setdefault(place(record), {})
        of_place[record.integer(f"{letter}BIN_NUM")] = record.integer(f"{letter}BIN_CNT")

    def _wafer(self, record: Record) -> None:
        key = (record.integer("HEAD_NUM"), record.integer("SITE_GRP"))
        if record.name == "WIR":
            self.wafers[key] = record.offset
            self.wafer = record.text("WAFER_ID")
            self.contacts.setdefault(self.wafer, WaferCount())
        else:
            self.wafers.pop(key, None)


ORDER = (
    ("FAR",),
    ("ATR",),
    ("MIR",),
    ("RDR",),
    ("SDR",),
    ("PMR",),
    ("PGR",),
    ("PLR",),
    ("WCR",),
    ("WIR", "PIR", "PTR", "MPR", "FTR", "BPS", "EPS", "PRR", "WRR"),
    ("TSR",),
    ("HBR",),
    ("SBR",),
    ("PCR",),
    ("MRR",),
)
RANKS = {name: rank for rank, names in enumerate(ORDER) for name in names}


def place(record: Record) -> Place:
    """Return head and site; totals stand at (255, 0) whatever site a tester writes."""
    head = record.integer("HEAD_NUM")
    return head, 0 if head == TOTAL else record.integer("SITE_NUM")


def name_of(record: Record) -> str:
    """Return PART_ID, or where there is none the place on the wafer."""
    if record.text("PART_ID").strip():
        return record.text("PART_ID")
    return f"x{record.integer('X_COORD')} y{record.integer('Y_COORD')}"


def _summed(executions: dict[tuple[int, int, int], Executions]) -> dict[int, Executions]:
    totals = dict[int, Executions]()
    for (test, _, _), counted in executions.items():
        total = totals.setdefault(test, Executions())
        total.executed += counted.executed
        total.failed += counted.failed
        total.valid += counted.valid
        total.alarms += counted.alarms
    return totals


def first_limits(record: Record) -> Limits:
    """Return the limits that a record carries itself."""
    return Limits(
        record.real("LO_LIMIT") if record.name != "FTR" and record.valid("LO_LIMIT") else None,
        record.real("HI_LIMIT") if record.name != "FTR" and record.valid("HI_LIMIT") else None,
    )
