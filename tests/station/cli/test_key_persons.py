"""`hardbin key trust` and `hardbin key seal`: what persons and customers bring."""

from pathlib import Path

import msgspec
import pytest

from station.cli import code_of
from station.cli.codes import Exit
from station.vault.ceremonies import bundle
from station.vault.ceremonies.attributes import Dumped
from station.vault.desk import signers
from station.vault.keys import calls
from station.vault.keys.control import own
from station.vault.keys.words import (
    Algorithm,
    Approval,
    Attributes,
    Entry,
    Health,
    KeyProfile,
    KeyState,
    Purpose,
    SealedKey,
)
from tests.station.cli.test_key import initialised
from tests.station.cli.test_key_states import opening, passphrase_files
from tests.station.vault.keys.stores import PASSPHRASES, work_order_of

MASTER = b"planted master key of 32 bytes.\n"


def test_a_store_is_told_whom_to_believe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, folder = passphrase_files(tmp_path, PASSPHRASES), tmp_path / "store"
    initialised(folder, files)
    persons, roles = [], ("engineer", "security-officer")
    for role in roles:
        person = signers.create(tmp_path / role, bytearray(b"planted person 12"))
        (tmp_path / f"{role}.card").write_bytes(person.card())
        persons.append(person)
    words = [word for role in roles for word in ("--person", f"{tmp_path / role}.card={role}")]
    command = ["key", "trust", str(folder), *words]
    assert code_of([*command, *opening(files, "anna", option="--by")]) == Exit.WRONG_STATE
    assert code_of([*command, *opening(files, "anna", "cleo", option="--by")]) == Exit.OK
    assert f"{persons[0].kid}: engineer" in capsys.readouterr().out
    with own(folder) as store:
        for name in ("anna", "ben"):
            store.ask(calls.Activate(name, bytearray(PASSPHRASES[name])), Health)
        store.ask(calls.OpenOrder(work_order_of("WO-1", 3, persons)), type(None))
    for given, code, message in (
        ("nothing.card=engineer", Exit.NOT_FOUND, "No such file"),
        ("no roles", Exit.USAGE, "CARD=ROLE"),
        (f"{tmp_path / 'engineer'}=engineer", Exit.INTEGRITY, "not a person's card"),
        (f"{tmp_path / 'engineer'}.card=king", Exit.CONFIG, "roles are operator"),
    ):
        by = opening(files, "anna", "cleo", option="--by")
        assert code_of(["key", "trust", str(folder), "--person", given, *by]) == code, given
        assert message in capsys.readouterr().err


def test_a_customer_seals_a_key_to_one_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, told, out = tmp_path / "store", tmp_path / "bundle.json", tmp_path / "im.sealed"
    (tmp_path / "master").write_bytes(MASTER)
    assert code_of(["key", "init", str(folder), "--development"]) == Exit.OK
    with own(folder) as store:
        profile = KeyProfile("IN-1", Algorithm.ML_KEM_1024, Purpose.RECEIVE)
        store.ask(calls.Generate(profile), type(None))
        store.ask(calls.Move("IN-1", KeyState.ACTIVE, Approval("p-1", "a test")), type(None))
        (entry,) = store.ask(calls.Entries(), list[Entry])
        key = Dumped(profile, entry.state, "soft", "generated", "", entry.public, Attributes(), False)
        identity = store.ask(calls.Health(), Health).store
    content = bundle.Content(ceremony="x", plan="", transcript="", store=identity, keys=(key,))
    told.write_bytes(bundle.sealed(content, []))
    seal = ["key", "seal", str(told), str(out), "--name", "IM-1", "--key-file", str(tmp_path / "master")]
    assert code_of(seal) == Exit.OK
    assert code_of(seal) == Exit.USAGE
    sent = msgspec.json.decode(out.read_bytes(), type=SealedKey)
    assert MASTER not in out.read_bytes()
    with own(folder) as store:
        wanted = KeyProfile("IM-1", Algorithm.AES_256, Purpose.DERIVE)
        store.ask(calls.LoadSealed(wanted, "IN-1", sent.ciphertext, sent.box), type(None))
    (tmp_path / "short").write_bytes(b"short")
    other = str(tmp_path / "other")
    for words, code, message in (
        (["--key-file", str(tmp_path / "short")], Exit.CONFIG, "a key has 32 bytes, not 5"),
        (["--key-file", str(tmp_path / "master"), "--kem", "IN-9"], Exit.NOT_FOUND, "tells of no key"),
        ([], Exit.USAGE, "--key-file or by --key-fd"),
    ):
        assert code_of(["key", "seal", str(told), other, "--name", "IM-1", *words]) == code
        assert message in capsys.readouterr().err
    told.write_bytes(b"{}")
    assert code_of(["key", "seal", str(told), other, "--name", "IM-1", *seal[-2:]]) == Exit.INTEGRITY
    assert not Path(other).exists()
