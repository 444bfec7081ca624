"""`hardbin stdf`: what a person and a program see of a file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from station.cli.stdf import stdf
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.overview import overview
from station.datalog.stdf.records import whole
from station.errors import StorageError
from tests.station.datalog.lots import BEGAN, lot, touchdowns

GOLDEN = Path(__file__).parents[2] / "golden" / "stdf_dump.txt"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = StdfFile(tmp_path, lot())
    file.open()
    file.event_text("site 2 off")
    for result in touchdowns():
        file.touchdown(result)
    return file.close(BEGAN + 100)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(stdf, [str(argument) for argument in arguments])


def test_dump(path: Path) -> None:
    done = run("dump", path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == GOLDEN.read_text()


def test_dump_of_some_records(path: Path) -> None:
    lines = run("dump", path, "--record", "prr", "--record", "PCR").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["PRR"] * 6 + ["PCR"] * 3


def test_dump_as_json(path: Path) -> None:
    lines = [json.loads(line) for line in run("dump", path, "--json").stdout.splitlines()]
    assert lines[0] == {"offset": 0, "record": "FAR", "fields": {"CPU_TYPE": 2, "STDF_VER": 4}}
    mpr = next(line for line in lines if line["record"] == "MPR")["fields"]
    assert mpr["RTN_RSLT"][:2] == [-0.5, -0.625]
    assert next(line for line in lines if line["record"] == "FTR")["fields"]["FAIL_PIN"] == {
        "bits": 0,
        "data": "",
    }


def test_a_damaged_file_is_dumped_as_far_as_it_goes(path: Path) -> None:
    cut = path.with_name("cut.std")
    cut.write_bytes(path.read_bytes()[:1000])
    done = run("dump", cut)
    assert done.exit_code == 13
    assert GOLDEN.read_text().startswith(done.stdout)
    assert len(done.stdout.splitlines()) > 15
    assert "cut.std: the file ends inside a record" in done.stderr


def test_a_record_that_does_not_decode_is_shown_with_its_fault(path: Path) -> None:
    bad = path.with_name("bad.std")
    bad.write_bytes(path.read_bytes() + bytes.fromhex("03 00 05 0a 01 02 03"))
    done = run("dump", bad)
    assert done.exit_code == 13
    assert done.stdout.splitlines()[-1].endswith(
        "PIR HEAD_NUM=1 SITE_NUM=2 !1 bytes more than its fields rest=03"
    )


def test_validate_a_sound_file(path: Path) -> None:
    done = run("validate", path)
    assert (done.exit_code, done.stdout) == (0, f"{path.name}: 83 records, errors: 0, warnings: 0\n")


def test_validate_a_lot_that_was_not_ended(path: Path) -> None:
    cut = path.with_name("cut.std")
    cut.write_bytes(path.read_bytes()[:-11])
    done = run("validate", cut)
    assert done.exit_code == 13
    first, last = done.stdout.splitlines()
    assert first == "E01 file: the last record is no MRR: the lot was not ended"
    assert last == "cut.std: 82 records, errors: 1, warnings: 0"


def test_a_warning_is_no_error(path: Path) -> None:
    renamed = path.rename(path.with_name("lot-1.std"))
    done = run("validate", renamed)
    assert done.exit_code == 0
    assert done.stdout.startswith("W04 file: the name 'lot-1.std'")


def test_validate_as_json(path: Path) -> None:
    cut = path.with_name("cut.std")
    cut.write_bytes(path.read_bytes()[:-11])
    found = json.loads(run("validate", cut, "--json").stdout)
    finding = found["findings"][0]
    assert (found["errors"], found["warnings"], finding["rule"]) == (1, 0, "E01")
    assert finding["offset"] == cut.stat().st_size


@pytest.mark.parametrize("verb", ["dump", "validate"])
def test_a_file_that_is_not_there(tmp_path: Path, verb: str) -> None:
    done = run(verb, tmp_path / "none.std")
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr == f"hardbin: {tmp_path / 'none.std'}: there is no such file\n"


@pytest.mark.parametrize("verb", ["dump", "validate"])
def test_a_file_of_another_kind(tmp_path: Path, verb: str) -> None:
    other = tmp_path / "other.std"
    other.write_text("lot,part\n")
    done = run(verb, other)
    assert done.exit_code == 13
    assert "it is no STDF file" in done.output


@pytest.mark.parametrize("verb", ["to-parquet", "to-csv", "to-json"])
def test_no_file_is_overwritten(path: Path, verb: str) -> None:
    before = path.read_bytes()
    done = run(verb, path, "--out", path)
    assert isinstance(done.exception, StorageError)
    assert "it is not overwritten" in str(done.exception)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_parts_of_two_wafers_are_not_one_because_of_their_numbers(tmp_path: Path) -> None:
    where = {"HEAD_NUM": 1, "SITE_NUM": 1}
    made = [whole("FAR", CPU_TYPE=2, STDF_VER=4)]
    for wafer, soft in (("W1", 1), ("W2", 2), ("W2", 1)):
        made.append(whole("WIR", HEAD_NUM=1, START_T=0, WAFER_ID=wafer))
        for part in ("1", "2"):
            bins = {"HARD_BIN": soft, "SOFT_BIN": soft, "PART_FLG": 8 * (soft == 2)}
            made += [whole("PIR", **where), whole("PRR", **where, **bins, NUM_TEST=1, PART_ID=part)]
    path = tmp_path / "sort.std"
    path.write_bytes(b"".join([*made, whole("MRR", FINISH_T=9)]))
    found = overview(path)
    assert (found.parts, found.good, found.contacts, found.wafers) == (4, 4, 6, ("W1", "W2"))
    assert [(one.soft, one.count) for one in found.bins] == [(1, 4)]


def test_a_record_that_is_none() -> None:
    assert run("dump", "x.std", "--record", "XYZ").exit_code == 2
