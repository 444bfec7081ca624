"""A lot's noise sources together: what fair bits show, and a bias, a stranger, a run that are no chance."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec import json
from scipy.stats import binom

from station.analysis.lot import lot_of
from station.analysis.noise import Noise, most_common, noise
from station.cli.report import report
from station.datalog.store import Store
from station.errors import AnalysisError
from station.model import Bin, BinKind, DeviceResult, Limit, Measurement, TestDefinition, Verdict
from tests.station.datalog.lots import BEGAN, SUPPLY, lot, touchdown

GOOD = Bin(1, "good", 1, BinKind.PASS)
BITS = 16_384
ROWS = {430: "trng_repetition", 440: "trng_proportion", 450: "trng_bias", 480: "trng_min_entropy"}
HIGHEST = {430: 40.0, 440: 624.0, 450: 0.53, 480: None}


def stored(folder: Path, bits: list[np.ndarray[tuple[int], np.dtype[np.uint8]]]) -> Path:
    """A store of a lot whose parts drew these bits."""
    tests = tuple(TestDefinition(n, name, "P", Limit(None, HIGHEST[n], "")) for n, name in ROWS.items())
    info, store = lot(tests=tests), Store(folder / "results.db")
    store.open()
    store.begin(info)
    for part, drawn in enumerate(bits, 1):
        store.commit(touchdown(part, device(part, drawn)))
    store.close()
    return folder / "results.db"


def device(part: int, bits: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> DeviceResult:
    changes = np.flatnonzero(np.diff(bits)) + 1
    run = int(np.diff(np.concatenate(([0], changes, [len(bits)]))).max())
    windows = bits[: len(bits) // 1024 * 1024].reshape(-1, 1024)
    fullest = int((windows == windows[:, :1]).sum(axis=1).max())
    read = {430: float(run), 440: float(fullest), 450: float(bits.mean()), 480: 6.2}
    measured = tuple(
        Measurement(number, name, "P", verdict(number, read[number]), value=read[number])
        for number, name in ROWS.items()
    )
    passed = all(one.verdict is Verdict.PASSED for one in measured)
    total = Verdict.PASSED if passed else Verdict.FAILED
    return DeviceResult(1, part, 1, GOOD if passed else SUPPLY, total, measured, BEGAN + part, 0.5)


def verdict(number: int, value: float) -> Verdict:
    highest = HIGHEST[number]
    return Verdict.FAILED if highest is not None and value > highest else Verdict.PASSED


def drawn(parts: int, ones: float = 0.5, seed: int = 1) -> list[np.ndarray[tuple[int], np.dtype[np.uint8]]]:
    random = np.random.default_rng(seed)
    return [(random.random(BITS) < ones).astype(np.uint8) for _ in range(parts)]


def told(folder: Path, bits: list[np.ndarray[tuple[int], np.dtype[np.uint8]]]) -> Noise:
    return noise(lot_of(stored(folder, bits)), BITS // 8)


def test_the_most_common_value_is_that_of_the_standard() -> None:
    """6.3.1, by hand: 0.5 + 2.5758 * 0.5 / sqrt(999,999) = 0.501288."""
    assert most_common(0.5, 1_000_000) == pytest.approx(0.996289, abs=1e-6)
    assert most_common(0.44, 1_000_000) == most_common(0.56, 1_000_000)
    assert most_common(1.0, 100) == 0.0


def test_fair_parts_are_alike_and_show_no_more_than_chance(tmp_path: Path) -> None:
    found = told(tmp_path, drawn(40))
    assert (found.parts, found.left_out, found.bits) == (40, 0, 40 * BITS)
    assert found.alike
    assert 0.99 < found.entropy_per_bit < 1.0
    assert found.weakest.value < found.entropy_per_bit, "of fewer bits less can be said"
    assert found.longest_run.p > 0.01
    assert found.worst_proportion.p > 0.01


def test_a_bias_that_no_part_fails_shows_in_the_lot(tmp_path: Path) -> None:
    found = told(tmp_path, drawn(40, ones=0.505))
    assert found.left_out == 0
    assert found.alike, "all have the same"
    assert found.entropy_per_bit < most_common(0.5, found.bits) - 0.005


def test_one_part_with_another_source_is_told(tmp_path: Path) -> None:
    found = told(tmp_path, [*drawn(39), *drawn(1, ones=0.475, seed=9)])
    assert not found.alike
    assert found.weakest.part == "40"
    assert found.weakest.p < 1e-6


def test_parts_that_failed_are_left_out_and_counted(tmp_path: Path) -> None:
    found = told(tmp_path, [np.ones(BITS, np.uint8), *drawn(5)])
    assert (found.parts, found.left_out) == (5, 1)


def test_what_is_no_chance_has_a_small_p(tmp_path: Path) -> None:
    """A run of 35 in 81,920 fair bits: 81,920 / 2^35. A window of 580: the tail of the binomial, 80 times."""
    bits = drawn(5)
    bits[2][100:135] = 1
    bits[2][[99, 135]] = 0
    bits[3][1024:2048] = drawn(1, ones=0.58, seed=3)[0][:1024]
    bits[3][1024] = 1
    found = told(tmp_path, bits)
    assert (found.longest_run.part, found.longest_run.value) == ("3", 35)
    assert found.longest_run.p == pytest.approx(5 * BITS / 2**35, rel=1e-3)
    assert found.worst_proportion.part == "4"
    tail = float(binom.sf(found.worst_proportion.value - 2, 1023, 0.5))
    assert found.worst_proportion.p == pytest.approx(80 * tail, rel=1e-2)


def test_a_lot_without_noise_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.db")
    store.open()
    store.begin(lot())
    store.close()
    with pytest.raises(AnalysisError, match="no test trng_bias"):
        noise(lot_of(tmp_path / "results.db"), 2048)


def test_the_command_says_the_same_as_its_json(tmp_path: Path) -> None:
    path = str(stored(tmp_path, drawn(4)))
    shown = CliRunner().invoke(report, ["noise", path])
    assert shown.exit_code == 0, shown.output
    found = json.decode(CliRunner().invoke(report, ["noise", path, "--json"]).output, type=Noise)
    assert f"4 parts, {4 * BITS:,} bits of noise\n" in shown.output
    assert f"share of ones {found.ones:.6f}" in shown.output
