"""ATDF: a line that a person can read, and the way back."""

from io import BytesIO
from pathlib import Path

import pytest
from msgspec.structs import replace

from station.datalog.stdf.atdf import lines, records
from station.datalog.stdf.fields import Bits, Item
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import Reader, read
from station.datalog.stdf.records import LAYOUTS, Record, whole
from station.datalog.stdf.writer import Profile
from station.errors import StorageError
from tests.station.datalog.lots import BEGAN, SECTIONED, lot, touchdown
from tests.station.datalog.test_intake import landings, on_wafers, written
from tests.station.datalog.test_stdf_judge import dead
from tests.station.datalog.test_stdf_records import FAR

HEAD = "FAR:A|4|2|U\n"


def said(record: Record) -> dict[str, object]:
    """What a record says: fields that are valid and not the value for missing."""
    kinds = {field.name: field for field in LAYOUTS[record.name].fields}
    left_out = {"OPT_FLAG", *(field.count for field in kinds.values())}
    valid = {
        name: value for name, value in record.values.items() if record.valid(name) and name not in left_out
    }
    return {name: value for name, value in valid.items() if value not in (kinds[name].missing, (), b"")}


def there_and_back(path: Path) -> Path:
    text = list(lines(read(path)))
    back = path.with_name("back").joinpath(path.name)
    back.parent.mkdir()
    back.write_bytes(b"".join(records(line + "\n" for line in text)))
    return back


@pytest.mark.parametrize("results", [landings(), on_wafers(), (touchdown(1, dead(1, 5)),)])
def test_what_a_file_says_comes_back(results: object, tmp_path: Path) -> None:
    path = written(tmp_path / "lot", replace(lot(), datalog=SECTIONED), results)  # type: ignore[arg-type]
    back = there_and_back(path)
    assert [(r.name, said(r)) for r in read(back)] == [(r.name, said(r)) for r in read(path)]
    assert [str(finding) for finding in check(back).findings] == []
    assert list(lines(read(back))) == list(lines(read(path)))


@pytest.mark.parametrize("profile", ["compact", "compat"])
def test_both_profiles(profile: Profile, tmp_path: Path) -> None:
    file = StdfFile(tmp_path, lot(), profile=profile)
    file.open()
    for result in landings():
        file.touchdown(result)
    path = file.close(BEGAN + 100)
    assert check(there_and_back(path)).findings == ()


def test_a_person_can_read_it(tmp_path: Path) -> None:
    path = written(tmp_path / "lot", lot(), on_wafers())
    found = list(lines(read(path)))
    assert found[0] == "FAR:A|4|2|U"
    assert found[1].startswith("MIR:L1017|SE1|se1-final-test|CELL7|HARDBIN|14:13:20 21-Sep-2026|")
    assert "WIR:1|14:13:30 21-Sep-2026|1|W1" in found
    assert "PRR:1|1|1|1|F|2|10|0|3|C||250" in found
    assert "WRR:1|14:13:42 21-Sep-2026|2|W1|1|1|0|0" in found
    assert "PCR:||3|1|0|0" in found


def test_any_generic_record_comes_back_with_its_pads() -> None:
    data = bytes.fromhex("0c 00 32 0a 04 00 0a 02 41 42 01 ff 00 05 fe 01")
    (record,) = (one for one in Reader(BytesIO(FAR + data)) if one.name == "GDR")
    line = list(lines([Record("FAR", {}), record]))[1]
    assert line == "GDR:TAB|U255|S510"
    assert list(records([HEAD, line + "\n"]))[1] == data
    every = [
        "U255",
        "M65535",
        "B7",
        "I-1",
        "S-2",
        "L-3",
        "F0.1",
        "D0.1",
        "Tx y",
        "X0AFF",
        "Y01FF",
        "N9",
        "M1",
    ]
    there = list(records([HEAD, f"GDR:{'|'.join(every)}\n"]))[1]
    (record,) = (one for one in Reader(BytesIO(FAR + there)) if one.name == "GDR")
    assert list(lines([Record("FAR", {}), record]))[1] == f"GDR:{'|'.join(every)}"
    with pytest.raises(StorageError, match="12 bits"):
        list(lines([Record("FAR", {}), Record("GDR", {"GEN_DATA": (Item(12, Bits(12, b"ab")),)})]))


def test_a_separator_that_no_text_holds_is_taken() -> None:
    record = Record("DTR", {"TEXT_DAT": "a|b^c"}, 0, 50, 30)
    assert list(lines([Record("FAR", {}), record])) == ["FAR:A~4~2~U", "DTR:a|b^c"]
    everything = Record("DTR", {"TEXT_DAT": "|^~;\t`\\"}, 0, 50, 30)
    with pytest.raises(StorageError, match="no separator is left"):
        list(lines([everything]))


def test_a_line_may_go_on_in_the_next_one() -> None:
    assert list(records([HEAD, "DTR:one \n", "  two\n"]))[1] == whole("DTR", TEXT_DAT="one  two")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PIR:1|1\n", "line 1: ATDF begins with FAR:A"),
        ("FAR:A|4|2|S\n", "line 1: values are scaled"),
        ("FAR:A|4|2\n", "line 1: values are scaled"),
        (HEAD + "XYZ:1\n", "line 2: 'XYZ' is no record"),
        (HEAD + "PIR:1|1|1\n", "line 2: PIR has 3 fields, 2 at most"),
        (HEAD + "PIR:1|one\n", "line 2: invalid literal"),
        (HEAD + "PIR:1|300\n", "line 2: PIR.SITE_NUM"),
        (HEAD + "MRR:yesterday\n", "line 2: time data"),
        (HEAD + "PTR:1|1|1|x|P\n", "line 2: could not convert"),
        (HEAD + "PTR:1|1|1|1e99|P||t\n", "line 2: "),
        (HEAD + "PTR:1|1|1|1|P|Q|t\n", "line 2: "),
    ],
)
def test_what_is_no_atdf_is_one_message_with_its_line(text: str, says: str) -> None:
    with pytest.raises(StorageError, match=says):
        list(records(text.splitlines(keepends=True)))
