"""Checkpoints: the vectors, a second ML-DSA, one form only, and signers that never fork."""

import pickle
import secrets
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from dilithium_py.ml_dsa import ML_DSA_44
from hypothesis import given, settings
from hypothesis import strategies as st

from station.custody import durable_file, merkle, seed_file
from station.custody.checkpoint import Checkpoint, Note, Signature, parsed
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.log_keys import Kind, key_of, signatures_by, time_of
from station.custody.merkle import EMPTY, Tree, leaf_hash
from station.errors import ConfigError, LedgerError
from tests.station.custody.ledgers import LOG, NOW_S, ORIGIN, golden, now, witness_signer

VECTORS = golden()
HEAD = Checkpoint(ORIGIN, 3, bytes.fromhex(VECTORS["root"]))
ED25519, MLDSA44 = LOG.signers()
KEYS = [ED25519.key, MLDSA44.key]
NOTE = Note(HEAD, (ED25519.signature(HEAD, NOW_S), MLDSA44.signature(HEAD, NOW_S)))


# -- vectors
def test_text_and_key_ids() -> None:
    assert HEAD.text.decode() == VECTORS["checkpoint_body"]
    assert ED25519.key.id.hex() == VECTORS["key_id_ed25519"]
    assert MLDSA44.key.id.hex() == VECTORS["key_id_mldsa44"]


def test_the_ed25519_line() -> None:
    assert ED25519.signature(HEAD, 0).line == VECTORS["ed25519_line"]


def test_the_mldsa44_message_and_its_signature_by_a_second_implementation() -> None:
    time_s = VECTORS["mldsa44_timestamp"]
    message = MLDSA44.key.message(HEAD, time_s)
    assert message.hex() == VECTORS["mldsa44_cosigned_message"]
    signature = MLDSA44.signature(HEAD, time_s)
    assert (len(signature.content), time_of(signature)) == (8 + 2420, time_s)
    assert ML_DSA_44.verify(MLDSA44.key.public, message, signature.content[8:])


# -- notes
def test_a_note_comes_back() -> None:
    assert parsed(NOTE.encode()) == NOTE
    assert signatures_by(NOTE, KEYS) == dict(zip(KEYS, NOTE.signatures, strict=True))
    assert NOTE.encode().startswith(HEAD.text + b"\n\xe2\x80\x94 " + ORIGIN.encode() + b" ")


@settings(max_examples=200)
@given(st.integers(0), st.integers(0, 7))
def test_a_changed_bit_in_a_note_is_found(where: int, bit: int) -> None:
    data = bytearray(NOTE.encode())
    data[where % len(data)] ^= 1 << bit
    try:
        found = signatures_by(parsed(bytes(data)), KEYS)
    except LedgerError:
        return
    assert len(found) < 2, "name or id of a signature changed, so it is that of an unknown key"


@pytest.mark.parametrize(
    "bend",
    [
        lambda note: note.replace(b"\n3\n", b"\n03\n"),
        lambda note: note.replace(b"\n3\n", b"\n+3\n"),
        lambda note: note.replace(b"\n3\n", b"\n3 \n"),
        lambda note: note.replace(b"4tA=\n\n", b"4tB=\n\n"),
        lambda note: note.replace(b"4tA=\n\n", b"4tA\n\n"),
        lambda note: note.replace(b"4tA=\n\n", b"4tA=\nextension\n\n"),
        lambda note: note.replace(b"\n\n", b"\n"),
        lambda note: note.replace(b"\n", b"\r\n"),
        lambda note: note[:-1],
        lambda note: note + b"\n",
        lambda note: note + "\u2014 name\u00a0x AAAAAAA=\n".encode(),
        lambda note: note + "\u2014 name AAAA\n".encode(),
        lambda note: note + b"- name AAAAAAA=\n",
        lambda note: note.replace(ORIGIN.encode(), b"two words", 1),
        lambda note: note.replace(ORIGIN.encode(), b"", 1),
        lambda note: b"\xff" + note,
        lambda note: note + "\u2014 a AAAAAAA=\n".encode() * 64,
        lambda note: note + b"x" * 300_000,
    ],
)
def test_another_form_of_a_note_is_refused(bend: "object") -> None:
    assert callable(bend)
    assert bend(NOTE.encode()) != NOTE.encode()
    with pytest.raises(LedgerError):
        parsed(bend(NOTE.encode()))


def test_signatures_of_unknown_keys_are_passed_over_and_bad_ones_of_known_keys_are_not() -> None:
    stranger = Signature("stranger.example", b"\0\1\2\3", b"x")
    assert len(signatures_by(NOTE.extended(stranger), KEYS)) == 2
    assert signatures_by(Note(HEAD, (stranger,)), KEYS) == {}
    forged = NOTE.extended(Signature(ORIGIN, MLDSA44.key.id, bytes(8 + 2420)))
    assert len(forged.signatures) == 2
    with pytest.raises(LedgerError, match="MLDSA44 signature of .* does not verify"):
        signatures_by(forged, KEYS)
    short = Note(HEAD, (Signature(ORIGIN, MLDSA44.key.id, b"abc"),))
    with pytest.raises(LedgerError, match="does not verify"):
        signatures_by(short, KEYS)


def test_a_cosignature_holds_for_its_name_its_time_and_its_tree_only() -> None:
    good = witness_signer().signature(HEAD, NOW_S)
    key = witness_signer().key
    assert key.verifies(HEAD, good)
    assert not key.verifies(replace(HEAD, size=4), good)
    assert not key.verifies(replace(HEAD, origin="other.example"), good)
    assert not replace(key, name="w2.example").verifies(HEAD, good)
    later = (NOW_S + 1).to_bytes(8) + good.content[8:]
    assert not key.verifies(HEAD, replace(good, content=later))


# -- public keys
def test_public_keys_as_text() -> None:
    for key in KEYS:
        assert key_of(str(key) + "\n") == key
    text = str(ED25519.key)
    assert text.startswith(f"{ORIGIN}+4164d043+A")
    for wrong, message in (
        ("x", "name\\+id\\+base64"),
        (text.replace("4164d043", "4164d044"), "its id is 4164d043"),
        (text[:-4], "ED25519 has 32 bytes"),
        (text.replace("+A", "+B", 1), "type is 01"),
        (text.replace(ORIGIN, "a b"), "neither spaces"),
    ):
        with pytest.raises(LedgerError, match=message):
            key_of(wrong)


def test_seed_files(tmp_path: Path) -> None:
    path = tmp_path / "log.seeds"
    made = seed_file.create(path, ORIGIN)
    assert seed_file.read(path).ed25519 == made.ed25519
    assert seed_file.read(path).mldsa44 == made.mldsa44
    assert made.ed25519 not in repr(made)
    assert seed_file.read(path) != made
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(made)
    with pytest.raises(ConfigError, match="File exists"):
        seed_file.create(path, ORIGIN)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="mode must be 0600"):
        seed_file.read(path)
    path.write_bytes(b'{"format":1,"name":"x","ed25519":"00"}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="not a file of seeds"):
        seed_file.read(path)


# -- signers
@pytest.fixture
def tree() -> Tree:
    grown = Tree()
    for number in range(100):
        grown.append(leaf_hash(bytes([number])))
    return grown


def signer(folder: Path) -> CheckpointSigner:
    return CheckpointSigner(ORIGIN, LOG.signers(), KeptNote(folder / "signed", ORIGIN), now)


def asked(signer: CheckpointSigner, tree: Tree, old: int, size: int) -> Note:
    return signer.sign(old, size, tree.root(size), merkle.consistency(tree.node, old, size))


def test_a_signer_goes_forward_also_after_a_restart(tmp_path: Path, tree: Tree) -> None:
    assert signer(tmp_path).last == Checkpoint(ORIGIN, 0, EMPTY)
    asked(signer(tmp_path), tree, 0, 10)
    note = asked(signer(tmp_path), tree, 10, 40)
    assert set(signatures_by(note, KEYS)) == set(KEYS)
    assert time_of(note.signatures[1]) == NOW_S
    asked(signer(tmp_path), tree, 40, 40)
    assert signer(tmp_path).last == note.checkpoint


def test_a_signer_refuses_rollback_and_fork(tmp_path: Path, tree: Tree) -> None:
    kept = signer(tmp_path)
    asked(kept, tree, 0, 40)
    before = (tmp_path / "signed").read_bytes()
    fork = Tree()
    for number in range(100):
        fork.append(leaf_hash(bytes([number + (number == 20)])))
    refused = [
        (0, 30, tree.root(30), []),
        (30, 50, tree.root(50), merkle.consistency(tree.node, 30, 50)),
        (40, 39, tree.root(39), []),
        (40, 40, fork.root(40), []),
        (40, 50, fork.root(50), merkle.consistency(fork.node, 40, 50)),
        (40, 50, fork.root(50), merkle.consistency(tree.node, 40, 50)),
        (40, 50, tree.root(50), []),
        (0, 50, fork.root(50), []),
    ]
    for old, size, root, proof in refused:
        with pytest.raises(LedgerError):
            kept.sign(old, size, root, proof)
        with pytest.raises(LedgerError):
            signer(tmp_path).sign(old, size, root, proof)
    assert (tmp_path / "signed").read_bytes() == before
    asked(kept, tree, 40, 50)


def test_the_empty_log_has_one_root(tmp_path: Path, tree: Tree) -> None:
    with pytest.raises(LedgerError, match="do not follow"):
        signer(tmp_path).sign(0, 0, tree.root(1), [])
    assert signer(tmp_path).sign(0, 0, EMPTY, []).checkpoint.size == 0


def test_nothing_is_signed_that_cannot_be_kept(
    tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = signer(tmp_path)
    asked(kept, tree, 0, 10)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(durable_file, "replace", full)
        with pytest.raises(LedgerError, match="No space left"):
            asked(kept, tree, 10, 20)
    assert kept.last.size == 10
    asked(kept, tree, 10, 20)


def test_a_signer_does_not_start_on_a_state_that_it_cannot_read(tmp_path: Path, tree: Tree) -> None:
    asked(signer(tmp_path), tree, 0, 10)
    other = KeptNote(tmp_path / "signed", "other.example")
    with pytest.raises(LedgerError, match="is of log"):
        other.read()
    (tmp_path / "signed").write_bytes(b"")
    with pytest.raises(LedgerError, match="signed: the checkpoint has no signature"):
        signer(tmp_path)


def test_two_threads_cannot_make_a_signer_fork(tmp_path: Path, tree: Tree) -> None:
    kept = signer(tmp_path)
    signed: list[Note] = []

    def ask(size: int) -> None:
        try:
            signed.append(asked(kept, tree, 0, size))
        except LedgerError:
            return

    threads = [threading.Thread(target=ask, args=(size,)) for size in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(signed) == 1
    assert kept.last == signed[0].checkpoint


def test_kinds_are_those_of_the_formats() -> None:
    assert {kind.name: kind.value for kind in Kind} == {"ED25519": 1, "MLDSA44": 6}
    assert not ED25519.key.verifies(HEAD, Signature(ORIGIN, b"", secrets.token_bytes(64)))
