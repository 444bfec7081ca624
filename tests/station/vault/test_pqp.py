"""PQP-1 against the chip's own firmware, in this process."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from drivers.protocols.se1_table import LifeCycle
from station.vault.issuer import Issuer
from station.vault.job import Job, Means, Sealed
from station.vault.journal import Journal
from station.vault.keystore import KeyStore
from station.vault.pqp import personalise
from station.vault.profiles import SE1
from station.vault.recovery import Intent, Standing
from station.vault.registry import Admission, Registry
from tests.station.vault.dies import FINGERPRINT, NOW, DirectLink, Here, sound_chip


@dataclass
class Vault:
    """The vault without its process."""

    means: Means

    async def admit(self, unit: str, *, resume: bool = False) -> Job:
        session = sha256(unit.encode()).digest()[:16]
        await self.means.registry.admit(Admission(unit, "L1", resume, session, NOW))
        return Job(unit, "L1", "WO-1", session, FINGERPRINT, "1", "cell", NOW)

    async def personalise(self, unit: str, link: DirectLink, *, resume: bool = False) -> Sealed:
        return await personalise(await self.admit(unit, resume=resume), link, self.means)

    async def standing(self, unit: str) -> tuple[Standing, Intent]:
        known = await self.means.registry.unit(unit)
        assert known is not None
        return known.standing, known.intent


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    store = KeyStore.open(tmp_path, 7)
    journal = Journal(tmp_path / "vault.sqlite")
    await journal.open()
    registry = Registry(journal)
    await registry.open_lot("L1", "se1", "WO-1", 10, NOW)
    yield Vault(Means(store, Issuer.open(tmp_path, store), registry, SE1, Here()))
    journal.close()


@pytest.mark.parametrize("payload", [223, 1024, 4096])
async def test_a_sound_die_is_sealed(vault: Vault, payload: int) -> None:
    chip = sound_chip(payload=payload)
    link = DirectLink(chip)
    sealed = await vault.personalise("L1/1", link)
    assert [label[:2] for label in link.labels] == [f"S{n}" for n in range(8)]
    assert chip.life_cycle() is LifeCycle.SECURED
    assert await vault.standing("L1/1") == (Standing.REGISTERED, Intent.NONE)
    assert len(sealed.serial) == 16
    (certificate,) = await vault.means.registry.certificates("L1/1")
    assert sealed.certificates == (sha256(certificate.der).digest(),)
