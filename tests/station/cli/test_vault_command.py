"""`hardbin vault`: the vault itself, and other names for what there is."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import json

from station.cli import code_of
from station.cli.codes import Exit
from station.vault.process import desk_of
from tests.cell.lots import here


@pytest.mark.timeout(120)
def test_a_vault_runs_and_says_who_it_is(tmp_path: Path) -> None:
    socket = tmp_path / "s"
    (tmp_path / "v").mkdir()
    command = [sys.executable, "-m", "station.cli", "vault", "run", "--folder", str(tmp_path / "v")]
    with subprocess.Popen(
        [*command, "--socket", str(socket)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == f"vault ready {socket}\n"
        said = here("vault", "status", "--json", "--desk", str(desk_of(socket)))
        process.stdin.close()  # it never outlives who started it
    assert process.returncode == 0
    assert json.decode(said.stdout)["mode"] == "development"


def test_a_store_is_made_and_ended(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert here("vault", "init", str(folder), "--development", "--json").returncode == Exit.OK
    told = json.decode(here("key", "status", str(folder), "--json").stdout)
    ended = here("vault", "zeroise", str(folder), "--store", told["store"])
    assert ended.returncode == Exit.OK, ended.stderr
    words = tmp_path / "words"
    words.write_text("whatever\n")
    again = here("vault", "activate", str(folder), "--custodian", "x", "--passphrase-file", str(words))
    assert again.returncode not in (Exit.OK, Exit.UNEXPECTED), "no custodian opens it again"


def test_a_vault_needs_a_folder_that_is_there_and_a_socket(tmp_path: Path) -> None:
    said = here("vault", "run", "--folder", str(tmp_path))
    assert (said.returncode, "--socket" in said.stderr) == (Exit.USAGE, True)
    said = here("vault", "run", "--folder", str(tmp_path / "x"), "--socket", str(tmp_path / "s"))
    assert (said.returncode, "does not exist" in said.stderr) == (Exit.USAGE, True)
    assert not (tmp_path / "x").exists()


def test_a_bench_is_ended_by_a_signal_as_by_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = list[bool]()

    @contextmanager
    def asked_to_end(*, ahead: bool) -> Iterator[None]:
        try:
            signal.raise_signal(signal.SIGTERM)
            yield
        finally:
            closed.append(ahead)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("station.vault.bench_dies.bench", asked_to_end)
    assert code_of(["bench", "vault"]) == Exit.INTERRUPTED
    assert closed == [False]
    assert signal.getsignal(signal.SIGTERM) is before
