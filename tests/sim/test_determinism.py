"""A virtual run is the same in every process: hash seed, debug mode, pace and a busy machine do not show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUSY = "while True: sum(range(10000))"


def digest(*arguments: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.sim.virtual_run", *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def expected() -> str:
    return digest(PYTHONHASHSEED="0")


def test_something_happened(expected: str) -> None:
    assert int(expected.split()[1]) > 200


@pytest.mark.parametrize("seed", ["1", "random"])
def test_whatever_the_hash_seed(expected: str, seed: str) -> None:
    assert digest(PYTHONHASHSEED=seed) == expected


def test_in_asyncios_debug_mode(expected: str) -> None:
    assert digest(PYTHONASYNCIODEBUG="1", PYTHONHASHSEED="2") == expected


def test_paced(expected: str) -> None:
    assert digest("5") == expected


def test_beside_a_busy_process(expected: str) -> None:
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        assert digest(PYTHONHASHSEED="3") == expected
    finally:
        busy.kill()
        busy.wait()
