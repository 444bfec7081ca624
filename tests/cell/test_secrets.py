"""After a whole lot no secret is anywhere but in the key store, and nobody else may write what is there."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.dut import crypto
from station.cli import code_of
from station.cli.codes import Exit
from station.vault.client import VaultProcess
from station.vault.development import master
from station.vault.names import ISSUER_MASTER, RAW_MASTER, TEST_MASTER, TRANSPORT_MASTER

ROOT = Path(__file__).parent.parent.parent
SEED = 7
PART = 16
"""So many bytes of a secret, at any multiple of it, are a leak."""
LOT = ("--devices", "24", "--sites", "4", "--lot", "T1", "--seed", str(SEED), "--speed", "jump", "--json")
KEYS = "T1/vault/keys"


def parts(secrets: set[bytes]) -> Iterator[bytes]:
    """Pieces of secrets, as bytes and as text of a log, a report or a database."""
    for secret in secrets:
        for at in range(0, len(secret) - PART + 1, PART):
            part = secret[at : at + PART]
            yield from (part, part.hex().encode(), part.hex().upper().encode())


def leaks(folder: Path, secrets: set[bytes]) -> list[str]:
    """The files outside the key store that hold a part of a secret."""
    wanted = list(parts(secrets))
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and folder / KEYS not in path.parents
    ]
    return [path.name for path in files if any(part in path.read_bytes() for part in wanted)]


def test_no_file_and_no_word_of_a_lot_holds_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Store, STDF, journal, events, report, evidence, ledger, logs of station and vault, the terminal."""
    born: set[bytes] = set()
    made = crypto.keypair

    def keypair(algorithm: int, seed: bytes) -> tuple[bytes, bytes]:
        private, public = made(algorithm, seed)
        born.add(private)
        return private, public

    monkeypatch.setattr(crypto, "keypair", keypair)
    monkeypatch.setenv("HARDBIN_LOG", "json")
    assert code_of(["run", *LOT, "--out", str(tmp_path)]) == Exit.OK
    said = capfd.readouterr()
    (tmp_path / "terminal").write_text(said.out + said.err)
    masters = {master(name, SEED) for name in (ISSUER_MASTER, TRANSPORT_MASTER, TEST_MASTER, RAW_MASTER)}
    assert len(born) > 2 * 12, "devices were personalised"
    kinds = {path.suffix or path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {".std", ".db", ".tar", ".log", ".sqlite", ".json", "journal", "terminal"} <= kinds
    assert leaks(tmp_path, born | masters) == []
    _the_search_finds(tmp_path, min(born))


def _the_search_finds(folder: Path, secret: bytes) -> None:
    for number, leak in enumerate((b"x" + secret[PART : 2 * PART], secret[:PART].hex().encode())):
        planted = folder / f"planted-{number}"
        planted.write_bytes(leak)
        assert leaks(folder, {secret}) == [planted.name]
        planted.unlink()


def descendants(pid: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from descendants(int(child))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc")
def test_whoever_holds_secrets_leaves_no_core_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vault = VaultProcess.start(tmp_path / "vault", seed=SEED)
    try:
        found = list(descendants(vault.pid))
        assert len(found) >= 2, "vault and key store"
        for pid in found:
            limits = Path(f"/proc/{pid}/limits").read_text()
            (core,) = (line.split()[-3:-1] for line in limits.splitlines() if "core file" in line)
            assert core == ["0", "0"], pid
        os.kill(vault.pid, signal.SIGABRT)
    finally:
        vault.stop()
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("core")]


def test_whatever_the_umask_nobody_else_writes_a_file_or_reads_a_secret(tmp_path: Path) -> None:
    script = f"umask 0; exec {sys.executable} -m station.cli run {' '.join(LOT)} --out {tmp_path}/lots"
    done = subprocess.run(
        ["sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "lots").rglob("*")}
    assert len(modes) > 20
    assert [path for path, mode in modes.items() if mode & 0o022] == [], "others may write"
    assert [path for path, mode in modes.items() if mode & 0o007] == [], "the world may read"
    inside = {path: mode for path, mode in modes.items() if "vault" in path.parts}
    assert [path for path, mode in inside.items() if mode & 0o077] == []
