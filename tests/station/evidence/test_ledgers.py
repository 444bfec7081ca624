"""Ledgers that went back or were rewritten: found by a checkpoint from before, or a witness."""

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from station.custody import checkpoint
from station.custody.checkpoint import Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Stamp, decoded
from station.custody.log_keys import Kind, Signer
from station.custody.merkle import EMPTY, inclusion
from station.custody.seed_file import SeedFile
from station.custody.tile_writer import TileWriter
from station.custody.tiles import TileReader, unbundled
from station.evidence.bundle import BalanceSheet, LotSummary
from station.evidence.manifest import DeviceLine, Leaf
from station.evidence.strict import decoded as strictly
from station.evidence.strict import encoded
from station.evidence.trust import Trust
from tests.station.evidence.lots import Lot

ORIGIN = "thief.example/log"
SEEDS = SeedFile(1, ORIGIN, "11" * 32, "22" * 32)
WITNESS = SeedFile(1, "witness.example", "33" * 32, "44" * 32)


def entries(lot: Lot) -> list[bytes]:
    size = checkpoint.parsed(lot.files["checkpoint.txt"]).checkpoint.size
    return unbundled(lot.files[f"ledger/tile/entries/000.p/{size}"], size)


def rewritten(lot: Lot, folder: Path, kept: list[bytes]) -> tuple[Note, dict[str, bytes | None]]:
    """A ledger of these entries, chained and signed anew by whoever has the log's keys."""
    folder.mkdir(parents=True)
    writer = TileWriter(folder)
    for told in map(decoded, kept):
        fact = Fact(told.event, told.src, told.data, told.unit, told.uid_h, told.lot, told.order)
        leaf, _ = writer.head.written(fact, Stamp(told.t, told.mono, told.cfg))
        writer.add(leaf)
    signer = CheckpointSigner(ORIGIN, SEEDS.signers(), KeptNote(folder / "signed", ORIGIN), lambda: 1.0)
    note = writer.sign_and_publish(signer)
    files: dict[str, bytes | None] = {n: None for n in lot.files if n.startswith("ledger/")}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "signed":
            files[f"ledger/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    files["checkpoint.txt"] = note.encode()
    return note, files | {"manifest.jsonl": _proven(lot, folder, note)}


def _proven(lot: Lot, folder: Path, note: Note) -> bytes:
    """The devices of the ledger with their new places and proofs."""
    reader = TileReader(folder, note.checkpoint.size)
    places = {
        told.unit: (told.seq, entry)
        for told, entry in ((decoded(entry), entry) for _, entry in reader.entries_from(0))
        if told.event == "die.sealed"
    }
    lines = []
    for raw in lot.lines():
        line = strictly(raw.strip(), DeviceLine)
        unit = decoded(line.log.entry.encode()).unit
        if unit in places:
            index, entry = places[unit]
            proof = tuple(
                b64encode(one).decode() for one in inclusion(reader.node, index, note.checkpoint.size)
            )
            log = Leaf(index, entry.decode(), proof)
            lines.append(encoded(msgspec.structs.replace(line, log=log)) + b"\n")
    return b"".join(lines)


def trusting(lot: Lot, **changes: object) -> Trust:
    keys = tuple(str(signer.key) for signer in SEEDS.signers())
    return msgspec.structs.replace(lot.trust, logs=keys, **changes)


@pytest.fixture(name="genuine")
def _genuine(lot: Lot, tmp_path: Path) -> tuple[Note, Path]:
    """The lot's own entries under keys of this test."""
    note, files = rewritten(lot, tmp_path / "genuine", entries(lot))
    path = lot.forged(tmp_path / "genuine.tar", files)
    assert lot.verdict(path, trusting(lot)).findings == ()
    return note, path


def test_a_fork_is_sound_by_itself_and_found_by_an_older_checkpoint(
    lot: Lot, tmp_path: Path, genuine: tuple[Note, Path]
) -> None:
    """An alarm is left out of the history; all else is made to fit."""
    kept = [entry for entry in entries(lot) if decoded(entry).event != "rmac.wrong"]
    assert len(kept) < len(entries(lot))
    _, files = rewritten(lot, tmp_path / "fork", kept)
    path = lot.forged(tmp_path / "fork.tar", files)
    assert lot.verdict(path, trusting(lot)).findings == ()
    found = list(map(str, lot.verdict(path, trusting(lot), older=[genuine[0]]).findings))
    assert len(found) == 1
    assert "it was rolled back" in found[0]


def test_a_rewritten_entry_is_found_by_an_older_checkpoint(
    lot: Lot, tmp_path: Path, genuine: tuple[Note, Path]
) -> None:
    all_ = entries(lot)
    changed = [one.replace(b'"rmac.wrong"', b'"clock.step"') for one in all_]
    assert changed != all_
    _, files = rewritten(lot, tmp_path / "fork", changed)
    path = lot.forged(tmp_path / "fork.tar", files)
    found = list(map(str, lot.verdict(path, trusting(lot), older=[genuine[0]]).findings))
    assert found == [
        f"ledger/checkpoint of {len(all_)} leaves: the ledger had another root then: it was rewritten"
    ]


def test_an_older_checkpoint_fits(lot: Lot, genuine: tuple[Note, Path]) -> None:
    note, path = genuine
    assert lot.verdict(path, trusting(lot), older=[note]).sound


def test_a_forged_older_checkpoint_is_named(lot: Lot, genuine: tuple[Note, Path]) -> None:
    note, path = genuine
    unsigned = Note(checkpoint.Checkpoint(ORIGIN, 0, EMPTY), note.signatures)
    found = list(map(str, lot.verdict(path, trusting(lot), older=[unsigned]).findings))
    assert found[0] == f"checkpoint of 0 leaves: the ED25519 signature of {ORIGIN} does not verify"


def test_a_rollback_loses_what_was_sealed_since(lot: Lot, tmp_path: Path) -> None:
    """The ledger is cut before the last device; the bundle still has it."""
    all_ = entries(lot)
    last = max(index for index, entry in enumerate(all_) if decoded(entry).event == "die.sealed")
    _, files = rewritten(lot, tmp_path / "cut", all_[:last])
    del files["manifest.jsonl"]
    found = list(map(str, lot.verdict(lot.forged(tmp_path / "cut.tar", files), trusting(lot)).findings))
    assert found[0].startswith("manifest.jsonl: L1/1: its leaf ")
    assert found[0].endswith("is not in the ledger that the checkpoint stands for")


def test_a_quota_that_is_exceeded(lot: Lot, tmp_path: Path) -> None:
    """The ledger opens the lot with two devices, and six are admitted."""
    changed = [entry.replace(b'"quantity":24', b'"quantity":2') for entry in entries(lot)]
    _, files = rewritten(lot, tmp_path / "more", changed)
    summary = strictly(lot.files["lot.json"], LotSummary)
    sheet = strictly(lot.files["balance.json"], BalanceSheet)
    files["lot.json"] = encoded(msgspec.structs.replace(summary, quantity=2))
    files["balance.json"] = encoded(msgspec.structs.replace(sheet, received=2, waiting=-4))
    found = list(map(str, lot.verdict(lot.forged(tmp_path / "more.tar", files), trusting(lot)).findings))
    assert found == ["ledger: 6 units are admitted, 2 were received"]


# -- witnesses
def witnessed(path: Path, note: Note, lot: Lot, signer: Signer, files: dict[str, bytes | None]) -> Path:
    cosigned = note.extended(signer.signature(note.checkpoint, 5)).encode()
    return lot.forged(path, files | {"checkpoint.txt": cosigned, "ledger/checkpoint": cosigned})


def test_witnesses_that_are_needed(lot: Lot, tmp_path: Path) -> None:
    note, files = rewritten(lot, tmp_path / "ledger", entries(lot))
    witness = WITNESS.signer(Kind.MLDSA44)
    trust = trusting(lot, witnesses=(str(witness.key),), witnesses_needed=1)
    alone = lot.forged(tmp_path / "alone.tar", files)
    found = list(map(str, lot.verdict(alone, trust).findings))
    assert found == ["checkpoint.txt: 0 trusted witnesses have signed it, 1 are needed"]
    both = lot.verdict(witnessed(tmp_path / "both.tar", note, lot, witness, files), trust)
    assert both.findings == ()
    assert "witness.example (MLDSA44)" in both.signed_by


def test_a_witness_that_signed_another_checkpoint(lot: Lot, tmp_path: Path) -> None:
    note, files = rewritten(lot, tmp_path / "ledger", entries(lot))
    witness = WITNESS.signer(Kind.MLDSA44)
    trust = trusting(lot, witnesses=(str(witness.key),), witnesses_needed=1)
    other = Signer(witness.key, lambda message: witness.sign(message + b"x"))
    found = list(
        map(str, lot.verdict(witnessed(tmp_path / "w.tar", note, lot, other, files), trust).findings)
    )
    assert "checkpoint.txt: the MLDSA44 signature of witness.example does not verify" in found
