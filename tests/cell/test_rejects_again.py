"""What lies in a retest bin is fed once more, in no order and without names: a lot of its own."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from station.custody.journal import read
from station.datalog.stdf.lint import check
from station.datalog.stdf.reader import read as stdf
from station.events import LotLoaded, TouchdownOpened
from station.model import SecondPass
from tests.cell.counted import PYSTDF, SEMI_ATE, assert_all_agree, judged, ours
from tests.cell.lots import here, lot_here

pytestmark = pytest.mark.timeout(300)
SIM = Path(__file__).parents[2] / "sim"
DEVICES = "32"
CONTACT = 5


def cell(folder: Path) -> Path:
    """The final test's handler, which reads no codes, with what a sort measures."""
    text = (SIM / "station.toml").read_text("utf-8")
    text = text.replace('"se1-final-test"', '"se1-electrical-sort"').replace('"development"', '"none"')
    path = folder / "station.toml"
    path.write_text(text, "utf-8")
    return path


def of_pass(out: Path, station: Path, *more: str) -> dict[str, Any]:
    """Run one second pass over what is left of T1."""
    told = ("--out", str(out), "--station", str(station), "--sites", "8", "--json", *more)
    ran = here("run", "--second-pass", "T1", *told)
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.decode(ran.stdout)
    return result


def in_bin(path: str | Path) -> int:
    """Count the parts in the retest bin, as the file's own summary has it."""
    bins = [record for record in stdf(Path(path)) if record.name == "HBR"]
    totals = {r.integer("HBIN_NUM"): r.integer("HBIN_CNT") for r in bins if r.integer("HEAD_NUM") == 255}
    return totals[CONTACT]


def test_rejects_are_tested_again_and_the_files_make_one(tmp_path: Path) -> None:
    station, out = cell(tmp_path), tmp_path / "out"
    dirty = ("--devices", DEVICES, "--sites", "8", "--seed", "4", "--fault", "socket.dirt@p=0.6")
    code, first = lot_here(out, "--station", str(station), *dirty)
    assert (code, first["state"]) == (0, "CLOSED"), first
    left = in_bin(first["stdf"])
    assert left > 1
    second = of_pass(out, station)
    assert (second["lot"], second["tested"], second["state"]) == ("T1.R1", left, "CLOSED")
    assert [second["truth"][name] for name in ("unexplained", "misplaced", "custody")] == [[], [], []]
    assert_all_agree(out / "T1.R1", second)

    happened = list(read(out / "T1.R1" / "journal"))
    (loaded,) = [event for event in happened if isinstance(event, LotLoaded)]
    assert loaded.info.second_pass == SecondPass("T1", 1, (CONTACT,))
    opened = [event for event in happened if isinstance(event, TouchdownOpened)]
    assert {name for event in opened for name in event.ids.values()} == {
        f"R1-{n}" for n in range(1, left + 1)
    }
    master, again, *_ = [r for r in stdf(Path(second["stdf"])) if r.name in {"MIR", "RDR"}]
    assert (master.text("LOT_ID"), master.text("RTST_COD")) == ("T1", "1")
    assert again.integers("RTST_BIN") == (CONTACT,)

    merged = tmp_path / "merged.std"
    done = here("stdf", "merge", first["stdf"], second["stdf"], "--out", str(merged), "--json")
    assert done.returncode == 0, done.stderr
    contacts = int(DEVICES) + first["retested"] + left + second["retested"]
    assert json.decode(done.stdout) == {"parts": int(DEVICES), "contacts": contacts, "superseded": left}
    assert [str(finding) for finding in check(merged).findings if finding.error] == []
    assert judged(merged, PYSTDF) == judged(merged, SEMI_ATE) == ours(merged)
    good = [r.integer("GOOD_CNT") for r in stdf(merged) if r.name == "PCR"][-1]
    assert good == first["good"] + second["good"]
    assert in_bin(merged) == in_bin(second["stdf"])


def test_what_cannot_be_a_second_pass_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    station, out = cell(tmp_path), tmp_path / "out"
    code, _ = lot_here(
        out, "--station", str(station), "--devices", "8", "--sites", "8", "--fault", "dut.population=ideal"
    )
    assert code == 0

    def refused(*arguments: str, code: int = 3) -> str:
        ran = here("run", "--out", str(out), "--sites", "8", *arguments)
        assert ran.returncode == code, ran.stderr
        assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["T1"]
        return ran.stderr

    cell_of = ("--station", str(station))
    assert "no device lies in hard bin 5" in refused("--second-pass", "T1", *cell_of)
    assert "another sequence: 'se1-electrical-sort' then, 'se1-final-test' now" in refused(
        "--second-pass", "T1"
    )
    assert "there is no lot of which" in refused("--second-pass", "T2", *cell_of)
    assert "names lot and devices" in refused("--second-pass", "T1", "--devices", "3", *cell_of, code=2)
    journal = out / "T1" / "journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert "the lot is not closed" in refused("--second-pass", "T1", *cell_of)
