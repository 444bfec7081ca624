"""A virtual run is the same in every process: hash seed, debug mode, pace and a busy machine do not show."""

import os
import signal
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


INTERRUPTED = """
import asyncio, sys
from drivers.transports.worker import Worker
from sim.time import new_loop

async def main():
    loop = asyncio.get_running_loop()
    worker = Worker("a")
    print("begun", flush=True)
    try:
        while True:
            await worker.call(loop.clock.sleep, 0.01)
    finally:
        print("closed", await worker.aclose(), flush=True)

speed = float(sys.argv[1]) or None
with asyncio.Runner(loop_factory=lambda: new_loop(speed)) as runner:
    runner.run(main())
"""


@pytest.mark.parametrize("speed", ["0", "1"])
def test_an_interrupt_from_the_keyboard_ends_a_run_in_order(speed: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, speed]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        run.send_signal(signal.SIGINT)
        said, complained = run.communicate(timeout=60)
    assert said == "closed True\n", complained
    assert complained.endswith("KeyboardInterrupt\n")


def test_beside_a_busy_process(expected: str) -> None:
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        assert digest(PYTHONHASHSEED="3") == expected
    finally:
        busy.kill()
        busy.wait()
