"""The benchmark of the datalog."""

from pathlib import Path

from station.cli.bench import DATALOG_LABELS
from station.datalog.bench import measured


def test_it_measures_everything_and_leaves_nothing(tmp_path: Path) -> None:
    figures = measured(tmp_path, touchdowns=2, parts=16, rounds=1)
    assert set(figures) == set(DATALOG_LABELS)
    assert all(figure > 0 for figure in figures.values())
    assert list(tmp_path.iterdir()) == []
