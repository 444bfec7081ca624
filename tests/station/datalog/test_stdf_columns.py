"""Columns of a file say what its records say."""

import math
from pathlib import Path

import pytest

from station.datalog.stdf.columns import columns, load
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.reader import read_bytes
from station.datalog.stdf.records import encode_record
from tests.station.datalog.lots import BEGAN, lot, touchdowns


def written(folder: Path) -> bytes:
    file = StdfFile(folder, lot())
    file.open()
    for touchdown in touchdowns():
        file.touchdown(touchdown)
    return file.close(BEGAN + 99).read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_columns_are_what_the_records_say(order: str, tmp_path: Path) -> None:
    data = written(tmp_path)
    if order == ">":
        data = b"\0\2\0\x0a\1\4" + b"".join(encode_record(record, ">") for record in read_bytes(data)[1:])
    records, found = read_bytes(data), columns(data)
    results = [record for record in records if record.name == "PTR"]
    assert found.fault == ""
    assert found.records == len(records)
    assert found.test.tolist() == [record.integer("TEST_NUM") for record in results]
    assert found.site.tolist() == [record.integer("SITE_NUM") for record in results]
    assert found.result.tolist() == [record.real("RESULT") for record in results]
    assert found.usable.tolist() == [record.integer("TEST_FLG") & 0x3F == 0 for record in results]
    assert [record.name for record in found.others] == [r.name for r in records if r.name != "PTR"]
    assert math.isclose(found.firsts[300].real("HI_LIMIT"), 9e-3, rel_tol=1e-6)


def test_a_result_belongs_to_the_part_that_is_open_at_its_site(tmp_path: Path) -> None:
    found = columns(written(tmp_path))
    ends = [record for record in found.others if record.name == "PRR"]
    parts = [ends[contact].text("PART_ID") for contact in found.contact]
    assert list(zip(found.test.tolist(), parts, strict=True)) == [
        (300, "1"), (310, "1"), (300, "2"),
        (300, "3"), (300, "2"), (310, "2"),
        (300, "3"), (300, "4"), (310, "4"),
    ]  # fmt: skip


def test_a_cut_file_gives_its_whole_records(tmp_path: Path) -> None:
    data = written(tmp_path)
    whole = columns(data)
    for cut in range(0, len(data), 7):
        found = columns(data[:cut])
        assert found.records <= whole.records
        assert found.result.tolist() == whole.result[: len(found.result)].tolist()
    assert "6 bytes" in columns(data[: whole.others[-1].offset + 6]).fault
    assert "no STDF file" in columns(b"PK\3\4 something else").fault


def test_an_empty_file_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.std"
    path.write_bytes(b"")
    found = load(path)
    assert found.records == 0
    assert found.fault
