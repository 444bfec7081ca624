"""The sheet of what a vault was given: who is where, and what does not agree first."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from station.cli.codes import Exit
from station.clock import RealClock
from station.custody.balance import Binned
from station.io_thread import IoThread
from station.vault.client import VaultClient
from station.vault.process import VaultProcess
from tests.cell.lots import here

ENGINEER, OFFICER = ("--development", "p-00000001"), ("--development", "p-00000002")


async def sorted_lot(vault: VaultProcess, io: IoThread) -> None:
    """Three devices of five are in bins: two of them passed."""
    client = VaultClient(vault.socket, clock=RealClock(), io=io, station="cell-1")
    await client.open_lot("W1", product="se1", quantity=5, sorts=True)
    await client.claim(
        "W1", [Binned(f"W1/{n}", 4 if n == 3 else 1, "fail" if n == 3 else "pass") for n in (1, 2, 3)]
    )
    await client.aclose()


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultProcess]:
    io, process = IoThread(), VaultProcess.start(tmp_path / "vault", seed=1)
    io.start()
    monkeypatch.setenv("HARDBIN_DESK", os.fspath(process.desk))
    asyncio.run(sorted_lot(process, io))
    yield process
    io.stop()
    process.stop()


def test_who_is_where_and_what_is_missing_first(vault: VaultProcess) -> None:
    del vault
    said = here("perso", "report", *ENGINEER)
    assert said.returncode == Exit.OK, said.stderr
    assert said.stdout.splitlines() == [
        "W1: open, 5 received = 2 WIP, 2 PASSED, 1 REJECT_HELD; difference zero; stays open: "
        + said.stdout.splitlines()[0].partition("stays open: ")[2],
        "  2 in WIP that no station has brought yet",
        "  W1/3: REJECT_HELD, ADMITTED",
        "no orders",
    ]
    asked = here("perso", "missing", "W1", "W1/2", "--incident", "I-7", "--reason", "gone", *ENGINEER)
    assert asked.returncode == Exit.DUAL
    digest = asked.stderr.strip().rpartition(" ")[2]
    assert here("approve", digest, "--yes", *OFFICER).returncode == Exit.OK
    said = here("perso", "report", "W1", "--json", *ENGINEER)
    assert said.returncode == Exit.INTEGRITY
    told = msgspec.json.decode(said.stdout)
    assert told["differences"] == ["W1"]
    (lot,) = told["lots"]
    assert [one["unit"] for one in lot["units"]["MISSING"]] == ["W1/2"]
    assert here("perso", "report", *ENGINEER).stdout.startswith("DIFFERENCE W1: ")
    assert here("perso", "report", "W9", *ENGINEER).returncode == Exit.NOT_FOUND
