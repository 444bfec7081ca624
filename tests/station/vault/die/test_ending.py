"""Ending a die for good: only rejects, under whichever keys they have; and reading all of it back."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from drivers.protocols.se1_table import LifeCycle
from station.vault.asked import Purpose, Step
from station.vault.faults import Code, DoubtError, Fate, FaultError
from station.vault.profiles import SE1
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.test_vault_ledger import told
from tests.station.vault.vaults import Vault, opened_vault


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path) as opened:
        yield opened


async def spoiled(vault: Vault, script: str) -> DirectLink:
    """A die of which nothing comes back from a script on; its unit is held."""
    link = DirectLink(sound_chip(payload=4096))
    link.touch = lambda label, _step, answer: None if label.startswith(script) else answer
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", link)
    step = Step("L1/1", bytes(16), NOW, *(await vault.standing("L1/1")))
    await vault.means.registry.failed(step, caught.value.code, caught.value.fate)
    link.touch = lambda _label, _step, answer: answer
    return link


@pytest.mark.parametrize("script", ["S3", "S4", "S6", "S7"])
async def test_a_reject_is_terminated_under_the_keys_that_it_has(
    vault: Vault, tmp_path: Path, script: str
) -> None:
    link = await spoiled(vault, script)
    await vault.terminate("L1/1", link)
    assert link.chip.life_cycle is LifeCycle.TERMINATED
    assert told(tmp_path)[-1] == ("die.terminated", "L1/1")
    known = await vault.means.registry.unit("L1/1")
    assert known is not None
    assert known.account in ("REJECT_HELD", "QUARANTINE")
    with pytest.raises(FaultError, match="it is terminated"):
        await vault.terminate("L1/1", link)


async def test_what_is_no_reject_is_not_terminated(vault: Vault) -> None:
    link = DirectLink(sound_chip(payload=4096))
    with pytest.raises(FaultError, match="no reject"):
        await vault.terminate("L1/1", link)
    await vault.personalise("L1/1", link)
    with pytest.raises(FaultError, match="no reject") as caught:
        await vault.terminate("L1/1", link)
    assert (caught.value.code, caught.value.fate) == (Code.UNIT_SPOILED, Fate.UNTOUCHED)
    await vault.personalise("L1/1", link, Purpose.VERIFY)


async def test_a_die_that_is_not_heard_is_not_called_terminated(vault: Vault, tmp_path: Path) -> None:
    link = await spoiled(vault, "S4")
    link.touch = lambda _label, step, answer: None if step == "SET STATUS" else answer
    with pytest.raises((FaultError, DoubtError)):
        await vault.terminate("L1/1", link)
    assert ("die.terminated", "L1/1") not in told(tmp_path)


async def test_all_certificates_are_read_back_if_the_profile_wants_that(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, msgspec.structs.replace(SE1, readback="full")) as vault:
        link = DirectLink(sound_chip(payload=4096))
        await vault.personalise("L1/1", link)
        with pytest.raises(FaultError, match="slot 2 holds another certificate") as caught:
            await vault.personalise("L1/2", Lying(sound_chip(2, payload=4096)))
    assert caught.value.code is Code.STORE_HASH


class Lying(DirectLink):
    """A die that keeps another certificate than its hash says."""

    async def run(self, script: object) -> dict[str, bytes]:
        seen = await super().run(script)  # type: ignore[arg-type]
        if "certificate 2" in seen:
            seen["certificate 2"] = seen["certificate 2"][:-1] + b"?"
        return seen
