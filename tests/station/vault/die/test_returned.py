"""A sealed unit that came back: it opens by its own token only, proves itself first, and ends for good."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from drivers.protocols.se1_table import LifeCycle
from sim.dut.memory import PowerCut
from station.custody.moves import Account, Move
from station.vault import returns, unit_moves
from station.vault.asked import Purpose
from station.vault.desk.statement import StatementError
from station.vault.development import RMA_FILE
from station.vault.die.recovery import Intent, Standing
from station.vault.die.script import Answer
from station.vault.faults import Code, Fate, FaultError
from station.vault.keys import sealed_keys
from station.vault.keys.errors import KeyStoreError
from station.vault.keys.soft import Hybrid, fresh, usable
from station.vault.keys.words import SEALED_FOR_DIE, Algorithm, SealedKey
from station.vault.names import RECEIVING
from station.vault.unit_moves import Why
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.store_here import keys_in
from tests.station.vault.test_vault_ledger import told
from tests.station.vault.vaults import Vault, opened_vault

OFFICERS = ["p-00000002", "p-00000003"]


@dataclass
class Plant:
    """A vault with one sealed unit, and the offline key."""

    vault: Vault
    rma: Hybrid
    link: DirectLink

    async def token(self, uid: bytes | None = None, unit: str = "L1/1") -> bytes:
        """What the ceremony brings: the token of the unit, sealed to the vault's store for a UID."""
        own, box = await self.vault.journal.commit(lambda db: returns.box_of(db, unit))
        token = self.rma.open(box[15:], b"PQP1-RMA" + own)
        keys = self.vault.means.store
        store = (await keys._store.health()).store
        name = SEALED_FOR_DIE + (uid or own).hex()
        public = keys._entries[RECEIVING].public
        sent = sealed_keys.seal(bytearray(token), name, bytes.fromhex(store), public)
        return msgspec.json.encode(SealedKey(store, RECEIVING, name, sent.ciphertext, sent.box))

    async def allow(self, sealed: bytes, unit: str = "L1/1") -> None:
        await self.vault.journal.commit(lambda db: returns.allow(db, unit, sealed, OFFICERS, NOW))

    async def open(self) -> None:
        await self.vault.sort("L1/1", self.link, Purpose.RMA_OPEN)


async def moved(vault: Vault, unit: str, event: str, **evidence: str) -> None:
    move = Move(unit, event, evidence=evidence)
    await vault.journal.commit(lambda db: unit_moves.moved(db, move, Why(NOW)))


async def came_back(vault: Vault, unit: str = "L1/1") -> None:
    await vault.journal.commit(lambda db: db.execute("UPDATE lot SET state = 'closed'"))
    await moved(vault, unit, "unit.shipped", delivery="D-1")
    await moved(vault, unit, "unit.rma", order="RMA-5")


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    with fresh(Algorithm.ML_KEM_1024_P384) as secret:
        rma = usable(Algorithm.ML_KEM_1024_P384, secret)
    assert isinstance(rma, Hybrid)
    await keys_in(tmp_path, 7)
    (tmp_path / RMA_FILE).write_bytes(rma.public())
    async with opened_vault(tmp_path) as vault:
        link = DirectLink(sound_chip(payload=4096))
        await vault.personalise("L1/1", link)
        yield Plant(vault, rma, link)


def state_of(link: DirectLink) -> str:
    return link.chip.life_cycle.name


async def test_a_unit_that_came_back_wipes_its_keys_and_opens(plant: Plant, tmp_path: Path) -> None:
    await came_back(plant.vault)
    await plant.vault.personalise("L1/1", plant.link, Purpose.VERIFY)
    await plant.allow(await plant.token())
    await plant.open()
    assert state_of(plant.link) == "RMA"
    assert plant.link.chip.public_keys() == {}
    assert await plant.vault.standing("L1/1") == (Standing.RMA, Intent.NONE)
    assert told(tmp_path)[-1] == ("die.opened", "L1/1")
    with pytest.raises(FaultError, match="not sealed|none that came back"):
        await plant.open()
    await plant.vault.terminate("L1/1", plant.link)
    assert state_of(plant.link) == "TERMINATED"


async def test_nothing_opens_that_did_not_come_back(plant: Plant) -> None:
    sealed = await plant.token()
    with pytest.raises(StatementError, match="none that came back"):
        await plant.allow(sealed)
    with pytest.raises(FaultError, match="none that came back") as caught:
        await plant.open()
    assert (caught.value.code, caught.value.fate) == (Code.UNIT_SPOILED, Fate.UNTOUCHED)
    await came_back(plant.vault)
    with pytest.raises(FaultError, match="two officers have not brought its token"):
        await plant.open()
    assert plant.link.chip.life_cycle is LifeCycle.SECURED


async def test_a_token_of_another_unit_is_not_presented(plant: Plant) -> None:
    await plant.vault.personalise("L1/2", DirectLink(sound_chip(2, payload=4096)))
    await came_back(plant.vault)
    uid, _ = await plant.vault.journal.commit(lambda db: returns.box_of(db, "L1/1"))
    await plant.allow(await plant.token(uid=uid, unit="L1/2"))
    with pytest.raises(FaultError, match="not this unit's") as caught:
        await plant.open()
    assert (caught.value.code, caught.value.fate) == (Code.KEY_NOT_ACTIVE, Fate.UNTOUCHED)
    await plant.allow(await plant.token(unit="L1/2"))
    with pytest.raises(KeyStoreError, match="another store or name"):
        await plant.open()
    assert state_of(plant.link) == "SECURED"
    await plant.allow(await plant.token())
    await plant.open()
    assert state_of(plant.link) == "RMA"


async def test_another_die_is_not_opened(plant: Plant) -> None:
    await came_back(plant.vault)
    await plant.allow(await plant.token())
    other = DirectLink(sound_chip(2, payload=4096))
    await plant.vault.journal.commit(lambda db: db.execute("UPDATE lot SET state = 'open'"))
    await plant.vault.personalise("L1/2", other)
    real, plant.link = plant.link, other
    with pytest.raises(FaultError, match="another one than was sealed") as caught:
        await plant.open()
    assert caught.value.fate is Fate.UNTOUCHED
    plant.link = real
    await plant.open()


@pytest.mark.parametrize("script", ["R0", "R1", "R2"])
async def test_opening_goes_on_after_a_lost_reply(plant: Plant, script: str) -> None:
    await came_back(plant.vault)
    await plant.allow(await plant.token())
    lost = [True]

    def lose(label: str, _step: str, answer: Answer) -> Answer | None:
        return None if label.startswith(script) and lost and lost.pop() else answer

    plant.link.touch = lose
    await plant.open()
    assert state_of(plant.link) == "RMA"


async def test_opening_goes_on_after_power_went(plant: Plant) -> None:
    await came_back(plant.vault)
    await plant.allow(await plant.token())
    plant.link.chip.cut(PowerCut(9, "torn"))
    await plant.open()
    assert state_of(plant.link) == "RMA"
    known = await plant.vault.means.registry.unit("L1/1")
    assert known is not None
    assert known.account == Account.QUARANTINE
