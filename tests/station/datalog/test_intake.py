"""STDF into a store, and out again: the same file, and from there on the same store."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from station.datalog.intake import taken_in
from station.datalog.parquet import table
from station.datalog.rebuild import rebuild
from station.datalog.rows import DeviceRow
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import Record, encode_record, whole
from station.datalog.stdf.summary import MAX_PART
from station.datalog.store import Store
from station.errors import StorageError
from station.model import (
    BinKind,
    DeviceResult,
    Ending,
    LotInfo,
    Measurement,
    Note,
    Offset,
    Place,
    SecondPass,
    TouchdownResult,
    Verdict,
)
from station.set_up import AverageLimit, Averaging, Datalog, StaticLimit, Study
from tests.station.datalog.lots import (
    BEGAN,
    CONTACT,
    PLAIN,
    SECTIONED,
    SUPPLY,
    failed,
    good,
    idd,
    lot,
    passed,
    touchdown,
    touchdowns,
    unjudged,
)

INF = float("inf")


def odd(site: int, part: int, number: int) -> DeviceResult:
    """A device whose rows ended in one of the ways that are no plain value."""
    failing = Verdict.FAILED
    ways = (
        (idd(INF, failing, Ending.OVER_RANGE),),
        (idd(None, failing, Ending.DUT_ERROR), Measurement(500, "known_answer", "F", failing, text="no ATR")),
        (idd(None, failing, Ending.DUT_SILENT),),
        (idd(None, Verdict.NOT_JUDGED, Ending.TIMEOUT),),
        (idd(None, Verdict.NOT_JUDGED, Ending.ABORTED),),
        (Measurement(100, "continuity", "M", failing, values=(-0.5, float("nan"), -2.0)),),
    )
    verdict = ways[number][0].verdict
    return DeviceResult(
        site, part, 1, SUPPLY if verdict is failing else lot().bins[3], verdict, ways[number], BEGAN, 0.5
    )


def landings() -> tuple[TouchdownResult, ...]:
    strange = (touchdown(4 + n, odd(1, 5 + 2 * n, n), noted(good(2, 6 + 2 * n))) for n in range(6))
    return (*touchdowns(), *strange)


def noted(device: DeviceResult) -> DeviceResult:
    """The device, of which one row was tried twice before and one left out."""
    notes = (
        Note("attempt", 200, "0.25"),
        Note("attempt", 200, "no ATR"),
        Note("skipped", 500, "if_hot"),
        Note("marginal", 300, "0.02 of the span"),
        Note("alarm", 300, "at its limit: io.IO"),
    )
    return replace(device, notes=notes)


def on_wafers() -> tuple[TouchdownResult, ...]:
    def die(site: int, part: int, contact: int, wafer: str, x: int) -> DeviceResult:
        return DeviceResult(
            site, part, contact, CONTACT, Verdict.FAILED, passed()[:1], BEGAN, 0.25, place=Place(wafer, x, 3)
        )

    first = die(1, 1, 1, "W1", 0), die(2, 2, 1, "W1", 1)
    return (touchdown(1, *first), touchdown(2, die(1, 1, 2, "W1", 0)), touchdown(3, die(1, 3, 1, "W2", 0)))


def written(folder: Path, info: LotInfo, results: tuple[TouchdownResult, ...]) -> Path:
    folder.mkdir()
    file = StdfFile(folder, info)
    file.open()
    file.event_text("site 2 looked at")
    for result in results:
        file.touchdown(result)
    return file.close(BEGAN + 100)


def stored(path: Path, store: Path) -> tuple[LotInfo, list[DeviceRow]]:
    opened = Store(store)
    opened.open()
    run = taken_in(path, opened)
    rebuild(opened, run, store.parent)
    found = opened.info(run), list(opened.devices(run))
    assert [event.text for event in opened.events(run)] == ["site 2 looked at"]
    opened.close()
    return found


def without_sums(path: Path) -> list[Record]:
    """The records of a file; sums over float32 differ from those over float64 in their last digits."""
    left_out = {"TST_SUMS", "TST_SQRS"}
    return [
        Record(record.name, {name: value for name, value in record.values.items() if name not in left_out})
        for record in read(path)
    ]


def averaged() -> tuple[TouchdownResult, ...]:
    """Good devices around 5 mA, then one outside what they have given, and one that failed its test."""
    values = (0.0048828125, 0.005, 0.0051, 0.0052, 0.0049, 0.00505, 0.0047)
    first = (
        touchdown(n, replace(good(1, n), measurements=(idd(v, Verdict.PASSED),)))
        for n, v in enumerate(values, 1)
    )
    odd_one = replace(failed(1, 8), measurements=(idd(0.0085, Verdict.FAILED),), bin=CONTACT)
    bad = replace(failed(1, 9), measurements=(idd(0.0095, Verdict.FAILED),), bin=SUPPLY)
    return (*first, touchdown(8, odd_one), touchdown(9, bad))


def test_limits_that_a_lot_makes_itself_are_those_of_its_records(tmp_path: Path) -> None:
    fixed = AverageLimit(1, 300, 0.003, 0.0058, 17)
    live = Averaging((CONTACT.number, 31), sigmas=3.0, least=4, window=5)
    static = (StaticLimit(300, 0.003, 0.008), StaticLimit(310, None, 5e-7))
    ways = {
        "live": live,
        "fixed": replace(live, tests=(300, 310), fixed=(fixed,)),
        "static": replace(live, static=static),
    }
    for name, made in ways.items():
        (folder := tmp_path / name).mkdir()
        info = replace(lot(), averaging=made)
        first = written(folder / "first", info, averaged())
        (folder / "second").mkdir()
        found, _ = stored(first, folder / "second" / "results.db")
        assert found.averaging == made
        limits = [r.valid("LO_SPEC") for r in read(folder / "second" / first.name) if r.name == "PTR"]
        first_four = [name != "live"] * 4
        assert limits == [*first_four, *[True] * 4, False]


def with_codes() -> tuple[TouchdownResult, ...]:
    """Devices with codes of their own: one is a number, and one a number with zeros before it."""
    codes = "R1-1", "17", "0017"
    first = [replace(failed(site, site), code=code) for site, code in zip((1, 2), codes, strict=False)]
    again = replace(good(1, 1), code=codes[0], contact=2)
    return (touchdown(1, *first), touchdown(2, again), touchdown(3, replace(good(1, 3), code=codes[2])))


@pytest.mark.parametrize(
    ("results", "later", "form"),
    [
        (landings(), None, PLAIN),
        (landings(), None, SECTIONED),
        (landings(), None, replace(SECTIONED, profile="compat")),
        (on_wafers(), None, PLAIN),
        (with_codes(), SecondPass("L1", 2, (CONTACT.hard, 7)), PLAIN),
    ],
    ids=["final test", "sections", "every field", "wafers", "second pass"],
)
def test_store_to_file_to_store_is_the_identity(
    results: tuple[TouchdownResult, ...], later: SecondPass | None, form: Datalog, tmp_path: Path
) -> None:
    offsets = (Offset(300, 1, 0.001), Offset(300, 2, -2.5e-05))
    study = None if later else Study(3, "GRR-1", 300, "A. Patel")
    info = replace(lot(), offsets=offsets, second_pass=later, datalog=form, study=study)
    first = written(tmp_path / "first", info, results)
    (tmp_path / "second").mkdir()
    (tmp_path / "third").mkdir()
    once = stored(first, tmp_path / "second" / "results.db")
    second = tmp_path / "second" / first.name
    assert without_sums(second) == without_sums(first)
    again = stored(second, tmp_path / "third" / "results.db")
    assert again == once
    assert (once[0].second_pass, once[0].study) == (later, study)
    assert once[0].datalog == form
    assert (tmp_path / "third" / first.name).read_bytes() == second.read_bytes()


def test_a_bin_without_pass_or_fail_is_as_its_parts_are(tmp_path: Path) -> None:
    results = touchdown(1, good(1, 1), failed(2, 2)), touchdown(2, unjudged(1, 3))
    path = written(tmp_path / "lot", lot(), results)
    blank = [
        whole("SBR", **{**record.values, "SBIN_PF": " "}) if record.name == "SBR" else encode_record(record)
        for record in read(path)
    ]
    path.write_bytes(b"".join(blank))
    info, _ = stored(path, tmp_path / "results.db")
    kinds = {bin_.name: bin_.kind for bin_ in info.bins}
    assert kinds == {
        "good": BinKind.PASS,
        "contact": BinKind.OTHER,
        "supply": BinKind.FAIL,
        "error": BinKind.OTHER,
    }


def test_an_unsound_file_leaves_nothing_behind(tmp_path: Path) -> None:
    path = written(tmp_path / "lot", lot(), (touchdown(1, failed(1, 1)),))
    path.write_bytes(path.read_bytes()[:-20])
    store = Store(tmp_path / "results.db")
    store.open()
    with pytest.raises(StorageError, match="not a sound file"):
        taken_in(path, store)
    assert store.runs() == ()
    store.close()


def test_numbers_that_begin_anew_on_each_wafer_are_names(tmp_path: Path) -> None:
    dies = [replace(good(1, n), code=str(n), place=Place("W1", n, 3)) for n in (1, 2)]
    again = replace(good(1, 3), code="1", place=Place("W2", 1, 3))
    path = written(
        tmp_path / "lot", lot(), tuple(touchdown(n, die) for n, die in enumerate([*dies, again], 1))
    )
    _, rows = stored(path, tmp_path / "results.db")
    assert [(row.part_id, row.exec_no) for row in rows] == [(1, 1), (2, 1), (3, 1)]
    rebuilt = [r.text("PART_ID") for r in read(tmp_path / path.name) if r.name == "PRR"]
    assert rebuilt == ["1", "2", "1"]


@pytest.mark.parametrize("code", [str(MAX_PART + 1), "3000000001", "90071992547409931234567"])
def test_a_number_that_no_part_can_have_is_a_code(code: str, tmp_path: Path) -> None:
    landed = touchdown(1, replace(good(1, 1), code=code), replace(good(2, 2), code="17"))
    path = written(tmp_path / "lot", lot(), (landed,))
    store = Store(tmp_path / "results.db")
    store.open()
    run = taken_in(path, store)
    (result,) = store.touchdowns(run)
    assert [(device.part, device.code) for device in result.devices] == [(1, code), (2, "17")]
    assert set(table(store, run).column("part").to_pylist()) == {1, 2}
    store.close()


def test_the_greatest_number_of_a_part_is_a_number(tmp_path: Path) -> None:
    path = written(tmp_path / "lot", lot(), (touchdown(1, good(1, MAX_PART)),))
    _, (row,) = stored(path, tmp_path / "results.db")
    assert row.part_id == MAX_PART
    assert b"code" not in (row.extra or b"")


def test_an_import_that_ends_midway_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "lot", lot(), touchdowns())
    store = Store(tmp_path / "results.db")
    store.open()
    kept = store.begin(replace(lot(), lot="before"))
    store.commit(touchdowns()[0])
    told = store.pending()

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "finish", full)
        with pytest.raises(StorageError, match="disk is full"):
            taken_in(path, store)
    assert [state.run for state in store.runs()] == [kept]
    assert store.pending() == told
    assert len(list(store.devices(kept))) == len(touchdowns()[0].devices)
    run = taken_in(path, store)
    assert len(list(store.touchdowns(run))) == len(touchdowns())
    store.close()
