"""Ledgers for tests: keys from fixed seeds, facts, folders of a given size."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from station.custody.checkpoint import Note
from station.custody.checkpoint_signer import CheckpointSigner, KeptNote
from station.custody.ledger import Fact, Stamp
from station.custody.log_keys import Kind, Signer
from station.custody.seed_file import SeedFile
from station.custody.tile_writer import TileWriter

GOLDEN = Path(__file__).parents[2] / "golden" / "ledger.toml"
ORIGIN = "ahm1.example/vault-1/2026"
NOW_S = 1780272000
LOG = SeedFile(1, ORIGIN, "00" * 32, "00" * 32)
WITNESS = SeedFile(1, "w1.example", "11" * 32, "11" * 32)
EVENTS = ("die.admitted", "die.issued", "die.sealed", "unit.binned")


def golden() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(GOLDEN.read_text("utf-8"))["ledger"]
    return found


def now() -> float:
    return NOW_S + 0.5


def witness_signer() -> Signer:
    return WITNESS.signer(Kind.MLDSA44)


def fact(number: int) -> tuple[Fact, Stamp]:
    told = Fact(EVENTS[number % 4], unit=f"L1/{number // 4}", lot="L1", data={"n": number})
    return told, Stamp(NOW_S * 1000 + number, number, "0a" * 32)


@dataclass
class Plant:
    """A vault's ledger: writer, signer, and what was published."""

    folder: Path
    notes: dict[int, Note] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.writer = TileWriter(self.folder / "ledger")
        kept = KeptNote(self.folder / "signed", ORIGIN)
        self.signer = CheckpointSigner(ORIGIN, LOG.signers(), kept, now)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def add(self, count: int) -> None:
        """Add leaves; nothing is written."""
        for _ in range(count):
            leaf, _ = self.writer.head.written(*fact(self.writer.head.edge.size))
            self.writer.add(leaf)

    def grow(self, count: int) -> Note:
        """Add leaves, sign, publish."""
        self.add(count)
        note = self.writer.sign_and_publish(self.signer)
        self.notes[note.checkpoint.size] = note
        return note
