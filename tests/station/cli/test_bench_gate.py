"""The performance gate: nothing takes far more CPU than what it stands on, measured here and now."""

from pathlib import Path

import pytest
from msgspec import json

from station.cli import bench_gate, code_of
from station.cli.bench_gate import GATES, Costs, gated
from station.cli.codes import Exit
from tests.cell.lots import hardbin

FLOORS = {one.floor: 1.0 for one in GATES}


@pytest.mark.timeout(600)
def test_engine_stdf_and_store_are_within_their_multiples_of_bare_python() -> None:
    """In a process of its own: what else a process holds costs each of its collections time."""
    ran = hardbin("bench", "gate", "--json", timeout_s=500)
    found = json.decode(ran.stdout, type=list[bench_gate.Held])
    assert [one.name for one in found] == [one.name for one in GATES]
    assert [one for one in found if not one.kept] == []
    assert ran.returncode == Exit.OK


def test_three_times_the_cpu_is_over_every_bound() -> None:
    """Of what is seen: half of the bound."""
    costs = FLOORS | {one.name: 3 * one.most / 2 for one in GATES}
    assert not any(one.kept for one in gated(lambda folder: costs))


def test_a_busy_neighbour_is_waited_for() -> None:
    """A slice in which all took five times as long does not count, nor a whole try of them."""
    quiet = FLOORS | {one.name: one.most / 2 for one in GATES}
    asked = list[Path]()

    def measured(folder: Path) -> Costs:
        asked.append(folder)
        busy = len(asked) < bench_gate.SLICES + 2
        return quiet | ({one.name: 5 * one.most for one in GATES} if busy else {})

    assert all(one.kept for one in gated(measured))
    assert len(asked) == 2 * bench_gate.SLICES


def test_what_is_too_slow_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = FLOORS | {one.name: one.most for one in GATES} | {"store": 8.0}
    monkeypatch.setattr(bench_gate, "measured", lambda folder: costs)
    assert code_of(["bench", "gate"]) == Exit.UNEXPECTED
    assert [line for line in capsys.readouterr().out.splitlines() if "TOO MUCH" in line] == [
        "     8.0  store                TOO MUCH: at most 7"
    ]
