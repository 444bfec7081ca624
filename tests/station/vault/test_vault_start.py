"""How a vault's process starts and ends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import pytest

from station.errors import CustodyError
from station.vault.process import VaultProcess
from tests.station.vault.dies import NOW

SELECTED = 1_024
"""The numbers that `select` takes end below."""


@contextmanager
def every_low_number_taken() -> Iterator[None]:
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (max(soft, 2 * SELECTED), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(SELECTED)]
    try:
        yield
    finally:
        for file in files:
            os.close(file)
        setrlimit(RLIMIT_NOFILE, (soft, hard))


def test_a_vault_starts_for_a_station_with_a_thousand_files_open(tmp_path: Path) -> None:
    with every_low_number_taken():
        vault = VaultProcess.start(tmp_path)
        assert vault.stop() == 0


def test_it_ends_when_its_starter_lets_go(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "station.vault",
        "--folder",
        str(tmp_path),
        "--socket",
        str(tmp_path / "s"),
    ]
    vault = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert vault.stdout is not None
    assert vault.stdin is not None
    assert vault.stdout.readline().startswith(b"vault ready")
    vault.stdin.close()
    assert vault.wait(20) == 0
    vault.stdout.close()


def test_two_vaults_on_one_folder_are_refused(tmp_path: Path) -> None:
    first = VaultProcess.start(tmp_path)
    with pytest.raises(CustodyError, match="ended before it served"):
        VaultProcess.start(tmp_path)
    assert b"another vault runs on this folder" in (tmp_path / "vault.log").read_bytes()
    assert first.running
    first.stop()


def test_a_stopped_vault_says_that_all_is_well(tmp_path: Path) -> None:
    vault = VaultProcess.start(tmp_path / ("long" * 30), epoch=NOW)
    assert vault.folder.stat().st_mode & 0o777 == 0o700
    assert vault.stop() == 0
    assert vault.stop() == 0


def test_a_module_in_the_current_folder_is_not_taken_for_one_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("secrets", "grp"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    vault = VaultProcess.start(tmp_path / "vault")
    assert vault.stop() == 0


def test_whoever_is_interrupted_while_a_vault_starts_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = list["subprocess.Popen[bytes]"]()

    def interrupted(process: "subprocess.Popen[bytes]", _: float) -> str:
        began.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr("station.vault.process._why_not_ready", interrupted)
    with pytest.raises(KeyboardInterrupt):
        VaultProcess.start(tmp_path / "v")
    assert began[0].poll() is not None
