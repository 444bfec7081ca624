"""Each rule against a file that breaks only it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from station.datalog.stdf.fields import Bits, Value
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.lint import check, lint
from station.datalog.stdf.reader import read_bytes
from station.datalog.stdf.records import Record, encode_record, framed, whole
from station.datalog.stdf.seen import TESTS
from station.datalog.stdf.usual import Usual
from tests.station.datalog.lots import BEGAN, lot, touchdowns

T0 = 1_790_000_000
HEAD: dict[str, Value] = {"HEAD_NUM": 1, "SITE_NUM": 1}
DEFAULTS: dict[str, Value] = {
    "OPT_FLAG": 0x0E,
    "LO_LIMIT": 2.0,
    "HI_LIMIT": 9.0,
    "UNITS": "A",
    "C_RESFMT": "%9.3f",
    "C_LLMFMT": "%9.3f",
    "C_HLMFMT": "%9.3f",
}
FTR: dict[str, Value] = {"TEST_NUM": 500, "TEST_FLG": 0, "OPT_FLAG": 0xFF, "TEST_TXT": "scan"}


def ptr(site: int, result: float, *, failed: bool = False) -> bytes:
    flags = (0x80, 0xC8) if failed else (0x00, 0xC0)
    given: dict[str, Value] = {"SITE_NUM": site, "TEST_FLG": flags[0], "PARM_FLG": flags[1], "RESULT": result}
    return whole("PTR", TEST_NUM=300, HEAD_NUM=1, TEST_TXT="idd", **given, **DEFAULTS)


def mpr() -> bytes:
    given: dict[str, Value] = {"RTN_STAT": (0, 0), "RTN_RSLT": (3.0, 4.0), "RTN_INDX": (1, 2)}
    return whole("MPR", TEST_NUM=100, TEST_FLG=0, PARM_FLG=0xC0, TEST_TXT="cont", **HEAD, **DEFAULTS, **given)


def prr(site: int, part: str, hard: int, *, failed: bool) -> bytes:
    given: dict[str, Value] = {"PART_FLG": 8 if failed else 0, "HARD_BIN": hard, "SOFT_BIN": hard * 100}
    return whole("PRR", HEAD_NUM=1, SITE_NUM=site, NUM_TEST=1, X_COORD=site, Y_COORD=3, PART_ID=part, **given)


def tsr(number: int, site: int, counts: tuple[int, int], sums: tuple[float, float, float] | None) -> bytes:
    given: dict[str, Value] = {
        "OPT_FLAG": 0xFF,
        "EXEC_CNT": counts[0],
        "FAIL_CNT": counts[1],
        "TEST_NUM": number,
    }
    if sums:
        given |= {"OPT_FLAG": 0xEC, "TEST_MIN": sums[0], "TEST_MAX": sums[1], "TST_SUMS": sums[2]}
    return whole("TSR", HEAD_NUM=1 if site else 255, SITE_NUM=site, **given)


def bins() -> list[bytes]:
    found = list[bytes]()
    for letter in "HS":
        for head, site, good, bad in ((1, 1, 1, 0), (1, 2, 0, 1), (255, 0, 1, 1)):
            for number, count, verdict in ((1, good, "P"), (3, bad, "F")):
                of_letter: dict[str, Value] = {
                    f"{letter}BIN_NUM": number if letter == "H" else number * 100,
                    f"{letter}BIN_CNT": count,
                    f"{letter}BIN_PF": verdict,
                }
                found.append(whole(f"{letter}BR", HEAD_NUM=head, SITE_NUM=site, **of_letter))
    return found


def sound() -> list[Record]:
    """A file of two parts on a wafer with something of everything, and nothing wrong."""
    pcrs = [
        whole("PCR", HEAD_NUM=head, SITE_NUM=site, PART_CNT=parts, RTST_CNT=0, GOOD_CNT=good)
        for head, site, parts, good in ((1, 1, 1, 1), (1, 2, 1, 0), (255, 0, 2, 1))
    ]
    records = [
        whole("FAR", CPU_TYPE=2, STDF_VER=4),
        whole(
            "MIR",
            SETUP_T=T0,
            START_T=T0,
            STAT_NUM=1,
            LOT_ID="L",
            PART_TYP="P",
            NODE_NAM="N",
            TSTR_TYP="T",
            JOB_NAM="J",
        ),
        whole("SDR", HEAD_NUM=1, SITE_GRP=1, SITE_NUM=(1, 2)),
        *[whole("PMR", PMR_INDX=index, CHAN_NAM=f"io{index}") for index in (1, 2)],
        whole("PGR", GRP_INDX=32768, PMR_INDX=(1, 2)),
        whole("WCR"),
        whole("WIR", HEAD_NUM=1, SITE_GRP=1, START_T=T0, WAFER_ID="W1"),
        whole("PIR", HEAD_NUM=1, SITE_NUM=1),
        whole("PIR", HEAD_NUM=1, SITE_NUM=2),
        whole("BPS", SEQ_NAME="powered"),
        mpr(),
        ptr(1, 5.0),
        ptr(2, 12.0, failed=True),
        whole("FTR", **HEAD, **FTR),
        whole("EPS"),
        prr(1, "1", 1, failed=False),
        prr(2, "2", 3, failed=True),
        whole("WRR", HEAD_NUM=1, SITE_GRP=1, FINISH_T=T0 + 9, PART_CNT=2, WAFER_ID="W1"),
        tsr(100, 1, (1, 0), None),
        tsr(300, 1, (1, 0), (5.0, 5.0, 5.0)),
        tsr(300, 2, (1, 1), (12.0, 12.0, 12.0)),
        tsr(300, 0, (2, 1), (5.0, 12.0, 17.0)),
        *bins(),
        *pcrs,
        whole("MRR", FINISH_T=T0 + 10),
    ]
    return read_bytes(b"".join(records))


Change = Callable[[list[Record]], list[Record]]


def at(records: list[Record], name: str, nth: int = 0) -> int:
    return [i for i, record in enumerate(records) if record.name == name][nth]


def put(name: str, nth: int = 0, **values: Value) -> Change:
    """Change fields of a record."""

    def change(records: list[Record]) -> list[Record]:
        place = at(records, name, nth)
        old = records[place]
        new = Record(name, {**old.values, **values}, typ=old.typ, sub=old.sub)
        return [*records[:place], new, *records[place + 1 :]]

    return change


def drop(name: str, nth: int = 0) -> Change:
    def change(records: list[Record]) -> list[Record]:
        place = at(records, name, nth)
        return records[:place] + records[place + 1 :]

    return change


def copy(name: str, before: str, *, nth: int = 0) -> Change:
    """Put a copy of a record before another one."""

    def change(records: list[Record]) -> list[Record]:
        place = at(records, before)
        return [*records[:place], records[at(records, name, nth)], *records[place:]]

    return change


def behind_all(name: str) -> Change:
    return lambda records: [*records, records[at(records, name)]]


def cut(name: str, keep: int) -> Change:
    """Leave only the first fields of a record."""

    def change(records: list[Record]) -> list[Record]:
        place = at(records, name)
        old = records[place]
        new = Record(name, dict(list(old.values.items())[:keep]), typ=old.typ, sub=old.sub)
        return [*records[:place], new, *records[place + 1 :]]

    return change


def extra(name: str, rest: bytes) -> Change:
    def change(records: list[Record]) -> list[Record]:
        place = at(records, name)
        old = records[place]
        new = Record(name, old.values, typ=old.typ, sub=old.sub, rest=rest)
        return [*records[:place], new, *records[place + 1 :]]

    return change


CASES: list[tuple[str, str, Change]] = [
    ("E01", "there is no MIR", drop("MIR")),
    ("E01", "the last record is no MRR", drop("MRR")),
    ("E01", "behind the MRR", behind_all("MRR")),
    ("E01", "there is one MIR already", copy("MIR", "SDR")),
    ("E02", "1 bytes more than its fields", extra("PIR", b"x")),
    (
        "E02",
        "no record of type 180",
        lambda records: [records[0], Record("?", {}, typ=180, sub=1), *records[1:]],
    ),
    ("E03", "stands too late", copy("WCR", "MRR")),
    ("E03", "there is one WCR already", copy("WCR", "WIR")),
    (
        "E03",
        "it stands before the SDR",
        lambda records: [
            *records[:2],
            *read_bytes(encode_record(records[0]) + whole("DTR", TEXT_DAT="x"))[1:],
            *records[2:],
        ],
    ),
    ("E04", "has no open PIR", copy("FTR", "PIR")),
    ("E04", "there is no BPS before", drop("BPS")),
    ("E04", "1 BPS without EPS", drop("EPS")),
    ("E04", "has an open PIR", copy("PIR", "BPS")),
    ("E05", "OPT_FLAG 0x0c", put("PTR", OPT_FLAG=0x0C)),
    ("E05", "OPT_FLAG 0x3f", put("FTR", OPT_FLAG=0x3F)),
    ("E05", "OPT_FLAG 0x24", put("TSR", 1, OPT_FLAG=0x24)),
    ("E05", "bits 5 to 7", put("PRR", PART_FLG=0x20)),
    ("E06", "failed with a result inside", put("PTR", 1, RESULT=7.0)),
    ("E06", "passed with a result outside", put("MPR", RTN_RSLT=(3.0, 40.0))),
    ("E06", "names a side", put("PTR", PARM_FLG=0xC8)),
    ("E06", "hard bin 3 is P", put("HBR", 1, HBIN_PF="P")),
    ("E07", "carries no limits", cut("PTR", 7)),
    ("E07", "without unit and formats", cut("PTR", 15)),
    ("E07", "limits 0 and 0", put("PTR", TEST_FLG=0x40, PARM_FLG=0, LO_LIMIT=0.0, HI_LIMIT=0.0)),
    ("E08", "has no TEST_TXT", put("MPR", TEST_TXT="")),
    ("E08", "PTR 'other' here and PTR 'idd' before", put("PTR", 1, TEST_TXT="other")),
    ("E09", "PMR_INDX is 7, the next one is 2", put("PMR", 1, PMR_INDX=7)),
    ("E09", "RTN_INDX names 3", put("MPR", RTN_INDX=(1, 3))),
    ("E09", "GRP_INDX 3 is below", put("PGR", GRP_INDX=3)),
    ("E10", "RTN_STAT holds a state above 10", put("MPR", RTN_STAT=(0, 11))),
    ("E10", "others set behind", put("FTR", FAIL_PIN=Bits(9, b"\x00\x03"))),
    ("E11", "HBR of head 1 site 1 says 7 in bin 1, the PRRs say 1", put("HBR", HBIN_CNT=7)),
    ("E11", "has no SBR for bin 300", drop("SBR", 3)),
    ("E11", "GOOD_CNT of the total is 2", put("PCR", 2, GOOD_CNT=2)),
    ("E11", "has no PCR", drop("PCR", 1)),
    ("E12", "EXEC_CNT of test 300, head 1 site 2, is 5", put("TSR", 2, EXEC_CNT=5)),
    ("E12", "FAIL_CNT of test 300, the total, is 0", put("TSR", 3, FAIL_CNT=0)),
    ("E12", "the mean 20 of test 300", put("TSR", 3, TST_SUMS=40.0)),
    ("E13", "PART_ID is blank", put("PRR", PART_ID=" ")),
    ("E13", "a part of a wafer has no X/Y", put("PRR", X_COORD=-32768)),
    ("E14", "has no open WIR", drop("WIR")),
    ("E14", "has no WRR", drop("WRR")),
    ("E14", "WAFER_ID is empty", put("WRR", WAFER_ID="")),
    ("E15", "head 1 site 2 is in no SDR", put("SDR", SITE_CNT=1, SITE_NUM=(1,))),
    ("E15", "listed twice", put("SDR", SITE_CNT=3, SITE_NUM=(1, 2, 2))),
    ("W01", "is not printable ASCII", put("MIR", LOT_ID="L\x80")),
    ("W02", "TST_SQRS holds inf", put("TSR", 3, TST_SQRS=float("inf"))),
    ("W05", "is before", put("MRR", FINISH_T=T0 - 1)),
]


def findings(records: list[Record]) -> list[str]:
    data = b"".join(framed(r.typ, r.sub, b"") if r.name == "?" else encode_record(r) for r in records)
    return [str(finding) for finding in lint(io.BytesIO(data))]


def test_the_sound_file_is_sound() -> None:
    assert findings(sound()) == []


@pytest.mark.parametrize(("rule", "message", "change"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_a_file_that_breaks_one_rule(rule: str, message: str, change: Change) -> None:
    found = findings(change(sound()))
    assert {finding[:3] for finding in found} == {rule}, found
    assert any(message in finding for finding in found), found


def test_every_rule_has_a_file_that_breaks_it() -> None:
    listed = {rule for rule, _, _ in CASES} | {"W03", "W04"}
    assert listed == {f"E{number:02}" for number in range(1, 16)} | {
        f"W{number:02}" for number in range(1, 6)
    }


def test_a_missing_soft_bin_is_a_warning() -> None:
    records = sound()
    for change in (put("PRR", SOFT_BIN=65535), put("SBR", SBIN_NUM=65535), put("SBR", 4, SBIN_NUM=65535)):
        records = change(records)
    assert [finding[:3] for finding in findings(records)] == ["W03"]


def test_a_part_twice_needs_to_supersede() -> None:
    found = findings(put("PRR", 1, PART_ID="1")(sound()))
    assert any(
        finding.startswith("E13 PRR at ") and "part W1 1 was there before" in finding for finding in found
    )


@pytest.mark.parametrize("name", ["7lot.std", "lot-1.std", "L" * 40 + ".std"])
def test_a_name_that_others_may_not_take(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"".join(map(encode_record, sound())))
    report = check(path)
    assert [finding.rule for finding in report.findings] == ["W04"]
    assert report.records == len(sound())


def test_a_finding_names_record_and_offset() -> None:
    records = sound()
    offset = records[at(records, "MPR")].offset
    assert findings(put("MPR", TEST_TXT="")(records)) == [f"E08 MPR at {offset}: test 100 has no TEST_TXT"]


def test_the_short_way_finds_what_the_long_way_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    for result in touchdowns():
        file.touchdown(result)
    data = file.close(BEGAN + 100).read_bytes()
    records = read_bytes(data)
    offsets = {r.name: (r.offset + 4, r.offset + 32) for r in records if r.name in TESTS}
    places = [i for begin, end in offsets.values() for i in range(begin, end)]
    changed = [data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :] for i in places for bit in (1, 128)]
    short = [[str(finding) for finding in lint(io.BytesIO(one))] for one in [data, *changed]]
    monkeypatch.setattr(Usual, "holds", lambda self, sub, content: False)
    assert short == [[str(finding) for finding in lint(io.BytesIO(one))] for one in [data, *changed]]
    assert sum(map(bool, short)) > 90


def test_a_rule_broken_over_and_over_is_counted() -> None:
    records = sound()
    many = [*records[:3], *[records[at(records, "PMR")]] * 200, *records[3:]]
    found = findings(many)
    assert len(found) == 101
    assert found[-1] == "E09 file: 100 more of this kind"
