"""Killed with so many records in its journal: journal, store and vault agree, and no process is left."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from select import select

import pytest

from station import events
from station.chaos.evidence import Evidence, complaints_of_a_killed_lot, processes
from station.custody.balance import balance_of
from station.custody.journal import read

LOT, DEVICES = "C", 80
KILLS = 4
END_S = 20.0
"""How long the vault may take to see that nobody holds its lifeline any more."""


def lengths() -> list[int]:
    """How many records the journal has when the process is killed: at load, and somewhere in the lot."""
    random = Random("kill")  # noqa: S311 - chooses moments
    return [1, *sorted(random.randint(8, 150) for _ in range(KILLS - 1))]


@pytest.mark.parametrize("records", lengths())
def test_a_kill(tmp_path: Path, records: int) -> None:
    command = [sys.executable, "-m", "station.cli", "run", "--lot", LOT, "--out", str(tmp_path), "--json"]
    faults = ["--fault", "chip.power_cut=40@p=0.1", "--fault", "socket.dirt@p=0.2"]
    with subprocess.Popen(
        [*command, "--devices", str(DEVICES), "--sites", "4", *faults],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _follow(process, tmp_path / LOT / "journal", records)
        finally:
            os.kill(process.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=30)
    history = list(read(tmp_path / LOT / "journal"))
    assert len(history) >= records
    assert not any(isinstance(event, events.LotClosed) for event in history)
    left = Evidence(DEVICES, (), tmp_path / LOT, process.returncode, said, None)
    _ended(processes(tmp_path / LOT))
    assert complaints_of_a_killed_lot(left) == []
    assert sum(balance_of(history).accounts().values()) == DEVICES
    _datalog_is_not_ahead(history, tmp_path / LOT)


def _follow(process: "subprocess.Popen[str]", journal: Path, records: int) -> None:
    """Return as soon as the journal has so many records."""
    while not journal.exists() or journal.read_bytes().count(b"\n") < records:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
            pytest.fail(f"the run ended early: {process.communicate()[1]}")


def _ended(pids: list[int]) -> None:
    """Wait for processes that are not ours."""
    for pid in pids:
        with suppress(ProcessLookupError):
            watched = os.pidfd_open(pid)
            assert select([watched], [], [], END_S)[0], f"process {pid} is left"
            os.close(watched)


def _datalog_is_not_ahead(history: list[events.Any], folder: Path) -> None:
    """The store holds no landing that the journal does not know as closed."""
    if not (folder / "results.db").exists():
        return
    with closing(sqlite3.connect(folder / "results.db")) as store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
        kept = (
            {seq for (seq,) in store.execute("SELECT seq FROM touchdown")} if "touchdown" in tables else set()
        )
    assert kept <= {event.seq for event in history if isinstance(event, events.ContactsClosed)}
