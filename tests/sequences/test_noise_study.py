"""A megabit of a chip's noise: judged, and kept as NIST's program wants it."""

from pathlib import Path

import pytest

from drivers.protocols import se1
from sequences.se1.noise_study import BITS, NOISE_STUDY
from sequences.se1.site import PAYLOAD
from sim.dut.chip import Chip
from tests.sequences.test_se1 import passes, site_with

ROWS = tuple(test for test in NOISE_STUDY.tests() if test.number >= 600)


def powered() -> Chip:
    chip = Chip.from_sort(3, seed="rows", latency="zero", payload=PAYLOAD)
    chip.power(3.3)
    return chip


async def test_sound_noise_passes_and_is_kept_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chip = powered()
    site = site_with(chip)
    await site.chip.power_on()
    with site.noise.kept(b""):
        assert [test.name for test in ROWS if not await passes(site, test)] == []
    told, _ = chip.apdu(se1.command("GET UID"))
    assert told is not None
    kept = (tmp_path / "noise" / f"{se1.uid_of(told[:-2]).hex()}.bin").read_bytes()
    assert len(kept) == BITS
    assert set(kept) == {0, 1}


async def test_noise_with_a_period_fails_where_tuples_are_counted() -> None:
    site = site_with(powered())
    with site.noise.kept(bytes([0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1]) * 500):
        assert "tuples" in [test.name for test in ROWS[1:] if not await passes(site, test)]


def test_a_study_writes_nothing_into_a_chip() -> None:
    assert NOISE_STUDY.product == "se1"
    assert not any(test.name == "personalise" for test in NOISE_STUDY.tests())
