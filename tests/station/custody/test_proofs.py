"""Proof files and exports: one entry, to be checked alone."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.custody import export, proof
from station.custody.audit import Trust
from station.custody.checkpoint import Note
from station.custody.merkle import Tree, inclusion
from station.custody.proof import Proof, proof_of
from station.custody.tiles import TileReader
from station.errors import LedgerError
from tests.station.custody.ledgers import LOG, Plant, witness_signer

KEYS = [signer.key for signer in LOG.signers()]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    made = Plant(tmp_path_factory.mktemp("plant"))
    made.grow(300)
    return made


def proven(plant: Plant, index: int) -> tuple[Proof, bytes]:
    reader = TileReader(plant.ledger, 300)
    return proof_of(reader.node, index, plant.notes[300]), reader.entry(index)


def test_a_proof_comes_back_and_verifies(plant: Plant) -> None:
    for index in (0, 5, 255, 256, 299):
        made, entry = proven(plant, index)
        found = proof.parsed(made.encode())
        assert found == made
        proof.verify(found, entry, log=KEYS)
    lines = made.encode().decode().splitlines()
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 299"]
    assert lines[2 + len(made.hashes)] == ""
    assert len(made.hashes) == len(inclusion(TileReader(plant.ledger, 300).node, 299, 300))


@settings(max_examples=80)
@given(st.integers(0), st.integers(0, 7))
def test_a_changed_bit_in_a_proof_is_found(plant: Plant, where: int, bit: int) -> None:
    made, entry = proven(plant, 123)
    data = bytearray(made.encode())
    data[where % len(data)] ^= 1 << bit
    with pytest.raises(LedgerError):
        proof.verify(proof.parsed(bytes(data)), entry, log=KEYS)


@given(st.integers(0), st.integers(0, 7))
def test_a_changed_bit_in_the_entry_is_found(plant: Plant, where: int, bit: int) -> None:
    made, entry = proven(plant, 123)
    data = bytearray(entry)
    data[where % len(data)] ^= 1 << bit
    with pytest.raises(LedgerError, match="not at 123"):
        proof.verify(made, bytes(data), log=KEYS)


@pytest.mark.parametrize(
    "bend",
    [
        lambda data: data.replace(b"@v1", b"@v2"),
        lambda data: data.replace(b"index 123", b"index 0123"),
        lambda data: data.replace(b"index 123\n", b"extra QQ==\nindex 123\n"),
        lambda data: data.replace(b"index 123\n", b"index 123\n" + b"A" * 43 + b"=\n"),
        lambda data: data.replace(b"index 123\n", b"index 123\n" + (b"A" * 43 + b"=\n") * 70),
        lambda data: data[:-1],
        lambda data: b"",
    ],
)
def test_another_form_is_refused(plant: Plant, bend: object) -> None:
    made, entry = proven(plant, 123)
    assert callable(bend)
    with pytest.raises(LedgerError):
        proof.verify(proof.parsed(bend(made.encode())), entry, log=KEYS)


def test_every_key_that_is_asked_for_must_have_signed(plant: Plant) -> None:
    made, entry = proven(plant, 7)
    with pytest.raises(LedgerError, match=r"w1.example \(MLDSA44\) has not signed"):
        proof.verify(made, entry, log=KEYS, witnesses=[witness_signer().key])
    with pytest.raises(LedgerError, match="proves nothing"):
        proof.verify(made, entry, log=[])
    half = Proof(7, made.hashes, Note(made.note.checkpoint, made.note.signatures[1:]))
    with pytest.raises(LedgerError, match=r"\(ED25519\) has not signed"):
        proof.verify(half, entry, log=KEYS)


def test_a_tree_of_one_leaf_needs_no_hashes() -> None:
    tree = Tree()
    tree.append(bytes(32))
    assert inclusion(tree.node, 0, 1) == []


# -- exports
def test_an_export_is_checked_by_itself(plant: Plant, tmp_path: Path) -> None:
    out = tmp_path / "out"
    count = export.exported(plant.ledger, plant.notes[300], out, lambda entry: entry.unit == "L1/30")
    assert count == 4
    assert export.is_export(out)
    assert not export.is_export(plant.ledger)
    report = export.checked(out, Trust(KEYS))
    assert (report.sound, report.size, report.origin) == (True, 300, plant.notes[300].checkpoint.origin)
    assert report.events == {"die.admitted": 1, "die.issued": 1, "die.sealed": 1, "unit.binned": 1}


def test_what_is_wrong_with_an_export_is_named(plant: Plant, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export.exported(plant.ledger, plant.notes[300], out, lambda entry: entry.unit == "L1/30")
    entry = out / "000000121.json"
    entry.write_bytes(entry.read_bytes().replace(b"L1/30", b"L1/31"))
    (out / "000000122.json").unlink()
    (out / "000000123.tlog-proof").unlink()
    told = [str(finding) for finding in export.checked(out, Trust(KEYS)).findings]
    assert [text.partition(":")[0] for text in told] == [
        "000000121.tlog-proof",
        "000000122.tlog-proof",
        "000000123.json",
    ]
    assert not export.checked(out, Trust([witness_signer().key])).sound


def test_a_ledger_that_is_damaged_is_not_exported(tmp_path: Path) -> None:
    plant = Plant(tmp_path / "plant")
    plant.grow(20)
    path = plant.ledger / "tile/0/000.p/20"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(LedgerError, match="entry 0 is not one that the root stands for"):
        export.exported(plant.ledger, plant.notes[20], tmp_path / "out", lambda entry: True)
