"""Passes merged into one file, and a cut file recovered: what is counted is what the parts say."""

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from station.cli.stdf import stdf
from station.datalog.stdf.fields import Value
from station.datalog.stdf.file import StdfFile
from station.datalog.stdf.lint import check
from station.datalog.stdf.overview import overview
from station.datalog.stdf.passes import merge
from station.datalog.stdf.reader import read
from station.datalog.stdf.records import Record, encode_record, whole
from station.datalog.stdf.recovery import recover
from station.errors import StorageError
from station.model import DeviceResult, SecondPass, TouchdownResult
from tests.station.datalog.lots import BEGAN, SUPPLY, failed, good, lot, touchdown, touchdowns, unjudged
from tests.station.datalog.test_stdf_judge import judged

T0 = 1_790_000_000


def written(path: Path, *results: TouchdownResult, second: SecondPass | None = None) -> Path:
    folder = path.parent / f"{path.name}.folder"
    file = StdfFile(folder, replace(lot(), second_pass=second))
    file.open()
    for result in results:
        file.touchdown(result)
    file.close(BEGAN + 100).rename(path)
    return path


def sound(path: Path) -> None:
    assert [str(finding) for finding in check(path).findings if finding.error] == []


def of(path: Path, name: str) -> list[Record]:
    return [record for record in read(path) if record.name == name]


def counts(path: Path) -> dict[tuple[int, int, int], int]:
    """HBR counts by head, site and bin."""
    return {
        (r.integer("HEAD_NUM"), r.integer("SITE_NUM"), r.integer("HBIN_NUM")): r.integer("HBIN_CNT")
        for r in of(path, "HBR")
    }


def test_a_retest_supersedes_what_it_contacts_again(tmp_path: Path) -> None:
    first = written(tmp_path / "L1.std", touchdown(1, good(1, 1), failed(2, 2)), touchdown(2, unjudged(1, 3)))
    second = written(tmp_path / "L2.std", touchdown(1, good(1, 2), failed(2, 3)))
    made = merge([first, second], tmp_path / "Lm.std", T0)
    assert (made.parts, made.contacts, made.superseded) == (3, 5, 2)
    sound(tmp_path / "Lm.std")
    assert [record.integer("PART_FLG") & 1 for record in of(tmp_path / "Lm.std", "PRR")] == [0, 0, 0, 1, 1]
    total = of(tmp_path / "Lm.std", "PCR")[-1]
    fields = ("PART_CNT", "RTST_CNT", "ABRT_CNT", "GOOD_CNT")
    assert [total.integer(name) for name in fields] == [3, 2, 0, 2]
    assert counts(tmp_path / "Lm.std")[1, 1, 1] == 2
    command = of(tmp_path / "Lm.std", "ATR")[0].text("CMD_LINE")
    assert command == "hardbin stdf merge L1.std L2.std"
    names = {record.text("HBIN_NAM") for record in of(tmp_path / "Lm.std", "HBR")}
    assert names == {record.text("HBIN_NAM") for record in of(first, "HBR")}


SECOND = SecondPass("L1017", 1, (SUPPLY.hard,))


def unnamed(number: int, device: DeviceResult) -> DeviceResult:
    return replace(device, part=number, code=f"R1-{number}")


def test_rejects_that_came_again_without_names_take_the_place_of_as_many(tmp_path: Path) -> None:
    first = written(tmp_path / "L1.std", touchdown(1, failed(1, 1), good(2, 2)), touchdown(2, failed(1, 3)))
    here = unnamed(1, good(1, 1)), unnamed(2, failed(2, 2))
    second = written(
        tmp_path / "L2.std", touchdown(1, *here), touchdown(2, contact_2(here[1])), second=SECOND
    )
    made = merge([first, second], tmp_path / "Lm.std", T0)
    assert (made.parts, made.contacts, made.superseded) == (3, 6, 2)
    sound(tmp_path / "Lm.std")
    parts = [(r.text("PART_ID"), r.text("PART_TXT")) for r in of(tmp_path / "Lm.std", "PRR")]
    assert parts[3:] == [("1", "R1-1"), ("3", "R1-2"), ("3", "R1-2")]
    assert of(tmp_path / "Lm.std", "PCR")[-1].integer("GOOD_CNT") == 2
    assert of(tmp_path / "Lm.std", "RDR") == []
    assert "came again without names" in of(tmp_path / "Lm.std", "DTR")[-1].text("TEXT_DAT")


def contact_2(device: DeviceResult) -> DeviceResult:
    return replace(device, contact=2)


@pytest.mark.parametrize("came", [1, 3])
def test_another_number_than_lies_in_the_bins_is_refused(came: int, tmp_path: Path) -> None:
    first = written(tmp_path / "L1.std", touchdown(1, failed(1, 1), failed(2, 2)))
    again = [touchdown(n, unnamed(n, good(1, n))) for n in range(1, came + 1)]
    second = written(tmp_path / "L2.std", *again, second=SECOND)
    told = f"{came} devices without a name came again, 2 lie in hard bin {SUPPLY.hard}"
    with pytest.raises(StorageError, match=told):
        merge([first, second], tmp_path / "Lm.std", T0)
    assert not (tmp_path / "Lm.std").exists()


def test_a_merge_of_one_file_says_what_that_file_says(tmp_path: Path) -> None:
    first = written(tmp_path / "L1.std", *touchdowns())
    merge([first], tmp_path / "Lm.std", T0)
    kept = [encode_record(r) for r in read(first) if r.name not in {"FAR", "TSR"}]
    made = [encode_record(r) for r in read(tmp_path / "Lm.std") if r.name not in {"FAR", "ATR", "TSR"}]
    assert made == kept
    for ours, theirs in zip(of(tmp_path / "Lm.std", "TSR"), of(first, "TSR"), strict=False):
        assert ours.integer("EXEC_CNT") == theirs.integer("EXEC_CNT")
        assert ours.valid("TEST_TIM") == theirs.valid("TEST_TIM")
        assert ours.real("TEST_TIM") == theirs.real("TEST_TIM")


def changed(path: Path, name: str, **fields: int | str) -> Path:
    """Write a file anew with other fields in some records."""
    records = list(read(path))
    out = path.with_name(f"changed_{path.name}")
    out.write_bytes(
        b"".join(
            whole(name, **{**record.values, **fields}) if record.name == name else encode_record(record)
            for record in records
        )
    )
    return out


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("MIR", {"LOT_ID": "OTHER"}, "its LOT_ID is 'OTHER', that of L1.std is 'L1017'"),
        ("PMR", {"CHAN_NAM": "x"}, "its PMRs are not those of L1.std"),
        ("MRR", {}, "it has no MRR"),
    ],
)
def test_what_is_not_of_one_lot_is_refused(
    tmp_path: Path, name: str, fields: dict[str, str], said: str
) -> None:
    first = written(tmp_path / "L1.std", touchdown(1, good(1, 1)))
    other = changed(first, name, **fields)
    if name == "MRR":
        other.write_bytes(first.read_bytes()[:-11])
    with pytest.raises(StorageError, match=said):
        merge([first, other], tmp_path / "Lm.std", T0)
    assert not (tmp_path / "Lm.std").exists()


def sort_file(path: Path, dies: list[tuple[int, int, int]], *, flags: int = 0) -> Path:
    """A small wafer-sort file: (x, y, hard bin) of each die of wafer W1."""
    head = [
        whole("FAR", CPU_TYPE=2, STDF_VER=4),
        whole("MIR", SETUP_T=T0, START_T=T0, STAT_NUM=1, MODE_COD="P", LOT_ID="L1", PART_TYP="SE1",
              NODE_NAM="N", TSTR_TYP="T", JOB_NAM="J"),
        whole("SDR", HEAD_NUM=1, SITE_GRP=1, SITE_NUM=(1,)),
        whole("WCR", WAFR_SIZ=300.0, WF_UNITS=3, WF_FLAT="D", POS_X="R", POS_Y="D"),
        whole("WIR", HEAD_NUM=1, SITE_GRP=1, START_T=T0, WAFER_ID="W1"),
    ]  # fmt: skip
    for x, y, hard in dies:
        failed_flag = 8 if hard != 1 else 0
        place: dict[str, Value] = {
            "HEAD_NUM": 1,
            "SITE_NUM": 1,
            "X_COORD": x,
            "Y_COORD": y,
            "PART_ID": f"W1-{x}-{y}",
        }
        bins: dict[str, Value] = {
            "HARD_BIN": hard,
            "SOFT_BIN": hard,
            "PART_FLG": flags | failed_flag,
            "NUM_TEST": 0,
        }
        head += [whole("PIR", HEAD_NUM=1, SITE_NUM=1), whole("PRR", **place, **bins)]
    good_dies = sum(hard == 1 for _, _, hard in dies)
    head.append(
        whole("WRR", HEAD_NUM=1, SITE_GRP=1, FINISH_T=T0 + 9, PART_CNT=len(dies), GOOD_CNT=good_dies,
              WAFER_ID="W1")
    )  # fmt: skip
    path.write_bytes(b"".join(head))
    recover(path, path.with_name(f"r_{path.name}"), T0)
    return path.with_name(f"r_{path.name}")


def test_dies_of_a_wafer_supersede_by_their_place(tmp_path: Path) -> None:
    first = sort_file(tmp_path / "S1.std", [(1, 1, 1), (2, 1, 3), (3, 1, 3)])
    second = sort_file(tmp_path / "S2.std", [(2, 1, 1)])
    made = merge([first, second], tmp_path / "Sm.std", T0)
    assert (made.parts, made.superseded) == (3, 1)
    sound(tmp_path / "Sm.std")
    wafers = [(r.integer("PART_CNT"), r.integer("GOOD_CNT")) for r in of(tmp_path / "Sm.std", "WRR")]
    assert wafers == [(3, 1), (3, 2)]
    assert of(tmp_path / "Sm.std", "PRR")[-1].integer("PART_FLG") == 2
    found = overview(tmp_path / "Sm.std")
    assert (found.parts, found.good, found.wafers) == (3, 2, ("W1",))


def two_wafers(path: Path, *dies: tuple[str, int, int]) -> Path:
    """A wafer-sort file whose PART_IDs begin anew on each wafer: (wafer, PART_ID, hard bin) of each die."""
    empty = sort_file(path.with_name(f"empty_{path.name}"), [])
    made = [encode_record(record) for record in read(empty) if record.name in {"FAR", "MIR", "SDR", "WCR"}]
    at: dict[str, Value] = {"HEAD_NUM": 1, "SITE_NUM": 1}
    for wafer, part, hard in dies:
        end: dict[str, Value] = {"HARD_BIN": hard, "SOFT_BIN": hard, "PART_FLG": 8 * (hard != 1)}
        die: dict[str, Value] = {"NUM_TEST": 0, "X_COORD": part, "Y_COORD": 1, "PART_ID": str(part)}
        made += [
            whole("WIR", HEAD_NUM=1, SITE_GRP=1, START_T=T0, WAFER_ID=wafer),
            whole("PIR", **at),
            whole("PRR", **at, **die, **end),
            whole("WRR", HEAD_NUM=1, SITE_GRP=1, FINISH_T=T0 + 9, PART_CNT=0xFFFF_FFFF, WAFER_ID=wafer),
        ]
    path.write_bytes(b"".join(made))
    recover(path, path.with_name(f"r_{path.name}"), T0)
    return path.with_name(f"r_{path.name}")


def test_parts_of_two_wafers_are_not_one_because_of_their_numbers(tmp_path: Path) -> None:
    first = two_wafers(tmp_path / "S1.std", ("W1", 1, 1), ("W1", 2, 3), ("W2", 1, 3), ("W2", 2, 3))
    sound(first)
    total = of(first, "PCR")[-1]
    assert [total.integer(name) for name in ("PART_CNT", "RTST_CNT", "GOOD_CNT")] == [4, 0, 1]
    assert counts(first)[255, 0, 3] == 3
    second = two_wafers(tmp_path / "S2.std", ("W2", 1, 1))
    made = merge([first, second], tmp_path / "Sm.std", T0)
    assert (made.parts, made.superseded) == (4, 1)
    sound(tmp_path / "Sm.std")
    assert of(tmp_path / "Sm.std", "PCR")[-1].integer("GOOD_CNT") == 2
    found = overview(tmp_path / "Sm.std")
    assert (found.parts, found.good) == (4, 2)


def test_another_reader_counts_the_same(tmp_path: Path) -> None:
    first = sort_file(tmp_path / "S1.std", [(1, 1, 1), (2, 1, 3), (3, 1, 3)])
    second = sort_file(tmp_path / "S2.std", [(2, 1, 1)])
    merge([first, second], tmp_path / "Sm.std", T0)
    theirs = Counter(name for name, _ in judged(tmp_path / "Sm.std"))
    assert theirs == Counter(record.name for record in read(tmp_path / "Sm.std"))
    said = [fields for name, fields in judged(tmp_path / "Sm.std") if name in {"HBR", "SBR"}]
    assert [fields[2:4] for fields in said if fields[0] == 255] == [[1, 2], [3, 1]] * 2


def test_a_cut_anywhere_gives_a_sound_file_of_the_parts_that_were_ended(tmp_path: Path) -> None:
    whole_file = written(tmp_path / "L1.std", *touchdowns())
    data = whole_file.read_bytes()
    body = of(whole_file, "PIR")[0].offset
    ends = [record.offset for record in of(whole_file, "PRR")]
    groups = [ends[1], ends[3], ends[5]]
    for cut in range(body, len(data), 61):
        part = tmp_path / "Lcut.std"
        part.write_bytes(data[:cut])
        out = tmp_path / "Lrec.std"
        made = recover(part, out, T0)
        sound(out)
        assert len(of(out, "PRR")) == 2 * sum(cut > end + 30 for end in groups), cut
        assert made.parts == len({record.text("PART_ID") for record in of(out, "PRR")})
        out.unlink()


def test_what_needs_no_recovery_or_has_none(tmp_path: Path) -> None:
    path = written(tmp_path / "L1.std", *touchdowns())
    with pytest.raises(StorageError, match="nothing to recover"):
        recover(path, tmp_path / "out.std", T0)
    (tmp_path / "L2.std").write_bytes(path.read_bytes()[:20])
    with pytest.raises(StorageError, match="before its MIR"):
        recover(tmp_path / "L2.std", tmp_path / "out.std", T0)
    with pytest.raises(StorageError, match="not overwritten"):
        merge([path], path, T0)


def test_commands(tmp_path: Path) -> None:
    path = written(tmp_path / "L1.std", *touchdowns())
    done = CliRunner().invoke(stdf, ["summary", str(path)])
    assert "Lot L1017 of SE1" in done.stdout
    assert "4 parts, 3 good (75.00 %), 6 contacts" in done.stdout
    (tmp_path / "Lcut.std").write_bytes(path.read_bytes()[:-200])
    cut = CliRunner().invoke(stdf, ["summary", "--json", str(tmp_path / "Lcut.std")])
    assert cut.exit_code == 13
    done = CliRunner().invoke(
        stdf, ["recover", str(tmp_path / "Lcut.std"), "--out", str(tmp_path / "Lr.std")]
    )
    assert "4 parts" in done.stdout
    done = CliRunner().invoke(stdf, ["merge", str(path), "--json", "--out", str(tmp_path / "Lm.std")])
    assert '"superseded":0' in done.stdout
    out = tmp_path / "L.parquet"
    assert "9 rows" in CliRunner().invoke(stdf, ["to-parquet", str(path), "--out", str(out)]).stdout
    for command, name in (("to-csv", "L.csv"), ("to-json", "L.json")):
        done = CliRunner().invoke(stdf, [command, str(path), "--out", str(tmp_path / name)])
        assert done.stdout == f"{name}: 9 rows\n"
    assert CliRunner().invoke(stdf, ["merge", "nowhere.std", "--out", str(out)]).exit_code == 4
