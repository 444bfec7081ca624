"""Lots with faults drawn from a seed: whatever is wrong in a cell, the lot ends as it must.

`HARDBIN_CAMPAIGN=200` runs that many; `python -m tests.cell.campaign` runs them beside each other.
"""

import io
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from sim.world import World
from station.chaos.evidence import complaints
from station.cli import code_of
from tests.cell.campaign import case, evidence

FIRST = 2000
LOTS = int(os.environ.get("HARDBIN_CAMPAIGN", "10"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + LOTS))
def test_a_lot_in_a_cell_with_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    tried = case(seed)
    worlds, close = list[World](), World.close

    def closed(world: World) -> None:
        worlds.append(world)
        close(world)

    monkeypatch.setattr(World, "close", closed)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    with redirect_stderr(io.StringIO()) as said:
        code = code_of(tried.arguments(tmp_path))
    left = evidence(tried, tmp_path, code, said.getvalue())
    assert complaints(left) == [], tried.faults
    told = left.report is not None and ("not safe" in left.report.reason or "made safe" in left.report.reason)
    assert told or not live(worlds[0]), tried.faults


def live(world: World) -> list[str]:
    """What was still on when the station let go of its machines, whatever it believed."""
    return [
        f"site {site}"
        for site, socket in world.bench.sockets.items()
        if socket.vdd.volts or any(pin.volts for pin in socket.inputs.values())
    ]


def test_a_seed_gives_the_same_case() -> None:
    assert case(1) == case(1)
    assert len({case(seed).faults for seed in range(50)}) == 50
