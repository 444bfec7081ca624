"""One seed gives one lot, whatever the hash seed of the interpreter, whoever watches, however busy we are.

Only what the vault made of its own randomness differs: it signs certificates and device records with fresh
random numbers, which no seed of a simulation may reach, so the digest of a record is another one each time.
`HARDBIN_CAMPAIGN=10` makes it that many runs.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from station import events
from station.custody.journal import read
from tests.cell.lots import LOT, lot

RUNS = min(10, int(os.environ.get("HARDBIN_CAMPAIGN", "2")))
FAULTS = (
    *("--fault", "socket.dirt@p=0.2"),
    *("--fault", "reader-2.bad_edc@p=0.01"),
    *("--fault", "handler.drop_srq@every=3"),
    *("--fault", "chip.power_cut=40@every=5"),
)
SPIN = "while True: pass"


@pytest.fixture(name="busy")
def _busy() -> Iterator[None]:
    """Another process that never rests."""
    with subprocess.Popen([sys.executable, "-c", SPIN]) as spinning:
        yield
        spinning.kill()


@pytest.mark.timeout(60 * RUNS)
@pytest.mark.usefixtures("busy")
def test_every_run_of_a_seed_leaves_the_same(tmp_path: Path) -> None:
    first = left(tmp_path / "0", hash_seed="0")
    for number in range(1, RUNS):
        console = ("--console", str(tmp_path / "s"))  # then the vault is watched too
        assert left(tmp_path / str(number), *console, hash_seed=str(1000 * number)) == first


def left(out: Path, *besides: str, hash_seed: str) -> tuple[bytes, list[events.Any], dict[str, Any]]:
    """Run the lot; return its datalog, its journal without digests of device records, and its report."""
    arguments = ("--devices", "14", "--sites", "3", "--seed", "11", *FAULTS)
    _, report = lot(out, *arguments, *besides, hash_seed=hash_seed)
    history = [without_record(event) for event in read(out / LOT / "journal")]
    timed = ("wall_s", "stdf", "store", "journal", "evidence")
    datalog = next(iter((out / LOT).glob("*.std*"))).read_bytes()
    return datalog, history, {key: value for key, value in report.items() if key not in timed}


def without_record(event: events.Any) -> events.Any:
    """Blank what comes from the vault's own randomness."""
    if isinstance(event, events.PersonalisationEnded):
        return msgspec.structs.replace(event, record="")
    return event
