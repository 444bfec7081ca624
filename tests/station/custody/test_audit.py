"""The audit: any byte that is changed is found, and the file and the leaf are named."""

import random
import shutil
from pathlib import Path

import pytest

from station.custody.audit import Report, Trust, audited
from station.custody.checkpoint import Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Head, Leaf, Stamp
from station.custody.log_keys import Key
from station.custody.merkle import leaf_hash
from station.custody.tile_writer import TileWriter
from station.errors import LedgerError
from tests.station.custody.ledgers import LOG, NOW_S, ORIGIN, Plant, fact, now, witness_signer

KEYS = [signer.key for signer in LOG.signers()]
TRUST = Trust(KEYS)
SIZE = 700


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    plant = Plant(tmp_path_factory.mktemp("plant"))
    for count in (600, 70, 30):
        plant.grow(count)
    return plant


@pytest.fixture
def ledger(made: Plant, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.ledger, tmp_path / "copy"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def one_finding(report: Report) -> tuple[str, int | None]:
    assert len(report.findings) == 1, report.findings
    return report.findings[0].file, report.findings[0].leaf


def test_a_sound_ledger(ledger: Path, made: Plant) -> None:
    report = audited(ledger, Trust(KEYS, older=list(made.notes.values())))
    assert (report.sound, report.findings, report.notices) == (True, (), ())
    assert (report.origin, report.size) == (ORIGIN, SIZE)
    assert report.signed_by == (f"{ORIGIN} (ED25519)", f"{ORIGIN} (MLDSA44)")
    assert report.events == dict.fromkeys(("die.admitted", "die.issued", "die.sealed", "unit.binned"), 175)


def test_an_empty_ledger(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.grow(0)
    assert audited(plant.ledger, TRUST).sound


# -- one changed byte
def test_one_changed_byte_in_any_file_is_found_and_its_file_named(ledger: Path) -> None:
    places = random.Random(7)  # noqa: S311 - places to damage
    for path in sorted(ledger.rglob("*")):
        if path.is_dir():
            continue
        good = path.read_bytes()
        name = path.relative_to(ledger).as_posix()
        for at in {0, len(good) - 1, *(places.randrange(len(good)) for _ in range(4))}:
            flip(path, at)
            report = audited(ledger, TRUST)
            assert {finding.file for finding in report.findings} == {name}, (name, at)
            path.write_bytes(good)
    assert audited(ledger, TRUST).sound


def test_a_changed_entry_is_named_by_its_number(ledger: Path) -> None:
    data = (ledger / "tile/entries/001").read_bytes()
    at = data.index(b'"n":300')
    flip(ledger / "tile/entries/001", at + 6)
    assert one_finding(audited(ledger, TRUST)) == ("tile/entries/001", 300)


def test_a_changed_hash_is_named_by_its_leaf(ledger: Path) -> None:
    flip(ledger / "tile/0/001", 44 * 32 + 5)
    assert one_finding(audited(ledger, TRUST)) == ("tile/0/001", 300)


def test_a_changed_hash_of_a_level_above_is_named(ledger: Path) -> None:
    flip(ledger / "tile/1/000.p/2", 33)
    assert one_finding(audited(ledger, TRUST)) == ("tile/1/000.p/2", 256)


def test_several_changes_are_all_named(ledger: Path) -> None:
    flip(ledger / "tile/entries/000", 500)
    flip(ledger / "tile/1/000.p/2", 3)
    flip(ledger / "tile/entries/002.p/188", 700)
    files = {finding.file for finding in audited(ledger, TRUST).findings}
    assert files == {"tile/entries/000", "tile/1/000.p/2", "tile/entries/002.p/188"}


def test_entries_and_tiles_changed_together_do_not_lead_to_the_root(ledger: Path) -> None:
    flip(ledger / "tile/entries/000", 500)
    flip(ledger / "tile/0/002.p/188", 5)
    files = {finding.file for finding in audited(ledger, TRUST).findings}
    assert "checkpoint" in files


def test_older_partial_tiles_are_checked_too(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.grow(20)
    plant.grow(20)
    flip(plant.ledger / "tile/entries/000.p/20", 100)
    assert one_finding(audited(plant.ledger, TRUST))[0] == "tile/entries/000.p/20"


@pytest.mark.parametrize("name", ["tile/entries/001", "tile/0/001", "tile/1/000.p/2", "tile/0/002.p/188"])
def test_a_missing_file_is_named(ledger: Path, name: str) -> None:
    (ledger / name).unlink()
    assert f"{name}: is missing" in [str(finding) for finding in audited(ledger, TRUST).findings]


@pytest.mark.parametrize("name", ["tile/entries/001", "tile/0/001", "tile/1/000.p/2"])
def test_a_file_that_is_cut_or_too_long_is_named(ledger: Path, name: str) -> None:
    good = (ledger / name).read_bytes()
    for bad in (good[:-1], good + b"x", b"", good[: len(good) // 2]):
        (ledger / name).write_bytes(bad)
        assert {finding.file for finding in audited(ledger, TRUST).findings} == {name}


# -- what is more than the checkpoint covers
def test_what_grew_after_the_checkpoint_is_no_fault(made: Plant, tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.grow(250)
    old = (plant.ledger / "checkpoint").read_bytes()
    plant.grow(50)
    (plant.ledger / "checkpoint").write_bytes(old)
    (plant.ledger / "tile/entries/000.new").write_bytes(b"x")
    report = audited(plant.ledger, TRUST)
    assert (report.sound, report.size, sum(report.events.values())) == (True, 250, 250)
    assert "tile/entries/000: goes beyond the checkpoint" in report.notices
    assert "tile/entries/000.new: is no part of a ledger" in report.notices
    flip(plant.ledger / "tile/entries/000", 10)
    assert one_finding(audited(plant.ledger, TRUST)) == ("tile/entries/000", 0)


# -- checkpoints
def signed(note: Note, folder: Path) -> None:
    (folder / "checkpoint").write_bytes(note.encode())


def test_keys_that_have_not_signed(ledger: Path, made: Plant) -> None:
    note = made.notes[SIZE]
    signed(Note(note.checkpoint, note.signatures[:1]), ledger)
    assert "(MLDSA44, id" in str(audited(ledger, TRUST).findings[0])
    stranger = Key("other.example", KEYS[0].kind, KEYS[0].public)
    assert "is of log" in str(audited(ledger, Trust([stranger])).findings[1])


def test_witnesses(ledger: Path, made: Plant) -> None:
    trust = Trust(KEYS, [witness_signer().key])
    assert "w1.example (MLDSA44" in str(audited(ledger, trust).findings[0])
    note = made.notes[SIZE]
    signed(note.extended(witness_signer().signature(note.checkpoint, NOW_S)), ledger)
    assert audited(ledger, trust).signed_by[2] == "w1.example (MLDSA44)"
    assert audited(ledger, TRUST).notices == ("checkpoint: 1 signatures by keys that were not given",)
    other = made.notes[670].checkpoint
    signed(note.extended(witness_signer().signature(other, NOW_S)), ledger)
    assert "does not verify" in str(audited(ledger, trust).findings[0])


def test_a_checkpoint_with_a_false_size_does_not_keep_us(ledger: Path) -> None:
    text = (ledger / "checkpoint").read_bytes()
    (ledger / "checkpoint").write_bytes(text.replace(b"\n700\n", b"\n7000000000000000000\n"))
    assert "does not verify" in str(audited(ledger, TRUST).findings[0])


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="checkpoint: No such file"):
        audited(tmp_path, TRUST)
    (tmp_path / "checkpoint").write_bytes(b"hello")
    assert one_finding(audited(tmp_path, TRUST)) == ("checkpoint", None)


# -- history
def forged(folder: Path, size: int, changed: int) -> Path:
    """A ledger by the log's own keys in which one entry is another, as a plant that cheats would make it."""
    writer = TileWriter(folder / "ledger")
    for number in range(size):
        leaf, _ = writer.head.written(*fact(number + 4 * (number == changed)))
        writer.add(leaf)
    kept = KeptNote(folder / "forged", ORIGIN)
    writer.sign_and_publish(CheckpointSigner(ORIGIN, LOG.signers(), kept, now))
    return folder / "ledger"


def test_a_ledger_that_was_rewritten_or_rolled_back(made: Plant, tmp_path: Path) -> None:
    cheat = forged(tmp_path, 690, changed=100)
    assert audited(cheat, TRUST).sound
    report = audited(cheat, Trust(KEYS, older=list(made.notes.values())))
    told = {finding.file: finding.what for finding in report.findings}
    assert told["checkpoint of 600 leaves"] == "the ledger had another root then: it was rewritten"
    assert told["checkpoint of 700 leaves"] == "the ledger has 690 leaves now: it was rolled back"


def test_an_older_checkpoint_must_be_signed_and_of_this_log(ledger: Path, made: Plant) -> None:
    bare = Note(made.notes[600].checkpoint, made.notes[600].signatures[:1])
    report = audited(ledger, Trust(KEYS, older=[bare]))
    assert report.findings[0].file == "checkpoint of 600 leaves"


# -- entries
def test_a_writer_that_breaks_the_chain_is_found_though_it_signs(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.add(2)
    stray = Head(plant.writer.head.edge, bytes(32))
    plant.writer.add(stray.written(Fact("die.sealed"), Stamp(1, 1, "00" * 32))[0])
    plant.grow(0)
    report = audited(plant.ledger, TRUST)
    assert one_finding(report) == ("tile/entries/000.p/3", 2)
    assert "`prev` is not the hash" in report.findings[0].what


def test_an_entry_that_is_none_is_found_though_it_is_signed(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    plant.writer.add(Leaf(0, b"hello", leaf_hash(b"hello")))
    plant.grow(0)
    assert "entry 0: not an entry" in str(audited(plant.ledger, TRUST).findings[0])
