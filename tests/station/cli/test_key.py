"""`hardbin key`: as it is typed, against real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from station.cli import code_of, hardbin
from station.cli.codes import Exit
from tests.station.vault.keys.stores import PASSPHRASES


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A passphrase file of each custodian."""
    made = {}
    for name, said in PASSPHRASES.items():
        path = tmp_path / name
        path.write_bytes(said + b"\n")
        made[name] = str(path)
    return made


def initialised(folder: Path, files: dict[str, str]) -> None:
    custodians = [word for name in files for word in ("--custodian", name)]
    passphrases = [word for path in files.values() for word in ("--passphrase-file", path)]
    assert code_of(["key", "init", str(folder), *custodians, *passphrases]) == Exit.OK


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """A key store process that serves people only."""
    process = subprocess.Popen(
        [sys.executable, "-m", "station.vault.keys", "--folder", str(folder)], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        assert process.stderr.readline().startswith(b"hardbin-keys: serving")
        yield
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stderr.close()


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return msgspec.json.decode(capsys.readouterr().out, type=dict[str, object])


def test_a_store_is_made_opened_by_two_and_destroyed(
    tmp_path: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "store"
    store = str(folder)
    initialised(folder, files)
    out = capsys.readouterr().out
    assert "sealed: production store" in out
    assert "0 of 2 shares; custodians: anna, ben, cleo" in out
    anna = ["key", "activate", store, "--custodian", "anna", "--passphrase-file"]
    assert code_of([*anna, files["anna"]]) == Exit.WRONG_STATE
    assert "no key store process runs" in capsys.readouterr().err
    with serving(folder):
        assert code_of([*anna, files["ben"]]) == Exit.DENIED
        assert "does not open the share of anna" in capsys.readouterr().err
        assert code_of([*anna, files["anna"]]) == Exit.OK
        assert "1 of 2 shares" in capsys.readouterr().out
        descriptor = os.open(files["cleo"], os.O_RDONLY)
        cleo = ["key", "activate", store, "--custodian", "cleo", "--passphrase-fd", str(descriptor), "--json"]
        assert code_of(cleo) == Exit.OK
        os.close(descriptor)
        health = told(capsys)
        assert (health["state"], health["shares"]) == ("active", 0)
        assert code_of(["key", "list", store, "--json"]) == Exit.OK
        assert capsys.readouterr().out == "[]\n"
        assert code_of(["key", "zeroise", store, "--store", "00"]) == Exit.WRONG_STATE
        assert str(health["store"]) in capsys.readouterr().err
        assert code_of(["key", "zeroise", store, "--store", str(health["store"])]) == Exit.OK
    assert code_of(["key", "status", store]) == Exit.OK
    assert "zeroised" in capsys.readouterr().out


def test_a_development_store_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(tmp_path / "store")
    assert code_of(["key", "init", store, "--development"]) == Exit.OK
    assert "it protects nothing" in capsys.readouterr().out
    assert code_of(["key", "status", store, "--json"]) == Exit.OK
    assert told(capsys)["mode"] == "development"
    assert code_of(["key", "init", store, "--development"]) == Exit.WRONG_STATE
    assert "there is a key store already" in capsys.readouterr().err


def test_passphrases_can_be_typed(tmp_path: Path) -> None:
    custodians = [word for name in PASSPHRASES for word in ("--custodian", name)]
    typed = "".join(f"{said.decode()}\n" * 2 for said in PASSPHRASES.values())
    said = CliRunner().invoke(hardbin, ["key", "init", str(tmp_path / "store"), *custodians], input=typed)
    assert said.exit_code == Exit.OK, said.output
    assert "sealed: production store" in said.output
    assert "planted" not in said.output


def test_what_is_wrong_is_said(
    tmp_path: Path, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store")
    one = ["--custodian", "anna", "--passphrase-file", files["anna"]]
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for arguments, code, message in (
        (["init", store, *one], Exit.CONFIG, "a store for production has 3 different custodians"),
        (["init", store, "--development", *one], Exit.USAGE, "a development store has no custodians"),
        (["init", store, *one, "--passphrase-fd", "0"], Exit.USAGE, "2 passphrases for 1 custodians"),
        (["init", store, "--token", "t"], Exit.USAGE, "--module and --token come together"),
        (["init", store, "--custodian", "a", "--passphrase-file", str(empty)], Exit.USAGE, "no passphrase"),
        (["init", store, "--custodian", "a", "--passphrase-fd", "999"], Exit.USAGE, "Bad file descriptor"),
        (["status", str(tmp_path / "nothing")], Exit.NOT_FOUND, "there is no such folder"),
        (["status", str(tmp_path)], Exit.WRONG_STATE, "there is no key store yet"),
    ):
        assert code_of(["key", *arguments]) == code, arguments
        assert message in capsys.readouterr().err
    assert not (tmp_path / "store" / "keys.hbks").exists()


def test_a_damaged_store_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys.hbks").write_bytes(b"HBKS\x01 something else")
    assert code_of(["key", "status", str(tmp_path)]) == Exit.INTEGRITY
    assert "damaged, or not a key store of this version" in capsys.readouterr().err
