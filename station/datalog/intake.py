"""A store out of an STDF file: what the file says of lot, tests, bins and contacts, and nothing else."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from station.datalog.bins import Bins
from station.datalog.form import FormWatch
from station.datalog.stdf import averages, durations
from station.datalog.stdf.lint import check
from station.datalog.stdf.notes import Told, note, with_alarms
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import TESTS, Identity
from station.datalog.stdf.summary import MAX_PART
from station.datalog.store import Store
from station.errors import StorageError
from station.model import (
    Bin,
    DeviceResult,
    Ending,
    Limit,
    LotInfo,
    Measurement,
    Note,
    Place,
    RecordKind,
    SecondPass,
    TestDefinition,
    TouchdownResult,
    Unit,
    Verdict,
)
from station.set_up import WaferGeometry

FINGERPRINT = "fingerprint "
MILLIMETRES = 3
KINDS: dict[str, RecordKind] = {"PTR": "P", "MPR": "M", "FTR": "F"}
UNITS: dict[str, Unit] = {unit: unit for unit in ("V", "A", "Ohm", "W", "s", "Hz", "degC", "bit", "%")}
ENDINGS = {
    0x02: Ending.DUT_ERROR,
    0x08: Ending.DUT_SILENT,
    0x0A: Ending.DUT_SILENT,
    0x20: Ending.ABORTED,
    0x22: Ending.ABORTED,
}
"""How a row ended, by the bits of TEST_FLG that are no verdict."""
UNJUDGED = ENDINGS | {0x02: Ending.NO_VALUE, 0x08: Ending.TIMEOUT, 0x0A: Ending.TIMEOUT}


def taken_in(path: Path, store: Store) -> int:
    """Enter the lot of an STDF file into a store and return its run; a file with an error is refused.

    Values are those of the file, float32, times whole seconds: from there on, store to file to store
    is the identity. Parts are numbered as PART_ID says, or in order where one is no such number.
    """
    errors = [finding for finding in check(path).findings if finding.error]
    if errors:
        raise StorageError(f"{path}: not a sound file: {errors[0]}")
    info = _info(path)
    run = store.begin(info)
    try:
        _entered(path, store, info)
    except BaseException:
        store.forget(run)
        raise
    return run


def _entered(path: Path, store: Store, info: LotInfo) -> None:
    bins = {bin_.number: bin_ for bin_ in info.bins}
    ends, contacts = _ends_of_wafers(path), _Contacts(info, bins, coded=_coded(path))
    finished, disposition = info.set_up, " "
    for record in read(path):
        if record.name == "MRR":
            finished, disposition = float(record.integer("FINISH_T")), record.text("DISP_COD")
        elif (landed := contacts.take(record)) is not None:
            store.commit(replace(landed, ended=ends.get(landed.seq, landed.ended)))
        elif _says_something(record) and not contacts.noted(record.text("TEXT_DAT")):
            store.event("told", record.text("TEXT_DAT"), contacts.now)
    store.finish(finished, disposition)


def _coded(path: Path) -> bool:
    """Tell whether devices have names that are no running numbers of the lot."""
    names = [name for _, name in _named(path)]
    return len(set(names)) < len(names) or not all(map(_number, names))


def _named(path: Path) -> set[Identity]:
    found, wafer = set[Identity](), ""
    for record in read(path):
        if record.name == "WIR":
            wafer = record.text("WAFER_ID")
        elif record.name == "PRR" and (name := record.text("PART_ID").strip()):
            found.add((wafer, name))
    return found


def _number(name: str) -> int:
    """Return the running number that a name is; 0 if it is none."""
    number = int(name) if name.isascii() and name.isdecimal() else 0
    return number if str(number) == name and number <= MAX_PART else 0


def _says_something(record: Record) -> bool:
    """Tell whether a record is a DTR that is not about the lot itself."""
    text = record.text("TEXT_DAT") if record.name == "DTR" else FINGERPRINT
    return not (Told().note(text) or text.startswith(FINGERPRINT))


def _ends_of_wafers(path: Path) -> dict[int, float]:
    """Return when the last touchdown of each wafer ended, by its number."""
    found, seq, inside = dict[int, float](), 0, 0
    for record in read(path):
        inside += (record.name == "PIR") - (record.name == "PRR")
        seq += record.name == "PRR" and not inside
        if record.name == "WRR":
            found[seq] = float(record.integer("FINISH_T"))
    return found


# -- the lot
def _info(path: Path) -> LotInfo:
    head = dict[str, Record]()
    tests, bins, pins = dict[int, Record](), Bins(), list[str]()
    fingerprint, first_site, told, form = "", 0, Told(), FormWatch()
    for record in read(path):
        head.setdefault(record.name, record)
        form.note(record)
        match record.name:
            case "PTR" | "MPR" | "FTR" | "TSR":
                tests.setdefault(record.integer("TEST_NUM"), record)
            case "PMR":
                first_site = first_site or record.integer("SITE_NUM")
                if record.integer("SITE_NUM") == first_site:
                    pins.append(record.text("CHAN_NAM"))
            case "DTR" if record.text("TEXT_DAT").startswith(FINGERPRINT):
                fingerprint = fingerprint or record.text("TEXT_DAT").removeprefix(FINGERPRINT)
            case "DTR":
                told.note(record.text("TEXT_DAT"))
            case _:
                bins.note(record)
    master = head["MIR"]
    sites = sorted({n for record in read(path) if record.name == "SDR" for n in record.integers("SITE_NUM")})
    second = _second_pass(head)
    made = averages.read(told.averages)
    return LotInfo(
        lot=f"{second.lot}.{second.name}" if second else master.text("LOT_ID"),
        product=master.text("PART_TYP"),
        sequence=master.text("JOB_NAM"),
        sequence_version=master.text("JOB_REV"),
        fingerprint=fingerprint,
        station=master.text("NODE_NAM"),
        sites=tuple(sites),
        quantity=bins.parts,
        tests=tuple(_test(tests[number], pins, averaged=made is not None) for number in sorted(tests)),
        bins=bins.all(),
        pins=tuple(pins),
        set_up=float(master.integer("SETUP_T")),
        sublot=master.text("SBLOT_ID"),
        flow=master.text("FLOW_ID"),
        mode=master.text("MODE_COD"),
        operator=master.text("OPER_NAM"),
        temperature=master.text("TST_TEMP"),
        station_number=master.integer("STAT_NUM"),
        plant=master.text("FACIL_ID"),
        floor=master.text("FLOOR_ID"),
        version=master.text("EXEC_VER"),
        handler=head["SDR"].text("HAND_TYP") if "SDR" in head else "",
        handler_id=head["SDR"].text("HAND_ID") if "SDR" in head else "",
        limit_set=master.text("SPEC_NAM"),
        wafers=_geometry(head["WCR"]) if "WCR" in head else None,
        offsets=tuple(told.offsets),
        averaging=made,
        second_pass=second,
        study=told.study,
        earlier=tuple(told.earlier),
        datalog=form.found(),
    )


def _second_pass(head: dict[str, Record]) -> SecondPass | None:
    """Return of which lot this is a later pass, by its RDR; the number is that of RTST_COD, else 1."""
    if "RDR" not in head:
        return None
    times = head["MIR"].text("RTST_COD")
    number = int(times) if times in set("123456789") else 1
    return SecondPass(head["MIR"].text("LOT_ID"), number, head["RDR"].integers("RTST_BIN"))


def _geometry(record: Record) -> WaferGeometry | None:
    notch, x, y = (record.text(name) for name in ("WF_FLAT", "POS_X", "POS_Y"))
    if (
        record.integer("WF_UNITS") != MILLIMETRES
        or notch not in {*"DLUR"}
        or x not in {*"LR"}
        or y not in {*"UD"}
    ):
        return None
    center = record.integer("CENTER_X"), record.integer("CENTER_Y")
    return WaferGeometry(
        record.real("WAFR_SIZ"),
        (record.real("DIE_WID"), record.real("DIE_HT")),
        "D" if notch == "D" else "L" if notch == "L" else "U" if notch == "U" else "R",
        "L" if x == "L" else "R",
        "U" if y == "U" else "D",
        None if -32768 in center else center,
    )


def _test(record: Record, pins: list[str], *, averaged: bool) -> TestDefinition:
    """Return a test by its first record; if that was judged by part averages, its spec has the limits."""
    number = record.integer("TEST_NUM")
    if record.name == "TSR":
        kind: RecordKind = "F" if record.text("TEST_TYP") == "F" else "P"
        open_ = Limit(None, None, "") if kind == "P" else None
        return TestDefinition(number, record.text("TEST_NAM"), kind, open_)
    kind = KINDS[record.name]
    if kind == "F":
        return TestDefinition(number, record.text("TEST_TXT"), kind, None)
    spec = averaged and (record.valid("LO_SPEC") or record.valid("HI_SPEC"))
    low, high = (
        _meant(record, name) for name in (("LO_SPEC", "HI_SPEC") if spec else ("LO_LIMIT", "HI_LIMIT"))
    )
    limit = Limit(low, high, UNITS.get(record.text("UNITS"), ""))
    indexes = () if kind == "P" else record.integers("RTN_INDX")
    named = tuple(pins[(index - 1) % len(pins)] if pins else str(index) for index in indexes)
    return TestDefinition(number, record.text("TEST_TXT"), kind, limit, named)


def _meant(record: Record, name: str) -> float | None:
    """Return a limit as somebody wrote it: the shortest number that is this float32."""
    return float(str(np.float32(record.real(name)))) if record.valid(name) else None


# -- the contacts
@dataclass
class _Open:
    """Parts that are in contact, and what was measured at each site."""

    sites: list[int] = field(default_factory=list)
    tests: dict[int, list[Record]] = field(default_factory=dict)
    notes: dict[int, list[Note]] = field(default_factory=dict)
    ends: list[Record] = field(default_factory=list)
    times: dict[int, dict[int, float]] = field(default_factory=dict)


class _Contacts:
    """Groups the records of a file into touchdowns."""

    def __init__(self, info: LotInfo, bins: dict[int, Bin], *, coded: bool) -> None:
        self._coded = coded
        self._bins = bins
        self._names = {test.number: test.name for test in info.tests}
        self._open, self._seq, self._wafer = _Open(), 0, ""
        self._contacts, self._numbers = Counter[int](), dict[Identity, int]()
        self.now = info.set_up

    def take(self, record: Record) -> TouchdownResult | None:
        """Take a record; return the touchdown that it ends, if it ends one."""
        match record.name:
            case "MIR":
                self.now = float(record.integer("START_T"))
            case "WIR":
                self.now, self._wafer = float(record.integer("START_T")), record.text("WAFER_ID")
            case "WRR":
                self.now = float(record.integer("FINISH_T"))
            case "PIR":
                self._open.sites.append(record.integer("SITE_NUM"))
            case name if name in TESTS:
                self._open.tests.setdefault(record.integer("SITE_NUM"), []).append(record)
            case "GDR" if (timed := durations.read(record)) is not None:
                self._open.times.setdefault(timed[0], {}).update(timed[1])
            case "PRR":
                self._open.ends.append(record)
                if len(self._open.ends) == len(self._open.sites):
                    return self._ended()
            case _:
                pass
        return None

    def noted(self, text: str) -> bool:
        """Take the text of a DTR if it is a note on a part that is in contact."""
        found = note(text)
        if found is None or found[0] not in self._open.sites:
            return False
        self._open.notes.setdefault(found[0], []).append(found[1])
        return True

    def _ended(self) -> TouchdownResult:
        ended, self._open = self._open, _Open()
        self._seq += 1
        ordered = sorted(ended.ends, key=lambda record: record.integer("SITE_NUM"))
        devices = (self._device(record, ended) for record in ordered)
        return TouchdownResult(self._seq, self.now, self.now, tuple(devices))

    def _device(self, record: Record, ended: _Open) -> DeviceResult:
        site = record.integer("SITE_NUM")
        part, flags = self._part(record), record.integer("PART_FLG")
        self._contacts[part] += 1
        place = record.integer("X_COORD"), record.integer("Y_COORD")
        return DeviceResult(
            site,
            part,
            self._contacts[part],
            self._bins[record.integer("SOFT_BIN")],
            Verdict.NOT_JUDGED if flags & 0x10 else Verdict.FAILED if flags & 0x08 else Verdict.PASSED,
            tuple(self._measurements(ended.tests.get(site, []))),
            self.now,
            record.integer("TEST_T") / 1000,
            cut_short=flags & 0x1C == 0x0C,
            place=None if -32768 in place else Place(self._wafer, *place),
            code=record.text("PART_ID").strip() if self._coded else "",
            times_s=_times(ended.times.get(site, {}), ended.tests.get(site, ())),
            notes=tuple(with_alarms(ended.notes.get(site, ()), ended.tests.get(site, ()))),
        )

    def _part(self, record: Record) -> int:
        name = record.text("PART_ID").strip()
        if not self._coded and (number := _number(name)):
            return number
        key = name or f"{record.integer('X_COORD')} {record.integer('Y_COORD')}"
        return self._numbers.setdefault((self._wafer, key), len(self._numbers) + 1)

    def _measurements(self, tests: Iterable[Record]) -> Iterator[Measurement]:
        for record in tests:
            flags, number = record.integer("TEST_FLG"), record.integer("TEST_NUM")
            verdict = (
                Verdict.NOT_JUDGED if flags & 0x40 else Verdict.FAILED if flags & 0x80 else Verdict.PASSED
            )
            ending = _ending(record, flags, verdict)
            yield Measurement(
                number,
                self._names[number],
                KINDS[record.name],
                verdict,
                ending,
                _value(record, ending) if record.name == "PTR" else None,
                tuple(_pin_values(record)) if record.name == "MPR" else (),
                record.text("RSLT_TXT"),
            )


def _times(times: dict[int, float], tests: Iterable[Record]) -> tuple[float, ...]:
    """Return the time of each record, if all are known."""
    numbers = [record.integer("TEST_NUM") for record in tests]
    return tuple(times[number] for number in numbers) if times.keys() >= set(numbers) else ()


def _ending(record: Record, flags: int, verdict: Verdict) -> Ending:
    how = flags & 0x2A
    if verdict is Verdict.NOT_JUDGED:
        return UNJUDGED.get(how, Ending.NO_VALUE)
    if how == 0x02 and record.integer("PARM_FLG") & 0x18:
        return Ending.OVER_RANGE
    return ENDINGS.get(how, Ending.VALUE)


def _value(record: Record, ending: Ending) -> float | None:
    if ending is Ending.OVER_RANGE:
        return math.inf if record.integer("PARM_FLG") & 0x08 else -math.inf
    return record.real("RESULT") if record.valid("RESULT") else None


def _pin_values(record: Record) -> Iterator[float]:
    states = record.integers("RTN_STAT")
    for state, value in zip(states, record.reals("RTN_RSLT"), strict=True):
        yield math.nan if state == 4 else value
