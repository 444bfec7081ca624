"""Data that is no good, as it reaches a command: a message or a written rule, no wrong count."""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from station.cli import hardbin
from station.datalog.maps import e142, sheet
from station.datalog.maps import stdf as from_stdf
from station.datalog.maps.extent import MOST_SIDE, astray
from station.datalog.maps.wafer import Die, MapBin, WaferMap
from station.datalog.stdf.fields import BIG
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.header import file_name
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import encode_record, whole
from station.datalog.store import Store
from station.disposition.course import disposed
from station.disposition.parts import parts_of
from station.disposition.rules import Neighbours, Rules
from station.errors import ConfigError, MapError
from station.model import DeviceResult, Ending, LotInfo, Measurement, Place, TouchdownResult, Verdict
from tests.station.datalog.lots import BEGAN, GOOD, IDD, idd, lot, touchdown, touchdowns

Change = Callable[[bytes], bytes]


def written_path(
    folder: Path, info: LotInfo | None = None, results: Iterable[TouchdownResult] | None = None
) -> Path:
    """Write a lot."""
    file = StdfFile(folder / "lot", info or lot())
    file.open()
    for result in touchdowns() if results is None else results:
        file.touchdown(result)
    return file.close(BEGAN + 100)


def last_prr(data: bytes) -> int:
    """Where the last PRR of a file begins."""
    return data.rindex(bytes((5, 20))) - 2


def longer(data: bytes) -> bytes:
    """A PRR whose REC_LEN says 9 bytes more than it has fields for, and has them."""
    at = last_prr(data)
    (length,) = struct.unpack_from("<H", data, at)
    end = at + 4 + length
    return data[:at] + struct.pack("<H", length + 9) + data[at + 2 : end] + bytes(9) + data[end:]


def claims_more(data: bytes) -> bytes:
    """A PRR whose REC_LEN reaches into the records behind it."""
    at = last_prr(data)
    return data[:at] + struct.pack("<H", 60_000) + data[at + 2 :]


BROKEN: dict[str, tuple[Change, str]] = {
    "cut in a record": (lambda data: data[:-3], "ends inside a record"),
    "no MRR": (lambda data: data[: data.rindex(bytes((1, 20))) - 2], "MRR"),
    "behind the MRR": (lambda data: data + whole("DTR", TEXT_DAT="late"), "MRR"),
    "over-long record": (longer, "PRR"),
    "length beyond the file": (claims_more, "ends inside a record"),
    "malformed": (lambda data: data[: last_prr(data)] + b"\x07\0\x09" + data[last_prr(data) :], "E02"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stdf_file_is_told_and_enters_no_store(name: str, tmp_path: Path) -> None:
    change, says = BROKEN[name]
    path = tmp_path / "b.std"
    path.write_bytes(change(written_path(tmp_path).read_bytes()))
    told = CliRunner().invoke(hardbin, ["stdf", "validate", str(path)])
    assert (told.exit_code, says in told.output) == (13, True), told.output
    store = tmp_path / "into.db"
    taken = CliRunner().invoke(hardbin, ["stdf", "import", str(path), "--store", str(store)])
    assert taken.exit_code != 0
    if store.exists():
        into = Store(store)
        into.open()
        assert into.runs() == ()
        into.close()


def test_a_big_endian_file_is_read_and_counted_alike(tmp_path: Path) -> None:
    path, other = written_path(tmp_path), tmp_path / "big.std"
    big = bytearray(b"".join(encode_record(record, BIG) for record in read(path)))
    big[4] = 1  # CPU_TYPE
    other.write_bytes(big)
    assert other.read_bytes()[:2] == b"\0\2"
    assert check(other).findings == ()
    both = [
        CliRunner().invoke(hardbin, ["stdf", "summary", str(one), "--json"]).output for one in (path, other)
    ]
    first, second = (msgspec.json.decode(text) for text in both)
    assert first == second


def test_a_map_longer_than_any_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.xml"
    e142.write(WaferMap("W", 1, 1, {(0, 0): Die(hard=1)}, (MapBin(1, "", True),)), path)
    monkeypatch.setattr(sheet, "LARGEST", path.stat().st_size - 1)
    with pytest.raises(MapError, match="a map is at most"):
        e142.read(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_map_in_another_encoding_says_the_same(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "map.xml"
    found = WaferMap("W\u00e4", 1, 1, {(0, 0): Die(hard=1, soft=1)}, (MapBin(1, "gut \u00b5", True),))
    e142.write(found, path)
    text = path.read_text("utf-8").replace("encoding='UTF-8'", f"encoding='{encoding.removesuffix('-sig')}'")
    path.write_bytes(text.encode(encoding))
    assert e142.read(path) == [found]


# -- a die where none is
def sort_file(folder: Path, *places: tuple[int, int]) -> Path:
    records = [
        whole("FAR", CPU_TYPE=2, STDF_VER=4),
        whole("WIR", HEAD_NUM=1, START_T=0, WAFER_ID="W07"),
        *(
            whole(
                "PRR",
                HEAD_NUM=1,
                SITE_NUM=1,
                PART_FLG=0,
                NUM_TEST=1,
                HARD_BIN=1,
                X_COORD=x,
                Y_COORD=y,
                PART_ID="1",
            )
            for x, y in places
        ),
    ]
    path = folder / "sort.std"
    path.write_bytes(b"".join(records))
    return path


def test_a_die_outside_the_map_is_named_and_no_grid_is_made(tmp_path: Path) -> None:
    row = [(x, 2) for x in range(9)]
    assert len(from_stdf.read(sort_file(tmp_path, *row))) == 1
    with pytest.raises(MapError, match=r"wafer W07: die 31000, 2 lies outside: most are near 4, 2"):
        from_stdf.read(sort_file(tmp_path, *row, (31_000, 2)))


def test_as_many_dies_across_as_a_wafer_has_are_not_outside() -> None:
    assert astray([(0, 0), (MOST_SIDE - 1, 0)]) == ""
    assert astray([(0, 0), (1, 0), (0, -MOST_SIDE)]).startswith(f"die 0, {-MOST_SIDE} lies outside")
    assert astray([]) == ""


def test_a_disposition_does_not_look_for_neighbours_of_a_die_outside(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.db")
    store.open()
    store.begin(lot((1,), (IDD,)))
    for part, x in enumerate((1, 2, 3, 32_000), start=1):
        measured = (Measurement(300, "idd_idle", "P", Verdict.PASSED, value=5e-3),)
        device = DeviceResult(1, part, 1, GOOD, Verdict.PASSED, measured, BEGAN, 0.1, place=Place("W1", x, 0))
        store.commit(touchdown(part, device))
    store.finish(BEGAN + 9)
    parts = parts_of(store, 1)
    store.close()
    with pytest.raises(ConfigError, match="wafer W1: die 32000, 0 lies outside"):
        disposed(parts, Rules("r", 1, neighbours=Neighbours(bin=40, hard=3)))


# -- text and numbers
def test_text_outside_ascii_is_kept_in_the_store_and_plain_in_the_file(tmp_path: Path) -> None:
    named = msgspec.structs.replace(lot(), product="ÄΩ5\u00b5\x07\u2603", operator="\u00e9" * 300)
    path = written_path(tmp_path, named)
    assert check(path).findings == ()
    (master,) = (record for record in read(path) if record.name == "MIR")
    assert (master.text("PART_TYP"), master.text("OPER_NAM")) == ("?Ohm5u?", "?" * 255)
    store = Store(tmp_path / "s.db")
    store.open()
    store.begin(named)
    store.close()
    again = Store(tmp_path / "s.db")
    assert again.info(1) == named
    again.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e39, -1e39])
def test_no_nan_and_no_infinity_reaches_the_file(value: float, tmp_path: Path) -> None:
    judged = value == value
    verdict, ending = (Verdict.FAILED, Ending.OVER_RANGE) if judged else (Verdict.NOT_JUDGED, Ending.NO_VALUE)
    bin_ = lot().bins[2 if judged else 3]
    device = DeviceResult(1, 1, 1, bin_, verdict, (idd(value, verdict, ending),), BEGAN, 0.1)
    path = written_path(tmp_path, results=[touchdown(1, device)])
    assert check(path).findings == ()
    (result,) = (r for r in read(path) if r.name == "PTR")
    assert (result.real("RESULT"), result.integer("TEST_FLG")) == (0.0, 0x82 if judged else 0x42)


# -- what others write
def test_records_of_v4_2007_are_named_kept_and_no_error(tmp_path: Path) -> None:
    data = written_path(tmp_path).read_bytes()
    scan = b"".join(
        struct.pack("<HBB", len(content), typ, sub) + content
        for (typ, sub), content in {(1, 90): b"\1\2\3", (1, 91): b"", (1, 93): b"\4" * 200}.items()
    )
    at = next(r.offset for r in read(tmp_path / "lot" / file_name(lot())) if r.name == "SDR")
    path = tmp_path / "scan.std"
    path.write_bytes(data[:6] + b"\x08\0\0\x1e\x07V4-2007" + data[6:at] + scan + data[at:])
    assert [str(found) for found in check(path).findings if found.error] == []
    records = list(read(path))
    assert [record.name for record in records if record.rest] == ["VUR", "PSR", "SSR"]
    assert b"".join(map(encode_record, records)) == path.read_bytes()
    assert CliRunner().invoke(hardbin, ["stdf", "summary", str(path), "--json"]).exit_code == 0
