"""The rules of a sound STDF file: each a function of one record and what came before it, or of the end."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

from station.datalog.stdf.fields import Bits
from station.datalog.stdf.records import LAYOUTS, Record
from station.datalog.stdf.seen import RANKS, TESTS, TOTAL, Limits, Place, Seen, first_limits, place

RecordRule: TypeAlias = Callable[[Record, Seen], Iterator[str]]
EndRule: TypeAlias = Callable[[Seen], Iterator[str]]

BY_RECORD: dict[str, list[tuple[str, RecordRule]]] = {name: [] for name in LAYOUTS}
AT_END: list[tuple[str, EndRule]] = []
MISSING_COUNT = 0xFFFF_FFFF
LONGEST_NAME = 39
FLOATS = {name: [f.name for f in layout.fields if f.kind in {"R4", "R8"}] for name, layout in LAYOUTS.items()}
TEXTS = {name: [f.name for f in layout.fields if f.kind in {"Cn", "C1"}] for name, layout in LAYOUTS.items()}


def rule(name: str, *records: str) -> Callable[[RecordRule], RecordRule]:
    """Enter a rule for some records, or for all."""

    def enter(check: RecordRule) -> RecordRule:
        for record in records or LAYOUTS:
            BY_RECORD[record].append((name, check))
        return check

    return enter


def closing(name: str) -> Callable[[EndRule], EndRule]:
    """Enter a rule that is judged when the whole file was seen."""

    def enter(check: EndRule) -> EndRule:
        AT_END.append((name, check))
        return check

    return enter


@rule("E01")
def frame_of_file(record: Record, seen: Seen) -> Iterator[str]:
    """FAR first, one MIR, nothing behind the MRR."""
    if seen.ended:
        yield "it stands behind the MRR, which must be the last record"
    if record.name in {"MIR", "FAR"} and seen.counts[record.name]:
        yield f"there is one {record.name} already"
    if record.name == "FAR" and len(record.values) + len(record.rest) != 2:
        yield "a FAR has exactly 2 bytes"


@closing("E01")
def ends_of_file(seen: Seen) -> Iterator[str]:
    """One MIR, MRR last."""
    if not seen.counts["MIR"]:
        yield "there is no MIR"
    if not seen.ended:
        yield "the last record is no MRR: the lot was not ended"


@rule("E02")
def content(record: Record, seen: Seen) -> Iterator[str]:
    """The content is as long as REC_LEN says."""
    if record.fault:
        yield record.fault


@rule("E03")
def order(record: Record, seen: Seen) -> Iterator[str]:
    """Records stand in the order of the standard; DTR and GDR anywhere behind the SDRs."""
    rank = RANKS.get(record.name)
    if rank is None:
        if seen.rank < RANKS["SDR"]:
            yield "it stands before the SDR"
    elif rank < seen.rank:
        yield f"it stands too late, behind {seen.latest.name if seen.latest else 'others'}"
    if record.name == "WCR" and seen.counts["WCR"]:
        yield "there is one WCR already"


@rule("E04", "PIR", "PRR", "PTR", "MPR", "FTR", "BPS", "EPS")
def pairs(record: Record, seen: Seen) -> Iterator[str]:
    """PIR and PRR pair up at each site, and what is tested lies between them."""
    if record.name in {"BPS", "EPS"}:
        if not seen.open_parts:
            yield "no part is open"
        if record.name == "EPS" and seen.sections <= 0:
            yield "there is no BPS before it"
        return
    where = place(record)
    if record.name == "PIR":
        if where in seen.open_parts:
            yield f"head {where[0]} site {where[1]} has an open PIR at {seen.open_parts[where]}"
    elif where not in seen.open_parts:
        yield f"head {where[0]} site {where[1]} has no open PIR"


@closing("E04")
def left_open(seen: Seen) -> Iterator[str]:
    """Every PIR has its PRR, every BPS its EPS."""
    for (head, site), offset in seen.open_parts.items():
        yield f"the PIR of head {head} site {site} at {offset} has no PRR"
    if seen.sections > 0:
        yield f"{seen.sections} BPS without EPS"


@rule("E05", "PTR", "TSR", "FTR", "PRR")
def reserved_bits(record: Record, seen: Seen) -> Iterator[str]:
    """Bits that the standard fixes are as it says."""
    if record.name == "PRR":
        flags = record.integer("PART_FLG")
        if flags & 0xE0:
            yield f"PART_FLG {flags:#04x}: bits 5 to 7 must be 0"
        if flags & 0x03 == 0x03:
            yield f"PART_FLG {flags:#04x}: a part supersedes by PART_ID or by X/Y, not by both"
        return
    fixed = {"PTR": 0x02, "TSR": 0xC8, "FTR": 0xC0}[record.name]
    flags = record.integer("OPT_FLAG")
    if "OPT_FLAG" in record.values and flags & fixed != fixed:
        yield f"OPT_FLAG {flags:#04x}: the bits {fixed:#04x} must be 1"


@rule("E06", "PTR", "MPR")
def verdict(record: Record, seen: Seen) -> Iterator[str]:
    """The fail bit agrees with a valid result and its limits, compared as float32."""
    test, parm = record.integer("TEST_FLG"), record.integer("PARM_FLG")
    if test & 0x7F or parm & 0x27 or 4 in record.integers("RTN_STAT"):
        return
    limits = limits_of(record, seen)
    results = record.reals("RTN_RSLT") if record.name == "MPR" else (record.real("RESULT"),)
    low = any(below(result, limits, equal_passes=bool(parm & 0x40)) for result in results)
    high = any(above(result, limits, equal_passes=bool(parm & 0x80)) for result in results)
    if bool(test & 0x80) != (low or high) and results:
        said, is_ = ("failed", "inside") if test & 0x80 else ("passed", "outside")
        yield f"test {record.integer('TEST_NUM')} {said} with a result {is_} its limits"
    elif (parm & 0x08 and not high) or (parm & 0x10 and not low):
        yield f"PARM_FLG {parm:#04x} names a side on which test {record.integer('TEST_NUM')} did not fail"


def limits_of(record: Record, seen: Seen) -> Limits:
    """Return the limits by which a record was judged: its own, or the first record's."""
    default = seen.limits.get(record.integer("TEST_NUM"))
    if default is None:
        return first_limits(record)
    flags = record.integer("OPT_FLAG") if "OPT_FLAG" in record.values else 0x30
    own = first_limits(record)
    return Limits(default.low if flags & 0x10 else own.low, default.high if flags & 0x20 else own.high)


def below(result: float, limits: Limits, *, equal_passes: bool) -> bool:
    """Tell whether a result fails low."""
    low = limits.low
    return low is not None and (result < low or (result == low and not equal_passes))


def above(result: float, limits: Limits, *, equal_passes: bool) -> bool:
    """Tell whether a result fails high."""
    high = limits.high
    return high is not None and (result > high or (result == high and not equal_passes))


@rule("E06", "HBR")
def bin_verdict(record: Record, seen: Seen) -> Iterator[str]:
    """A passing bin holds no failed part, a failing one no passed part."""
    number, letter = record.integer("HBIN_NUM"), record.text("HBIN_PF")
    offset = seen.verdicts.get((number, letter == "F")) if letter in {"P", "F"} else None
    if offset is not None:
        yield f"hard bin {number} is {letter}, the PRR at {offset} says otherwise"


@rule("E07", "PTR", "MPR")
def defaults(record: Record, seen: Seen) -> Iterator[str]:
    """The first record of a test carries what later ones leave out, and what it carries is meant."""
    number = record.integer("TEST_NUM")
    if number not in seen.names and "OPT_FLAG" not in record.values:
        yield f"the first record of test {number} carries no limits"
    scaled = [record.valid(name) for name in ("RES_SCAL", "LLM_SCAL", "HLM_SCAL")]
    if any(scaled) and not {"UNITS", "C_RESFMT", "C_LLMFMT", "C_HLMFMT"} <= record.values.keys():
        yield f"test {number} has scales without unit and formats"
    own = first_limits(record)
    if own.low == own.high == 0.0 and record.integer("PARM_FLG") & 0xC0 != 0xC0:
        yield f"test {number} has the limits 0 and 0, which no result can meet"


@rule("E08", *TESTS)
def names(record: Record, seen: Seen) -> Iterator[str]:
    """A test has one name and one kind of record under its number."""
    number, text = record.integer("TEST_NUM"), record.text("TEST_TXT")
    if not text:
        yield f"test {number} has no TEST_TXT"
    known = seen.names.get(number)
    if known is not None and known != (record.name, text):
        yield f"test {number} is {record.name} {text!r} here and {known[0]} {known[1]!r} before"


@rule("E09", "PMR", "PGR", "MPR", "FTR")
def pins(record: Record, seen: Seen) -> Iterator[str]:
    """Pins are numbered from 1 without a gap, before anything refers to them."""
    if record.name == "PMR":
        if record.integer("PMR_INDX") != seen.pins + 1:
            yield f"PMR_INDX is {record.integer('PMR_INDX')}, the next one is {seen.pins + 1}"
        return
    if record.name == "PGR" and record.integer("GRP_INDX") < 32768:
        yield f"GRP_INDX {record.integer('GRP_INDX')} is below 32768"
    field = "PMR_INDX" if record.name == "PGR" else "RTN_INDX"
    unknown = [index for index in record.integers(field) if not 1 <= index <= seen.pins]
    if unknown:
        yield f"{field} names {unknown[0]}, there is no such PMR"


@rule("E10", "MPR", "FTR")
def states_and_bits(record: Record, seen: Seen) -> Iterator[str]:
    """States are codes of the standard, unused bits are 0."""
    for field, most in (("RTN_STAT", 10), ("PGM_STAT", 15)):
        if any(state > most for state in record.integers(field)):
            yield f"{field} holds a state above {most}"
    for field in ("FAIL_PIN", "SPIN_MAP"):
        bits = record.values.get(field)
        if isinstance(bits, Bits) and bits.count % 8 and bits.data[-1] >> bits.count % 8:
            yield f"{field} of {bits.count} bits has others set behind them"


@closing("E11")
def bin_counts(seen: Seen) -> Iterator[str]:
    """Bin counts are those of the parts by last result, at each site and in total, if the end is there."""
    if not seen.ended:
        return
    for name in ("HBR", "SBR"):
        counted: dict[Place, Counter[int]] = {where: Counter() for where in [*seen.sites, (TOTAL, 0)]}
        for part in seen.parts.values():
            counted.setdefault(part.place, Counter())[part.number(name)] += 1
            counted[TOTAL, 0][part.number(name)] += 1
        for where, bins in counted.items():
            yield from different_bins(name, where, bins, seen.bins[name].get(where, {}))


def different_bins(name: str, where: Place, counted: Counter[int], said: dict[int, int]) -> Iterator[str]:
    """Compare the bins of one place."""
    for number in sorted(counted.keys() | said.keys()):
        if number not in said:
            yield f"{at(where)} has no {name} for bin {number}"
        elif said[number] != counted[number]:
            yield f"{name} of {at(where)} says {said[number]} in bin {number}, the PRRs say {counted[number]}"


@closing("E11")
def part_counts(seen: Seen) -> Iterator[str]:
    """PCR counts are those of the parts by last result, if the end is there."""
    if not seen.ended:
        return
    parts, good = Counter[Place](), Counter[Place]()
    for part in seen.parts.values():
        for where in (part.place, (TOTAL, 0)):
            parts[where] += 1
            good[where] += part.good
    retested = seen.retested + Counter({(TOTAL, 0): seen.retested.total()})
    for where in {*seen.sites, (TOTAL, 0)} - seen.part_counts.keys():
        yield f"{at(where)} has no PCR"
    for where, record in seen.part_counts.items():
        expected = {"PART_CNT": parts[where], "GOOD_CNT": good[where], "RTST_CNT": retested[where]}
        for field, count in expected.items():
            if record.integer(field) not in {count, MISSING_COUNT}:
                yield f"{field} of {at(where)} is {record.integer(field)}, the PRRs say {count}"


@rule("E11", "WRR")
def wafer_counts(record: Record, seen: Seen) -> Iterator[str]:
    """WRR counts are those of the wafer's parts by last result."""
    wafer = record.text("WAFER_ID")
    if wafer not in seen.contacts:
        return
    for field, count in seen.contacts[wafer].fields().items():
        if record.integer(field) not in {count, MISSING_COUNT}:
            yield f"{field} of wafer {wafer} is {record.integer(field)}, the PRRs say {count}"


def at(where: Place) -> str:
    """Name a place."""
    return "the total" if where[0] == TOTAL else f"head {where[0]} site {where[1]}"


@rule("E12", "TSR")
def test_counts(record: Record, seen: Seen) -> Iterator[str]:
    """TSR counts are those of the records, its mean lies between its extremes."""
    number, where = record.integer("TEST_NUM"), place(record)
    counted, who = seen.executed(number, where), f"test {number}, {at(where)},"
    for field, count in {
        "EXEC_CNT": counted.executed,
        "FAIL_CNT": counted.failed,
        "ALRM_CNT": counted.alarms,
    }.items():
        if record.integer(field) not in {count, MISSING_COUNT}:
            yield f"{field} of {who} is {record.integer(field)}, the records say {count}"
    if counted.valid and all(record.valid(name) for name in ("TEST_MIN", "TEST_MAX", "TST_SUMS")):
        low, high = record.real("TEST_MIN"), record.real("TEST_MAX")
        mean, slack = record.real("TST_SUMS") / counted.valid, 1e-6 * max(abs(low), abs(high))
        if not low - slack <= mean <= high + slack:
            yield f"the mean {mean:g} of {who} is outside {low:g} to {high:g}"


@rule("E13", "PRR")
def part_identity(record: Record, seen: Seen) -> Iterator[str]:
    """A part has an id, and no other part of its wafer has it; at sort it has a place on the wafer."""
    if not record.text("PART_ID").strip():
        yield "PART_ID is blank"
    if not record.integer("PART_FLG") & 0x03 and seen.identity(record) in seen.parts:
        yield f"part {' '.join(seen.identity(record)).strip()} was there before, and nothing is superseded"
    if seen.counts["WIR"] and -32768 in {record.integer("X_COORD"), record.integer("Y_COORD")}:
        yield "a part of a wafer has no X/Y"


@rule("E14", "WIR", "WRR")
def wafers(record: Record, seen: Seen) -> Iterator[str]:
    """WIR and WRR pair up, and name their wafer."""
    key = (record.integer("HEAD_NUM"), record.integer("SITE_GRP"))
    if (key in seen.wafers) == (record.name == "WIR"):
        yield f"head {key[0]} group {key[1]} " + (
            "has an open WIR" if record.name == "WIR" else "has no open WIR"
        )
    if not record.text("WAFER_ID"):
        yield "WAFER_ID is empty"


@closing("E14")
def wafers_left(seen: Seen) -> Iterator[str]:
    """Every WIR has its WRR."""
    for (head, group), offset in seen.wafers.items():
        yield f"the WIR of head {head} group {group} at {offset} has no WRR"


@rule("E15", "SDR", "PIR")
def sites(record: Record, seen: Seen) -> Iterator[str]:
    """Every site is in an SDR, once."""
    if record.name == "PIR":
        if place(record) not in seen.sites:
            yield f"{at(place(record))} is in no SDR"
        return
    head, group = record.integer("HEAD_NUM"), record.integer("SITE_GRP")
    listed = record.integers("SITE_NUM")
    if (head, group) in seen.groups:
        yield f"head {head} has a site group {group} already"
    if len(set(listed)) != len(listed) or any((head, site) in seen.sites for site in listed):
        yield f"a site of group {group} is listed twice"


@rule("W01")
def characters(record: Record, seen: Seen) -> Iterator[str]:
    """Text is printable ASCII."""
    for field in TEXTS[record.name]:
        text = record.values.get(field)
        if isinstance(text, str) and not (text.isascii() and text.isprintable()):
            yield f"{field} {text!r} is not printable ASCII"


@rule("W02", *[name for name, fields in FLOATS.items() if fields])
def numbers(record: Record, seen: Seen) -> Iterator[str]:
    """No NaN, no infinity."""
    for field in FLOATS[record.name]:
        value = record.values.get(field, 0.0)
        values = value if isinstance(value, tuple) else (value,)
        if any(isinstance(one, float) and not math.isfinite(one) for one in values):
            yield f"{field} holds {value!r}"


@rule("W03", "PRR")
def soft_bin(record: Record, seen: Seen) -> Iterator[str]:
    """A part has a soft bin."""
    if record.integer("SOFT_BIN") == 65535:
        yield "SOFT_BIN is missing"


def file_name(name: str) -> Iterator[str]:
    """W04: a letter, then letters, digits and _, at most 39 before the extension."""
    stem = re.sub(r"\.std(\.part)?$", "", name)
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", stem):
        yield f"the name {name!r} is not a letter followed by letters, digits and _ before .std"
    elif len(stem) > LONGEST_NAME:
        yield f"the name has {len(stem)} characters before .std, some readers take {LONGEST_NAME}"


@rule("W05", "MIR", "MRR", "WIR", "WRR")
def times(record: Record, seen: Seen) -> Iterator[str]:
    """Set-up, start and finish follow each other."""
    if record.name == "MIR":
        earlier, later = record.integer("SETUP_T"), record.integer("START_T")
    else:
        earlier, later = seen.start, record.integer("START_T" if record.name == "WIR" else "FINISH_T")
    if later < earlier:
        yield f"its time {later} is before {earlier}"
