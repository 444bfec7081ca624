"""Lots with faults drawn from a seed: whatever is wrong in a cell, the lot ends as it must.

`HARDBIN_CAMPAIGN=200` runs that many; `python -m tests.cell.campaign` runs them beside each other.
"""

import io
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from station.cli import code_of
from tests.cell.campaign import case, evidence
from tests.cell.evidence import complaints

FIRST = 2000
LOTS = int(os.environ.get("HARDBIN_CAMPAIGN", "10"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + LOTS))
def test_a_lot_in_a_cell_with_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    tried = case(seed)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    with redirect_stderr(io.StringIO()) as said:
        code = code_of(tried.arguments(tmp_path))
    assert complaints(evidence(tried, tmp_path, code, said.getvalue())) == [], tried.faults


def test_a_seed_gives_the_same_case() -> None:
    assert case(1) == case(1)
    assert len({case(seed).faults for seed in range(50)}) == 50
