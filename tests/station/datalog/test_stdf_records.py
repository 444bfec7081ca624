"""Records against golden bytes, and there and back."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.datalog.stdf.fields import Bits, Item, Value
from station.datalog.stdf.reader import read_bytes
from station.datalog.stdf.records import LAYOUTS, Layout, Record, encode, encode_record, whole

GOLDEN = tomllib.loads((Path(__file__).parents[2] / "golden" / "stdf_records.toml").read_text())["record"]
FAR = bytes.fromhex("02 00 00 0a 02 04")


def value_of(raw: object) -> Value:
    """A value of the golden file: a Bn is `{hex}`, a Dn is `{bits, hex}`, a Vn is `{code, value}`."""
    match raw:
        case list():
            return tuple(one for one in map(value_of, raw) if not isinstance(one, tuple))
        case {"bits": int(count), "hex": str(data)}:
            return Bits(count, bytes.fromhex(data))
        case {"code": int(code), "value": int() | str() | float() as inner}:
            return Item(code, inner)
        case {"hex": str(data)}:
            return bytes.fromhex(data)
        case int() | float() | str():
            return raw
    raise ValueError(raw)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["name"])
def test_golden_bytes(golden: dict[str, object]) -> None:
    values = {name: value_of(raw) for name, raw in golden.items() if name.isupper()}
    data = bytes.fromhex(str(golden["hex"]))
    name = str(golden["name"]).split()[0]
    assert encode(name, values).hex(" ") == data.hex(" ")
    record = read_bytes(data if name == "FAR" else FAR + data)[-1]
    assert (record.name, record.fault) == (name, "")
    assert encode_record(record) == data


def test_every_record_has_golden_bytes() -> None:
    assert {str(golden["name"]).split()[0] for golden in GOLDEN} == set(LAYOUTS)


def test_the_table() -> None:
    assert len(LAYOUTS) == 25
    assert len(LAYOUTS["MIR"].fields) == 38
    assert LAYOUTS["PTR"].fields[6].name == "TEST_TXT"


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_a_record_cut_anywhere_says_so_and_keeps_what_was_whole(layout: Layout) -> None:
    golden = next(g for g in GOLDEN if str(g["name"]).split()[0] == layout.name)
    data = bytes.fromhex(str(golden["hex"]))[4:]
    complete = read_bytes(FAR + _framed(layout, data))[-1].values
    for end in range(len(data) if layout.name != "FAR" else 0):
        cut = read_bytes(FAR + _framed(layout, data[:end]))[-1]
        assert all(complete.get(name) == value for name, value in cut.values.items())
        assert encode_record(cut) == _framed(layout, data[:end])


def _framed(layout: Layout, content: bytes) -> bytes:
    return len(content).to_bytes(2, "little") + bytes([layout.typ, layout.sub]) + content


def test_fields_behind_the_last_given_are_left_out() -> None:
    assert encode("MRR", {"FINISH_T": 1}) == bytes.fromhex("04 00 01 14 01 00 00 00")
    assert whole("MRR", FINISH_T=1) == bytes.fromhex("07 00 01 14 01 00 00 00 20 00 00")


def test_fields_between_take_their_missing_value() -> None:
    record = encode(
        "PRR", {"HEAD_NUM": 1, "SITE_NUM": 1, "PART_FLG": 0, "NUM_TEST": 1, "HARD_BIN": 1, "PART_ID": "7"}
    )
    read = read_bytes(FAR + record)[1]
    assert (read.integer("SOFT_BIN"), read.integer("X_COORD"), read.integer("TEST_T")) == (65535, -32768, 0)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("PTR", {"TEST_NUM": 1, "RESULT": 1.0}, "PTR.HEAD_NUM must be given"),
        ("PIR", {"HEAD_NUM": 1, "SITE_NUM": 256}, "PIR.SITE_NUM: 256 does not fit U1"),
        ("PIR", {"HEAD": 1}, "PIR has no field HEAD"),
        (
            "SDR",
            {"HEAD_NUM": 1, "SITE_GRP": 1, "SITE_CNT": 3, "SITE_NUM": (1, 2)},
            "SITE_NUM: it must have 3 items",
        ),
        ("DTR", {"TEXT_DAT": "x" * 256}, "DTR.TEXT_DAT: 256 bytes are more than 255"),
        ("RDR", {"RTST_BIN": tuple(range(40_000))}, "longer than 65535"),
    ],
)
def test_a_record_that_cannot_be_is_refused(name: str, values: dict[str, Value], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(name, values)


def test_validity_follows_opt_flag() -> None:
    head: dict[str, Value] = {
        "TEST_NUM": 1,
        "HEAD_NUM": 1,
        "SITE_NUM": 1,
        "TEST_FLG": 0,
        "PARM_FLG": 0,
        "RESULT": 1.0,
    }
    one_sided = Record("PTR", head | {"OPT_FLAG": 0x4E, "LO_LIMIT": 0.0, "HI_LIMIT": 2.0})
    assert not one_sided.valid("LO_LIMIT")
    assert one_sided.valid("HI_LIMIT")
    assert not Record("PTR", head).valid("HI_LIMIT")


@given(st.binary(max_size=200))
def test_no_content_raises(content: bytes) -> None:
    for layout in LAYOUTS.values():
        for record in read_bytes(FAR + _framed(layout, content)):
            assert record.name in LAYOUTS
