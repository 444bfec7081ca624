"""The comparison with other test executives: what is asked of each side, and what comes back."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from station.peers.comparison import AT_ONCE, PeerError, compared, cost_of
from station.peers.load import Cost, Load

HERE = (sys.executable, "-m", "station.peers.hardbin_side")


@pytest.mark.parametrize("wait_s", [0.0, 0.005])
def test_hardbins_side_does_what_it_is_asked(wait_s: float) -> None:
    cost = cost_of(HERE, Load(sites=2, devices=3, rows=4, wait_s=wait_s))
    assert cost.measurements == 24
    assert 0 < cost.longest_s <= cost.wall_s


def test_both_sides_get_the_same_at_each_width(tmp_path: Path) -> None:
    asked: list[tuple[str, Load]] = []

    def ask(command: Sequence[str], load: Load) -> Cost:
        asked.append((command[0], load))
        return Cost(cpu_s=2.0, wall_s=4.0, measurements=3000, longest_s=1.0, resident_mb=50.0)

    found = list(compared(tmp_path / "python", 10, ask))
    assert [(one.side, one.at_once) for one in found] == [
        (side, width) for width in AT_ONCE for side in ("hardbin", "OpenHTF")
    ]
    ours = [load for who, load in asked if who == sys.executable]
    assert ours == [load for who, load in asked if who == str(tmp_path / "python")]
    one = found[2]
    assert (one.measurements_per_cpu_s, one.wall_ms_per_device, one.efficiency) == (1500, 100.0, 0.5)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import nothing_of_this_name", "ended with 1: ModuleNotFoundError"),
        ("print('hello')", "did not tell what it measured"),
        ("print('{}')", "did not tell what it measured"),
    ],
)
def test_a_side_that_cannot_says_why(program: str, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        cost_of((sys.executable, "-c", program), Load(1, 1, 1))


def test_a_python_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="does not start: No such file"):
        cost_of((str(tmp_path / "python"),), Load(1, 1, 1))
