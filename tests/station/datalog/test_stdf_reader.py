"""The reader takes whatever there is of a file, from either byte order."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.datalog.stdf.fields import BIG
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.lint import lint
from station.datalog.stdf.reader import Reader, read_bytes
from station.datalog.stdf.records import Record, encode_record
from tests.station.datalog.lots import BEGAN, lot, touchdowns


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = StdfFile(tmp_path_factory.mktemp("lot"), lot())
    file.open()
    for result in touchdowns():
        file.touchdown(result)
    return file.close(BEGAN + 100).read_bytes()


def test_read_and_written_again_it_is_the_same(data: bytes) -> None:
    assert b"".join(map(encode_record, read_bytes(data))) == data


def test_big_endian_says_the_same(data: bytes) -> None:
    records = read_bytes(data)
    big = bytearray(b"".join(encode_record(record, BIG) for record in records))
    big[4] = 1
    reader = Reader(io.BytesIO(bytes(big)))
    turned = list(reader)
    assert reader.order == BIG
    assert [(r.name, r.values) for r in turned[1:]] == [(r.name, r.values) for r in records[1:]]


def test_a_cut_anywhere_leaves_every_whole_record(data: bytes) -> None:
    records = read_bytes(data)
    ends = [record.offset for record in records[1:]] + [len(data)]
    for cut in range(len(data)):
        reader = Reader(io.BytesIO(data[:cut]))
        whole = [offset for offset, _, _, _ in reader.frames()]
        assert whole == [record.offset for record in records[: sum(end <= cut for end in ends)]]
        assert bool(reader.fault) == (cut not in ends)
        assert reader.end == (ends[len(whole) - 1] if whole else 0)


def test_a_file_larger_than_one_read(data: bytes) -> None:
    again = data + data[6:] * (2_500_000 // len(data))
    assert (
        sum(1 for _ in Reader(io.BytesIO(again)))
        == (len(read_bytes(data)) - 1) * (2_500_000 // len(data) + 1) + 1
    )


@given(st.binary(max_size=64), st.booleans())
def test_no_bytes_raise(junk: bytes, far: bool) -> None:
    begin = bytes.fromhex("02 00 00 0a 02 04") if far else b""
    list(lint(io.BytesIO(begin + junk)))
    assert all(isinstance(record, Record) for record in read_bytes(begin + junk))


@pytest.mark.parametrize(
    ("begin", "fault"),
    [
        ("", "ends inside its first record"),
        ("02 00 00 0a 02", "ends inside its first record"),
        ("02 00 00 0a 00 04", "CPU_TYPE 0 is not read"),
        ("1f 8b 08 00 00 00 00", "no FAR at its start but 1f 8b 08 00 00 00"),
    ],
)
def test_what_is_no_stdf_file(begin: str, fault: str) -> None:
    reader = Reader(io.BytesIO(bytes.fromhex(begin)))
    assert list(reader) == []
    assert fault in reader.fault


def test_an_unknown_record_is_kept(data: bytes) -> None:
    unknown = bytes.fromhex("03 00 b4 0a 01 02 03")
    record = read_bytes(data[:6] + unknown)[1]
    assert (record.name, record.rest) == ("180/10", b"\x01\x02\x03")
    assert encode_record(record) == unknown
