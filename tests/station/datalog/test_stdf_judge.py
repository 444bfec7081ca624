"""Our files as an independent reader sees them, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from station.datalog.stdf.fields import Bits, Item, Value, pack_array
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.reader import Reader
from station.datalog.stdf.records import LAYOUTS, Field, Record
from station.datalog.stdf.writer import Profile
from station.model import DeviceResult, Ending, Measurement, Verdict
from tests.station.datalog.lots import BEGAN, CONTACT, SECTIONED, failed, lot, touchdown, touchdowns
from tests.station.datalog.test_stdf_records import FAR, GOLDEN

JUDGE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pystdf.IO import Parser

class Sink:
    def after_send(self, source, data):
        print(json.dumps([type(data[0]).__name__.upper(), data[1]]))

parser = Parser(inp=open(sys.argv[1], "rb"))
parser.addSink(Sink())
parser.parse()
"""


def judged(path: Path) -> list[tuple[str, list[object]]]:
    """What the other reader finds: record name and field values in order."""
    command = [sys.executable, "-W", "ignore", "-c", JUDGE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Broken header" not in done.stderr
    return [(name, fields) for name, fields in map(json.loads, done.stdout.splitlines())]


def ours(record: Record) -> list[object]:
    """Our field values in the other reader's shapes: packed nibbles, bytes as lists."""
    return [_shaped(field.kind, record.values[field.name]) for field in _present(record)]


def _present(record: Record) -> list[Field]:
    """The fields that are there; the other reader does not tell how many items a GDR has."""
    fields = LAYOUTS[record.name].fields
    return [field for field in fields if field.name in record.values and field.name != "FLD_CNT"]


def _shaped(kind: str, value: Value) -> object:
    match value:
        case tuple() if kind == "N1":
            return list(pack_array("N1", value))
        case tuple():
            return [one.value if isinstance(one, Item) else one for one in value]
        case bytes():
            return list(value)
        case Bits(data=data):
            return list(data)
    return value


def assert_alike(path: Path) -> int:
    with path.open("rb") as file:
        records = list(Reader(file))
    theirs = judged(path)
    assert [record.name for record in records] == [name for name, _ in theirs]
    for record, (_, fields) in zip(records, theirs, strict=True):
        said = ours(record)
        assert said == fields[: len(said)]
        assert all(field is None for field in fields[len(said) :])
    return len(records)


def dead(site: int, part: int) -> DeviceResult:
    """A device that says nothing: an MPR without results, a PTR without one, a failing FTR."""
    silent = (Verdict.FAILED, Ending.DUT_SILENT)
    measured = (
        Measurement(100, "continuity", "M", *silent),
        Measurement(300, "idd_idle", "P", *silent),
        Measurement(500, "known_answer", "F", *silent, text="no ATR"),
    )
    return DeviceResult(site, part, 1, CONTACT, Verdict.FAILED, measured, BEGAN, 0.1)


@pytest.mark.parametrize("profile", ["compact", "compat"])
def test_a_lot_reads_the_same(tmp_path: Path, profile: Profile) -> None:
    file = StdfFile(tmp_path, replace(lot(), datalog=SECTIONED), profile=profile)
    file.open()
    file.event_text("site 2 off")
    for result in (*touchdowns(), touchdown(4, dead(1, 5), failed(2, 6))):
        file.touchdown(result)
    assert assert_alike(file.close(BEGAN + 100)) > 60


def test_the_golden_records_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "golden.std"
    hexes = [str(golden["hex"]) for golden in GOLDEN if golden["name"] not in {"FAR", "GDR"}]
    path.write_bytes(FAR + b"".join(map(bytes.fromhex, hexes)))
    assert assert_alike(path) == 25
