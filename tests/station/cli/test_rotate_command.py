"""`hardbin audit rotate` and `recipe release` at a real vault's desk, and what an auditor makes of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.custody.checkpoint import parsed
from station.custody.ledger import Entry, decoded
from station.custody.tiles import TileReader
from station.vault.names import ORIGIN
from station.vault.process import VaultProcess

ENGINEER, OFFICER = (["--development", f"p-0000000{n}"] for n in (1, 2))
NEW = "plant.example/vault-1/2027"
DRAFT = """
name = "se1-ft"
version = 4
product = "se1"
sequence = "se1-final-test"
limits.100 = { low = -0.8, high = -0.35 }
"""


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultProcess]:
    vault = VaultProcess.start(tmp_path / "vault", seed=1, ready_s=60)
    os.environ["HARDBIN_DESK"] = str(vault.desk)
    yield vault
    del os.environ["HARDBIN_DESK"]
    vault.stop()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = code_of(arguments)
    out, err = capsys.readouterr()
    return code, out + err


def approved(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Have the engineer ask for something, and the officer approve it."""
    code, out = said(capsys, *arguments, *ENGINEER)
    assert code == Exit.DUAL, out
    digest = out.strip().rpartition(" ")[2]
    return said(capsys, "approve", digest, "--yes", *OFFICER)


def told(ledger: Path, event: str) -> list[Entry]:
    """The entries of a ledger's folder that tell of an event."""
    reader = TileReader(ledger, parsed((ledger / "checkpoint").read_bytes()).checkpoint.size)
    found = (decoded(entry) for _, entry in reader.entries_from(0))
    return [one for one in found if one.event == event]


def test_a_log_is_rotated_by_two_and_both_logs_are_checked_as_one_ledger(
    vault: VaultProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = vault.folder
    keys = folder / "ledger.keys"
    code, names = said(capsys, "audit", "rename", str(keys), "--name", NEW)
    assert code == Exit.OK
    assert said(capsys, "audit", "rename", str(keys), "--name", "two words")[0] == Exit.USAGE
    code, out = approved(capsys, "audit", "rotate", NEW, "--reason", "a new year")
    assert code == Exit.OK, out
    assert said(capsys, "audit", "rotate", NEW, "--reason", "again", *ENGINEER)[0] == Exit.DUAL
    vault.stop()  # what waits is published
    old, new = folder / "ledgers" / "1", folder / "ledger"
    assert keys.read_text() == names, "the witnesses got them beforehand"
    both = ["--key", str(old / "keys"), "--key", str(keys)]
    code, out = said(capsys, "audit", "verify", str(old), str(new), *both)
    assert code == Exit.OK, out
    assert f"{old}: {ORIGIN}" in out
    assert f"{new}: {NEW}" in out
    assert out.count(", sound") == 2
    code, out = said(capsys, "audit", "verify", str(new), str(old), *both, "--json")
    report = msgspec.json.decode(out)
    assert (code, report["sound"]) == (Exit.INTEGRITY, False)
    assert [one["origin"] for one in report["logs"]] == [NEW, ORIGIN]
    assert report["findings"][0]["what"].startswith(f"the last entry of {NEW} names no log as the next")
    again = VaultProcess.start(folder, ready_s=60)
    again.stop()
    assert said(capsys, "audit", "verify", str(old), str(new), *both)[0] == Exit.OK
    assert [entry.data["origin"] for entry in told(new, "log.opened")] == [NEW]


def test_a_vault_that_is_killed_once_a_log_has_ended_goes_on_with_the_next(
    vault: VaultProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = vault.folder
    old, new = folder / "ledgers" / "1", folder / "ledger"
    assert approved(capsys, "audit", "rotate", NEW, "--reason", "a new year")[0] == Exit.OK
    os.kill(vault.pid, signal.SIGKILL)
    vault.stop()
    again = VaultProcess.start(folder, ready_s=60)
    again.stop()
    keys = ["--key", str(old / "keys"), "--key", str(folder / "ledger.keys")]
    code, out = said(capsys, "audit", "verify", str(old), str(new), *keys)
    assert code == Exit.OK, out
    assert len(told(old, "log.rotated")) == len(told(new, "log.opened")) == 1


def test_a_recipe_that_two_persons_believe_in_is_released_once(
    vault: VaultProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft, recipe, trust = tmp_path / "draft.toml", tmp_path / "recipe", tmp_path / "trust.toml"
    draft.write_text(DRAFT)
    code, out = said(capsys, "recipe", "build", str(draft), "--out", str(recipe), "--json")
    fingerprint = msgspec.json.decode(out)["fingerprint"]
    trust.write_text("".join(said(capsys, "recipe", "key", *who)[1] for who in (ENGINEER, OFFICER)))
    for number, who in enumerate((ENGINEER, OFFICER)):
        release = ["recipe", "release", str(recipe), "--trust", str(trust)]
        assert said(capsys, *release, *ENGINEER)[0] == Exit.TRUST, "not both have signed it"
        out_ = tmp_path / f"signed.{number}"
        assert said(capsys, "recipe", "sign", str(recipe), "--out", str(out_), *who)[0] == Exit.OK
        recipe = out_
    release = ["recipe", "release", str(recipe), "--trust", str(trust)]
    code, out = approved(capsys, *release)
    assert code == Exit.OK, out
    code, out = approved(capsys, *release)
    assert (code, "se1-ft 4 was released before" in out) == (Exit.WRONG_STATE, True)
    vault.stop()
    (leaf,) = told(vault.folder / "ledger", "recipe.released")
    wanted = {"name": "se1-ft", "version": 4, "product": "se1", "fingerprint": fingerprint}
    assert wanted.items() <= leaf.data.items()
    assert leaf.data["signed_by"] == ["p-00000001", "p-00000002"]
