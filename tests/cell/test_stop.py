"""Stopping in the middle: by a signal the cell is made safe; by a kill nothing is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from station import events
from station.custody.balance import balance_of
from station.custody.journal import read

LOT = "K1"


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-u", "-m", "station.cli", "run", "--lot", LOT, "--out", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--devices", "5000", "--sites", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        yield process
        if process.poll() is None:
            process.kill()


def until(process: "subprocess.Popen[str]", journal: Path, seen: Callable[[list[events.Any]], bool]) -> None:
    """Follow the journal of a running lot until it holds what is wanted."""
    while process.poll() is None:
        if journal.exists() and seen(list(read(journal))):
            return
    pytest.fail(f"the run ended early: {process.stdout and process.stdout.read()}")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def intends(history: list[events.Any]) -> bool:
    return sum(isinstance(event, events.Intended) for event in history) > 5


@pytest.mark.parametrize(("send", "number"), [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)])
def test_a_signal_stops_at_the_boundary_makes_safe_and_leaves_the_lot_open(
    running: "subprocess.Popen[str]",
    tmp_path: Path,
    send: Callable[[int, int], None],
    number: signal.Signals,
) -> None:
    """Alone, and with all processes that a terminal's Ctrl-C reaches."""
    journal = tmp_path / LOT / "journal"
    until(running, journal, intends)
    send(running.pid, number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert "Traceback" not in err
    history = list(read(journal))
    states = [event.new for event in history if isinstance(event, events.StateChanged)]
    assert states[-2:] == ["PAUSING", "PAUSED"], "nobody need look at a cell that was stopped in order"
    safe = [event for event in history if isinstance(event, events.MadeSafe)]
    assert safe[-1].unverified == ()
    assert safe[-1].time_to_safe_s < 2.0
    assert not any(isinstance(event, events.LotClosed) for event in history)
    assert (tmp_path / LOT / "evidence.tar").exists()
    assert list((tmp_path / LOT).glob("*.std")) == []


def test_a_lot_that_was_stopped_in_order_goes_on_without_a_look(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "station.cli", "run", "--out", str(tmp_path)]
    size = ("--lot", LOT, "--devices", "40", "--sites", "4", "--speed", "2")
    with subprocess.Popen([*command, *size], stdout=subprocess.PIPE, text=True) as process:
        until(process, tmp_path / LOT / "journal", intends)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    again = subprocess.run([*command, "--resume", LOT], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    history = list(read(tmp_path / LOT / "journal"))
    assert sum(isinstance(event, events.LotClosed) for event in history) == 1
    assert "ABORTED" not in [event.new for event in history if isinstance(event, events.StateChanged)]
    assert sum(balance_of(history, identities=True).accounts().values()) == 40


@pytest.mark.parametrize("option", ["--json", "--speed=jump"])
def test_a_reader_that_is_gone_does_not_stop_the_lot(tmp_path: Path, option: str) -> None:
    command = [sys.executable, "-m", "station.cli", "run", "--lot", LOT, "--out", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--devices", "6", "--sites", "3", option],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")
    assert isinstance(list(read(tmp_path / LOT / "journal"))[-1], events.StateChanged)


def test_after_a_kill_the_journal_holds_every_device_and_no_process_is_left(
    running: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    folder = tmp_path / LOT
    until(running, folder / "journal", intends)
    vaults = children(running.pid)
    assert len(vaults) == 1
    os.kill(running.pid, signal.SIGKILL)
    running.wait(30)
    while any(alive(pid) for pid in vaults):
        pass
    history = list(read(folder / "journal"))
    balance = balance_of(history, identities=True)
    opened = {
        part
        for event in history
        if isinstance(event, events.TouchdownOpened)
        for part in event.parts.values()
    }
    assert set(balance.parts()) == opened
    assert sum(balance.accounts().values()) == 5000
    _journal_and_store_agree(history, folder / "results.db")
    _journal_and_vault_agree(balance.uids or {}, {p for p in opened if balance.spoiled(p)}, folder)


def _journal_and_store_agree(history: list[events.Any], store: Path) -> None:
    """Bins were only sent for landings that the store holds whole."""
    connection = sqlite3.connect(store)
    kept = {seq for (seq,) in connection.execute("SELECT seq FROM touchdown")}
    connection.close()
    sent = {event.seq for event in history if isinstance(event, events.BinsSent)}
    assert sent <= kept


def _journal_and_vault_agree(sealed: dict[int, str], spoiled: set[int], folder: Path) -> None:
    """What the vault has sealed, the journal has as sealed, or as spoiled until the vault is asked."""
    connection = sqlite3.connect(folder / "vault" / "vault.sqlite")
    units = {int(unit.partition("/")[2]) for (unit,) in connection.execute("SELECT unit FROM record")}
    connection.close()
    assert set(sealed) <= units <= set(sealed) | spoiled
