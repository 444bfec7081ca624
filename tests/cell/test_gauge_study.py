"""A guided GR&R study on the simulated cell: each part tested three times by each operator."""

import csv
import json
from pathlib import Path

from station import events
from station.custody.journal import read
from station.set_up import Study
from tests.cell.lots import hardbin

PARTS, TRIALS = 6, 3


def test_a_study_runs_and_is_worked_out(tmp_path: Path) -> None:
    out = tmp_path / "study"
    who = ("--operator", "anna", "--operator", "ben")
    size = ("--parts", str(PARTS), "--trials", str(TRIALS))
    ran = hardbin("study", "gauge", "--test", "300", *who, *size, "--out", str(out), "--yes", "--json")
    assert ran.returncode == 0, ran.stderr
    with (out / "gauge.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = {(row["part"], row["operator"], row["trial"]) for row in rows}
    assert len(cells) == len(rows) == PARTS * 2 * TRIALS
    found = json.loads(ran.stdout.splitlines()[-1])
    assert (found["parts"], found["operators"], found["trials"]) == (PARTS, 2, TRIALS)
    assert found["part"]["sigma"] > found["repeatability"]["sigma"] > 0
    again = hardbin("study", "gauge", "--test", "300", *who, "--out", str(out), "--yes")
    assert again.returncode == 3
    assert "never overwritten" in again.stderr


def test_a_study_gives_no_keys(tmp_path: Path) -> None:
    who = ("--operator", "anna", "--operator", "ben", "--flow", "final-test", "--parts", "2", "--trials", "2")
    out = tmp_path / "s"
    ran = hardbin("study", "gauge", "--test", "300", *who, "--out", str(out), "--yes")
    assert ran.returncode == 0, ran.stderr
    happened = list(read(out / "anna" / "journal"))
    loaded = next(one for one in happened if isinstance(one, events.LotLoaded))
    assert (loaded.info.mode, loaded.info.study) == ("E", Study(2))
    assert not any(isinstance(one, events.Intended) for one in happened)
    assert sum(isinstance(one, events.ContactsClosed) for one in happened) >= 2
