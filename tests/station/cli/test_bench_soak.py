"""`hardbin bench soak`: what it measures is there, and a shift ends when its hours are over."""

from pathlib import Path

import pytest
from msgspec import json

from station.cli import bench_soak, code_of
from station.cli.bench_all import Report
from station.cli.codes import Exit
from station.engine.bench import soaked


def test_every_device_of_the_long_lot_is_on_disk_and_memory_is_seen_ten_times(tmp_path: Path) -> None:
    figures = soaked(1300, 64, 2, tmp_path)
    memory = figures["resident_mb"]
    assert isinstance(memory, list)
    assert (figures["devices"], figures["sites"], len(memory)) == (1280, 64, 10)
    assert figures["growth_mb"] == pytest.approx(memory[-1] - memory[0], abs=0.11)
    assert {path.name for path in tmp_path.iterdir()} >= {"journal", "results.db"}
    assert figures["disk_mb"]


def test_a_shift_has_lots_until_its_hours_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[tuple[str, ...]]()

    def asked(*words: str) -> Report:
        told.append(words)
        truth = {"escapes": [], "unexplained": [7], "misplaced": [], "custody": []}
        return {"simulated_s": 1500.0, "wall_s": 2.0, "tested": 10, "truth": truth}

    monkeypatch.setattr(bench_soak, "asked", asked)
    figures = bench_soak.shift(1.0, "wafer-sort", 10)
    assert (figures["shift_lots"], figures["shift_devices"], figures["shift_wrong"]) == (3, 30, 3)
    assert (figures["shift_hours"], figures["shift_wall_s"]) == (1.25, 6.0)
    assert len({words[words.index("--seed") + 1] for words in told}) == len(told)


@pytest.mark.timeout(300)
def test_a_small_one_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--devices", "640", "--hours", "0.001", "--lot-devices", "4"]
    assert code_of(["bench", "soak", *size, "--json"]) == Exit.OK
    figures = json.decode(capsys.readouterr().out)
    assert (figures["devices"], figures["shift_devices"], figures["shift_wrong"]) == (640, 4, 0)
    assert set(bench_soak.LABELS) | {"resident_mb"} == set(figures)
