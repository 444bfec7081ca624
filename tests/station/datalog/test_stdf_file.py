"""The file of a lot: what it says, that it is sound, and that it is the same every time."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from station.datalog.stdf.atdf_generic import items
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.header import file_name
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import Record
from station.datalog.stdf.seen import TESTS
from station.datalog.stdf.writer import Profile, plain
from station.errors import StorageError
from station.model import (
    Bin,
    DeviceResult,
    Ending,
    Limit,
    LotInfo,
    Measurement,
    Note,
    TestDefinition,
    TouchdownResult,
    Verdict,
)
from tests.station.datalog.lots import (
    BEGAN,
    GOOD,
    IDD,
    SECTIONED,
    failed,
    good,
    idd,
    lot,
    passed,
    touchdown,
    touchdowns,
    unjudged,
)


def written(
    folder: Path,
    results: Iterable[TouchdownResult] = (),
    info: LotInfo | None = None,
    profile: Profile = "compact",
) -> list[Record]:
    """Write a lot and read it back."""
    file = StdfFile(folder, info or lot(), profile=profile)
    file.open()
    for result in results:
        file.touchdown(result)
    return list(read(file.close(BEGAN + 100)))


def named(records: list[Record], name: str) -> list[Record]:
    return [record for record in records if record.name == name]


def total(records: list[Record], name: str) -> Record:
    return next(record for record in named(records, name) if record.integer("HEAD_NUM") == 255)


@pytest.mark.parametrize("profile", ["compact", "compat"])
def test_our_files_are_sound(tmp_path: Path, profile: Profile) -> None:
    written(tmp_path, touchdowns(), profile=profile)
    (path,) = tmp_path.iterdir()
    assert check(path).findings == ()


def test_an_empty_lot_is_sound(tmp_path: Path) -> None:
    records = written(tmp_path)
    assert total(records, "PCR").integer("PART_CNT") == 0


def test_same_lot_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        written(tmp_path / folder, touchdowns())
    (a,), (b,) = (tmp_path / "a").iterdir(), (tmp_path / "b").iterdir()
    assert a.read_bytes() == b.read_bytes()


def test_order_of_a_touchdown(tmp_path: Path) -> None:
    records = written(tmp_path, [touchdown(1, good(1, 1), failed(2, 2))])
    names = [record.name for record in records]
    first = names.index("PIR")
    assert names[first : first + 10] == ["PIR", "PIR", "MPR", "PTR", "PTR", "FTR", "MPR", "PTR", "PRR", "PRR"]


def test_tests_stand_in_the_order_of_their_definition(tmp_path: Path) -> None:
    shuffled = DeviceResult(1, 1, 1, GOOD, Verdict.PASSED, passed()[::-1], BEGAN, 0.1)
    records = written(tmp_path, [touchdown(1, shuffled)])
    numbers = [record.integer("TEST_NUM") for record in records if record.name in {"MPR", "PTR", "FTR"}]
    assert numbers == [100, 300, 310, 500]


def test_the_last_attempt_is_the_record(tmp_path: Path) -> None:
    measured = (*passed()[:1], idd(12e-3), *passed()[1:])
    records = written(
        tmp_path, [touchdown(1, DeviceResult(1, 1, 1, GOOD, Verdict.PASSED, measured, BEGAN, 0.1))]
    )
    first = named(records, "PTR")[0]
    assert (first.integer("TEST_FLG"), round(first.real("RESULT"), 6)) == (0, 5e-3)
    assert named(records, "PRR")[0].integer("NUM_TEST") == 4


def test_compact_leaves_out_what_the_first_record_said(tmp_path: Path) -> None:
    records = written(tmp_path, touchdowns())
    full = [
        "LO_LIMIT" in record.values for record in named(records, "PTR") if record.integer("TEST_NUM") == 300
    ]
    assert full == [True, True, False, False, False, False]
    assert all(record.text("TEST_TXT") for record in named(records, "PTR"))


def test_compat_says_everything_every_time(tmp_path: Path) -> None:
    records = written(tmp_path, touchdowns(), profile="compat")
    assert all("HI_SPEC" in record.values for record in named(records, "PTR"))
    assert all("SPIN_MAP" in record.values for record in named(records, "FTR"))


def test_counts_follow_the_last_contact(tmp_path: Path) -> None:
    records = written(tmp_path, touchdowns())
    pcr = total(records, "PCR")
    assert [pcr.integer(name) for name in ("PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT")] == [4, 2, 0, 3]
    bins = {r.integer("SBIN_NUM"): r.integer("SBIN_CNT") for r in named(records, "SBR")[-4:]}
    assert bins == {1: 3, 10: 0, 90: 0, 300: 1}
    counts = {
        r.integer("SITE_NUM"): (r.integer("PART_CNT"), r.integer("RTST_CNT"), r.integer("GOOD_CNT"))
        for r in named(records, "PCR")[:-1]
    }
    assert counts == {1: (2, 1, 1), 2: (2, 1, 2)}


def test_three_contacts_of_one_part_at_two_sites(tmp_path: Path) -> None:
    results = [touchdown(1, failed(1, 1)), touchdown(2, unjudged(2, 1, 2)), touchdown(3, good(2, 1, 3))]
    records = written(tmp_path, results)
    assert [record.integer("PART_FLG") for record in named(records, "PRR")] == [0x08, 0x15, 0x01]
    pcr = total(records, "PCR")
    assert [pcr.integer(name) for name in ("PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT")] == [1, 2, 0, 1]
    tsr = [r for r in named(records, "TSR") if r.integer("TEST_NUM") == 300 and r.integer("HEAD_NUM") == 255]
    assert [tsr[0].integer(name) for name in ("EXEC_CNT", "FAIL_CNT")] == [3, 1]


def test_statistics_count_valid_results_only(tmp_path: Path) -> None:
    devices = (failed(1, 1, value=4.0), failed(2, 2, value=8.0))
    records = written(tmp_path, [touchdown(1, *devices), touchdown(2, unjudged(1, 3))])
    tsr = next(
        r for r in named(records, "TSR") if r.integer("TEST_NUM") == 300 and r.integer("HEAD_NUM") == 255
    )
    assert tsr.integer("OPT_FLAG") == 0xCC
    numbers = [tsr.real(name) for name in ("TEST_MIN", "TEST_MAX", "TST_SUMS", "TST_SQRS")]
    assert numbers == [4.0, 8.0, 12.0, 80.0]
    functional = next(r for r in named(records, "TSR") if r.integer("TEST_NUM") == 500)
    assert functional.integer("OPT_FLAG") == 0xFF


def test_an_aborted_touchdown_still_closes_its_parts(tmp_path: Path) -> None:
    cut = DeviceResult(
        1,
        1,
        1,
        lot().bins[3],
        Verdict.NOT_JUDGED,
        (idd(None, Verdict.NOT_JUDGED, Ending.ABORTED),),
        BEGAN,
        0.1,
        True,
    )
    kept = DeviceResult(2, 2, 1, lot().bins[2], Verdict.FAILED, (idd(12e-3),), BEGAN, 0.1, True)
    never = DeviceResult(3, 3, 1, lot().bins[3], Verdict.NOT_JUDGED, (), BEGAN, 0.0, True)
    records = written(tmp_path, [touchdown(1, cut, kept, never)], lot(sites=(1, 2, 3)))
    prrs = named(records, "PRR")
    assert [record.integer("PART_FLG") for record in prrs] == [0x14, 0x0C, 0x14]
    assert [record.integer("TEST_T") for record in prrs] == [100, 100, 0]
    assert total(records, "PCR").integer("ABRT_CNT") == 2


def test_64_sites(tmp_path: Path) -> None:
    sites = tuple(range(1, 65))
    records = written(tmp_path, [touchdown(1, *[good(site, site) for site in sites])], lot(sites))
    assert len(named(records, "PMR")) == 64 * 3
    assert named(records, "MPR")[-1].integers("RTN_INDX") == (190, 191, 192)
    assert total(records, "PCR").integer("GOOD_CNT") == 64


def test_a_failing_multiple_and_functional_result(tmp_path: Path) -> None:
    values = (-0.5, float("nan"), float("inf"))
    measured = (
        Measurement(100, "continuity", "M", Verdict.FAILED, Ending.OVER_RANGE, values=values),
        Measurement(500, "known_answer", "F", Verdict.FAILED, text="byte 3: 0x12 \u2260 0x13"),
    )
    records = written(
        tmp_path, [touchdown(1, DeviceResult(1, 1, 1, lot().bins[1], Verdict.FAILED, measured, BEGAN, 1))]
    )
    mpr, ftr = named(records, "MPR")[0], named(records, "FTR")[0]
    assert mpr.integer("TEST_FLG") == 0x80
    assert mpr.integers("RTN_STAT") == (0, 4, 0)
    assert mpr.reals("RTN_RSLT")[1:] == (0.0, 3.4028234663852886e38)
    assert (ftr.integer("TEST_FLG"), ftr.text("RSLT_TXT")) == (0x80, "byte 3: 0x12 ? 0x13")


@pytest.mark.parametrize("profile", ["compact", "compat"])
def test_an_alarm_is_in_the_records_of_its_test_and_counted(tmp_path: Path, profile: Profile) -> None:
    said = "at its limit: io.A"
    device = replace(good(1, 2), notes=tuple(Note("alarm", test, said) for test in (100, 300, 500)))
    undone = replace(good(1, 3), notes=(Note("alarm", 300, said), Note("attempt", 300, "0.25")))
    results = [touchdown(n, one) for n, one in enumerate((good(1, 1), device, undone), 1)]
    records = written(tmp_path, results, profile=profile)
    for number, result in ((100, "RTN_RSLT"), (300, "RESULT"), (500, "TEST_TXT")):
        of_test = [one for one in records if one.name in TESTS and one.integer("TEST_NUM") == number]
        assert [one.integer("TEST_FLG") for one in of_test] == [0, 1, 0]
        assert [one.text("ALARM_ID") for one in of_test] == ["", said, ""]
        assert of_test[0].values[result] == of_test[1].values[result]
        at_site, total = (
            one
            for one in named(records, "TSR")
            if one.integer("TEST_NUM") == number and one.integer("SITE_NUM") != 2
        )
        assert at_site.integer("ALRM_CNT") == total.integer("ALRM_CNT") == 1
    limits = [one for one in named(records, "PTR") if one.integer("TEST_NUM") == 300]
    assert [one.valid("HI_LIMIT") for one in limits] == [True, profile == "compat", profile == "compat"]
    idd_total = next(
        one
        for one in named(records, "TSR")
        if one.integer("HEAD_NUM") == 255 and one.integer("TEST_NUM") == 300
    )
    assert idd_total.integer("EXEC_CNT") == 3
    assert idd_total.real("TST_SUMS") == pytest.approx(2 * 5e-3)


def test_times_of_tests_are_a_record_of_the_part_and_a_mean_of_the_lot(tmp_path: Path) -> None:
    devices = (replace(failed(1, 1), times_s=(0.5, 0.25)), replace(good(2, 2), times_s=(1.5, 0.5, 0.125, 2)))
    records = written(tmp_path, [touchdown(1, *devices), touchdown(2, failed(1, 3))])
    texts = [[str(item.value) for item in items(record)] for record in named(records, "GDR")]
    assert texts == [
        ["test times", "site 1", "100 0.5", "300 0.25"],
        ["test times", "site 2", "100 1.5", "300 0.5", "310 0.125", "500 2"],
    ]
    spent = {
        (one.integer("TEST_NUM"), one.integer("HEAD_NUM"), one.integer("SITE_NUM")): one
        for one in named(records, "TSR")
    }
    means = {(100, 1, 1): 0.5, (100, 1, 2): 1.5, (100, 255, 0): 1.0, (300, 255, 0): 0.375, (500, 255, 0): 2.0}
    assert {key: spent[key].real("TEST_TIM") for key in means} == means
    assert spent[310, 1, 2].valid("TEST_TIM")
    assert not spent[310, 1, 1].valid("TEST_TIM")


def sections_of(records: list[Record]) -> str:
    """The first part's marks and tests in one line: `300<310>` is 310 inside a section."""
    end = next(at for at, record in enumerate(records) if record.name == "PRR")
    marks = {"BPS": "<", "EPS": ">"}
    return "".join(
        marks.get(one.name) or f"{one.integer('TEST_NUM')}"
        for one in records[:end]
        if one.name in marks or "TEST_NUM" in one.values
    )


def test_sections_frame_what_was_measured_in_them(tmp_path: Path) -> None:
    noted = replace(good(1, 1), notes=(Note("marginal", 310, "0.02 of the span"),))
    ways = {
        "all": (noted, "100<300<310<500>>>"),
        "stopped inside": (failed(1, 1), "100<300>"),
        "never there": (replace(failed(1, 1), measurements=passed()[:1]), "100"),
        "not from the first on": (replace(good(1, 1), measurements=passed()[2:3]), "<<310>>"),
    }
    info = replace(lot(), datalog=SECTIONED)
    for name, (device, seen) in ways.items():
        records = written(tmp_path / name, (touchdown(1, device), touchdown(2, good(2, 2))), info)
        assert sections_of(records) == seen
        begins = [record.text("SEQ_NAME") for record in named(records, "BPS")]
        assert begins[-3:] == ["powered", "activated", "answering"]


def test_groups_name_the_channels_of_all_sites(tmp_path: Path) -> None:
    records = written(tmp_path, (), replace(lot(), datalog=SECTIONED))
    assert [
        (one.integer("GRP_INDX"), one.text("GRP_NAM"), one.integers("PMR_INDX"))
        for one in named(records, "PGR")
    ] == [(32768, "io", (1, 2, 4, 5)), (32769, "all", (1, 2, 3, 4, 5, 6))]
    (sdr,) = named(records, "SDR")
    assert [sdr.text(name) for name in ("CARD_ID", "LOAD_ID", "CONT_ID")] == ["PC-7", "LB-2", "C-31"]


def test_the_header(tmp_path: Path) -> None:
    records = written(tmp_path, touchdowns())
    mir = records[1]
    assert (mir.integer("SETUP_T"), mir.integer("START_T")) == (int(BEGAN), int(BEGAN) + 10)
    assert mir.text("USER_TXT") == "TZ=UTC;FP=" + "5a" * 16
    assert named(records, "SDR")[0].integers("SITE_NUM") == (1, 2)
    assert [record.integer("PMR_INDX") for record in named(records, "PMR")] == [1, 2, 3, 4, 5, 6]
    assert named(records, "DTR")[0].text("TEXT_DAT") == "fingerprint " + "5a" * 32
    assert records[-1].integer("FINISH_T") == int(BEGAN) + 100


def test_a_hard_bin_is_named_after_its_soft_bins(tmp_path: Path) -> None:
    info = lot()
    fields = {name: getattr(info, name) for name in info.__struct_fields__}
    records = written(tmp_path, (), LotInfo(**fields | {"bins": (*info.bins, Bin(11, "open", 2))}))
    names = {r.integer("HBIN_NUM"): r.text("HBIN_NAM") for r in named(records, "HBR")}
    assert names == {1: "good", 2: "contact/open", 3: "supply", 9: "error"}


def test_events_stand_between_touchdowns(tmp_path: Path) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    file.touchdown(touchdowns()[0])
    file.event_text("site 2 off: 30\u00b0, " + "x" * 300)
    records = list(read(file.close(BEGAN + 100)))
    text = named(records, "DTR")[1].text("TEXT_DAT")
    assert (text[:20], len(text)) == ("site 2 off: 30deg, x", 255)


def test_text_is_plain() -> None:
    assert plain("5 \u00b5A \u2265 3 \u03a9\n\x7f\x85!") == "5 uA ? 3 Ohm!"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"lot": "L1017"}, "L1017_FT1_CELL7_20260921141320_P.std"),
        ({"lot": "7/a-1", "sublot": "b"}, "L7_a_1_b_FT1_CELL7_20260921141320_P.std"),
    ],
)
def test_file_name(changes: dict[str, str], name: str) -> None:
    info = lot()
    changed = LotInfo(**{field: getattr(info, field) for field in info.__struct_fields__} | changes)
    assert file_name(changed) == name


def test_the_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    file.touchdown(touchdowns()[0])
    assert [path.name for path in tmp_path.iterdir()] == [file.path.name + ".part"]
    file.close(BEGAN + 100)
    assert list(tmp_path.iterdir()) == [file.path]


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(StorageError, match="exists"):
        StdfFile(tmp_path, lot()).open()
    other = StdfFile(tmp_path / "b", lot())
    other.open()
    with pytest.raises(StorageError, match="File exists"):
        StdfFile(tmp_path / "b", lot()).open()
    other.abandon()


def test_a_file_that_is_not_sound_keeps_its_part_name(tmp_path: Path) -> None:
    wrong = DeviceResult(1, 1, 1, GOOD, Verdict.PASSED, (idd(12e-3, Verdict.PASSED),), BEGAN, 0.1)
    file = StdfFile(tmp_path, lot())
    file.open()
    file.touchdown(touchdown(1, wrong))
    with pytest.raises(StorageError, match="E06 PTR at .*: test 300 passed with a result outside its limits"):
        file.close(BEGAN + 100)
    assert list(tmp_path.iterdir()) == [file.part]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (good(3, 1), "site 3 is not one of the lot's"),
        (
            DeviceResult(1, 1, 1, Bin(7, "?", 7), Verdict.FAILED, (), BEGAN, 0.1),
            "bin 7 is not one of the lot's",
        ),
        (
            DeviceResult(
                1, 1, 1, GOOD, Verdict.PASSED, (Measurement(9, "x", "F", Verdict.PASSED),), BEGAN, 0.1
            ),
            "test 9 is not one of the lot's",
        ),
        (good(1, 0), r"part number 0 is outside 1\.\."),
    ],
)
def test_what_the_lot_does_not_know_is_refused(tmp_path: Path, device: DeviceResult, message: str) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    with pytest.raises(StorageError, match=message):
        file.touchdown(touchdown(1, device))
    with pytest.raises(StorageError, match="not open, or could not be written before"):
        file.touchdown(touchdowns()[0])


def test_a_second_first_contact_is_refused(tmp_path: Path) -> None:
    file = StdfFile(tmp_path, lot())
    file.open()
    file.touchdown(touchdown(1, good(1, 1)))
    with pytest.raises(StorageError, match="part 1 at site 2: contacted before"):
        file.touchdown(touchdown(2, good(2, 1)))
    file.abandon()


def test_nothing_is_written_before_open_or_after_close(tmp_path: Path) -> None:
    file = StdfFile(tmp_path, lot())
    with pytest.raises(StorageError, match="not open"):
        file.event_text("too early")


def test_too_many_pins_for_one_record_are_refused_at_load(tmp_path: Path) -> None:
    pins = tuple(f"io{i}" for i in range(11_000))
    test = TestDefinition(100, "continuity", "M", Limit(0.0, 1.0, "V"), pins)
    with pytest.raises(StorageError, match="11000 pins do not fit"):
        StdfFile(tmp_path, lot(tests=(test, IDD)))


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, 9e-3, 9e-3 * (1 + 2**-50), 2e-3, 1e39, float("nan")])
def test_values_at_the_edges_stay_sound(tmp_path: Path, value: float) -> None:
    inside = 2e-3 <= value <= 9e-3
    verdict = Verdict.PASSED if inside else Verdict.NOT_JUDGED if value != value else Verdict.FAILED
    ending = Ending.NO_VALUE if value != value else Ending.VALUE
    bin_ = {Verdict.PASSED: 0, Verdict.FAILED: 2, Verdict.NOT_JUDGED: 3}[verdict]
    device = DeviceResult(1, 1, 1, lot().bins[bin_], verdict, (idd(value, verdict, ending),), BEGAN, 0.1)
    written(tmp_path, [touchdown(1, device)])
    (path,) = tmp_path.iterdir()
    assert check(path).findings == ()


def test_what_no_record_can_hold_is_refused_with_its_field(tmp_path: Path) -> None:
    info = lot()
    fields = {name: getattr(info, name) for name in info.__struct_fields__}
    with pytest.raises(StorageError, match="MIR.STAT_NUM: 256 does not fit U1"):
        StdfFile(tmp_path, LotInfo(**fields | {"station_number": 256})).open()
    assert list(tmp_path.iterdir()) == []
    file = StdfFile(tmp_path, info)
    file.open()
    slow = DeviceResult(1, 1, 1, GOOD, Verdict.PASSED, passed(), BEGAN, 5e6)
    with pytest.raises(StorageError, match="PRR.TEST_T: 5000000000 does not fit U4"):
        file.touchdown(touchdown(1, slow))
