"""Golden units on the simulated sort cell: learned, measured again, a wrong reference; a lot that asks."""

import json
from pathlib import Path

import pytest

from tests.cell.lots import here, lot_here

SIM = Path(__file__).parents[2] / "sim"
UNITS, SEED = "16", ("--seed", "3")


@pytest.mark.timeout(600)
def test_from_the_first_measurement_to_a_lot_that_needs_it(tmp_path: Path) -> None:
    def golden(*arguments: str, out: str, code: int = 0) -> str:
        where = ("--out", str(tmp_path / out), "--yes")
        ran = here("study", "golden", str(tmp_path / "u.toml"), *arguments, *SEED, *where)
        assert ran.returncode == code, ran.stderr
        return ran.stdout

    golden("--learn", UNITS, "--trials", "3", out="first")
    said = golden("--trials", "3", out="again")
    assert "in tolerance" in said
    found = json.loads((tmp_path / "again" / "golden.json").read_bytes())
    assert (found["passed"], found["sites"], found["offsets"]) == (True, [1, 2, 3, 4], [])
    assert sum(one["contacts"] for one in found["seen"] if one["test"] == 300) == int(UNITS) * 3

    text = (tmp_path / "u.toml").read_text()
    (tmp_path / "right.toml").write_text(text)
    reference = next(line for line in text.splitlines() if line.startswith("values"))
    shifted = text.replace("values = { 300 = 0.0", "values = { 300 = 0.00")
    assert reference not in shifted
    (tmp_path / "u.toml").write_text(shifted)
    assert "out of tolerance" in golden("--trials", "3", out="bad", code=12)
    bad = json.loads((tmp_path / "bad" / "golden.json").read_bytes())
    assert not bad["passed"]
    assert {one["test"] for one in bad["offsets"]} == {300}

    station = tmp_path / "station.toml"
    station.write_text(
        (SIM / "wafer_sort.toml").read_text("utf-8") + '\n[golden]\nresult = "bad/golden.json"\n'
    )
    ran = here(
        "run", "--lot", "L", "--out", str(tmp_path / "out"), "--station", str(station), "--devices", "8"
    )
    assert ran.returncode == 3
    assert "golden units u were out of tolerance: 300 idd_idle at site 1" in ran.stderr
    assert not (tmp_path / "out" / "L").exists()

    station.write_text(station.read_text().replace("bad/golden.json", "again/golden.json"))
    code, result = lot_here(tmp_path / "out", "--station", str(station), "--devices", "8")
    assert (code, result["state"]) == (0, "CLOSED")

    kept = tmp_path / "again" / "golden.json"
    found["at"] -= 10_000
    kept.write_text(json.dumps(found))
    station.write_text(station.read_text() + "hours = 2\n")
    code, result = lot_here(tmp_path / "late", "--station", str(station), "--devices", "8")
    assert (code, result["state"]) == (12, "HELD")
    assert result["reason"] == "golden units are due: they were measured more than 2 h ago"
    assert result["truth"]["misplaced"] == []
