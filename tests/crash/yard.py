"""Where plants come from: all begin alike, with a vault that sealed one die, and a die that left test."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from argon2.low_level import hash_secret_raw
from structlog.testing import capture_logs

from sim.dut import crypto
from sim.dut.chip import Chip
from station.custody import durable_file
from station.vault.configuration import LedgerTable
from station.vault.keys import sealing
from station.vault.wire import floor_pb2 as wire
from tests.crash.evidence import Evidence
from tests.crash.lives import brought_to_rest, opened
from tests.crash.plant import Plant
from tests.crash.points import Cut
from tests.station.vault.dies import sound_chip
from tests.station.vault.store_here import keys_in

SITE = "site.sqlite"
FIRST, SECOND = 1, 20
"""The die that is sealed before, and the one that is cut."""


@dataclass(frozen=True)
class Played:
    """A die that rests."""

    plant: Plant
    heard: list[wire.Verdict]
    evidence: Evidence

    @property
    def ends(self) -> list[str]:
        """What the station heard, by name."""
        return [wire.Disposition.Name(verdict.disposition) for verdict in self.heard]

    def complaints(self) -> list[str]:
        """What is not as it must be."""
        return self.evidence.complaints(self.heard)


class Yard:
    """Makes plants, plays cuts on them, and clears them away."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *, site: bool = False) -> None:
        """`site`: the plant has a registry."""
        self._folder, self._site = folder, site
        self._count = 0
        self._from = sound_chip(SECOND)
        self._notes: list[bytes] = []
        self.secrets: set[bytes] = set()
        """Private keys that dies made."""
        patch.setattr(sealing, "hash_secret_raw", lru_cache(hash_secret_raw))
        self._made = crypto.keypair
        patch.setattr(crypto, "keypair", self._keypair)

    async def build(self) -> None:
        """Make what all plants begin with."""
        made = self._folder / "made"
        await keys_in(made, 7)
        plant = Plant(made, sound_chip(FIRST))
        plant.site = self._folder / SITE if self._site else None
        with capture_logs():
            async with opened(plant) as life:
                verdict = await life.contact("L1/1")
        assert verdict is not None
        assert verdict.disposition == wire.SEALED
        self._notes = plant.notes

    async def play(self, cut: Cut | None) -> Played:
        """Bring a die to rest, with a cut on its way."""
        plant = self.plant(cut)
        with _files_cut(plant), capture_logs():
            heard = await brought_to_rest(plant)
        keys = await keys_in(plant.folder, 7)
        return Played(plant, heard, Evidence(plant, keys.log_keys(LedgerTable().origin)))

    def clear(self, played: Played) -> None:
        """Remove a plant's files."""
        shutil.rmtree(played.plant.folder.parent)

    def plant(self, cut: Cut | None = None) -> Plant:
        """A new plant."""
        self._count += 1
        folder = self._folder / str(self._count) / "life-1"
        shutil.copytree(self._folder / "made", folder)
        chip = Chip(SECOND, seed="test", latency="zero")
        chip.memory.adopt(self._from.memory)
        plant = Plant(folder, chip, cut)
        plant.notes = [*self._notes]
        if self._site:
            plant.site = Path(shutil.copy(self._folder / SITE, folder.with_name(SITE)))
        return plant

    def _keypair(self, algorithm: int, seed: bytes) -> tuple[bytes, bytes]:
        private, public = self._made(algorithm, seed)
        self.secrets.add(private)
        return private, public


@contextmanager
def _files_cut(plant: Plant) -> Iterator[None]:
    """Each file that is put into the ledger's folder is a cut point."""
    put = durable_file.put

    def cut(path: Path, data: bytes) -> None:
        number = plant.points.before("file", path.name)
        plant.check_alive()
        put(path, data)
        plant.points.after("file", number)
        plant.check_alive()

    durable_file.put = cut
    try:
        yield
    finally:
        durable_file.put = put
