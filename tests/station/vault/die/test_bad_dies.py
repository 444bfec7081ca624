"""Dies that lie or forget, one fault each: which check of the vault finds it, and what becomes of the die."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sim.dut.chip import ChipFaults
from station.vault.faults import Code, Fate, FaultError
from tests.station.vault.dies import DirectLink, sound_chip
from tests.station.vault.vaults import Vault, opened_vault


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path) as vault:
        yield vault


@pytest.mark.parametrize(
    ("faults", "code", "fate"),
    [
        (ChipFaults(wrong_mac=True), Code.R_MAC, Fate.RETRY),
        (ChipFaults(short_mac=True), Code.R_MAC, Fate.RETRY),
        (ChipFaults(check_value=True), Code.ROTATION, Fate.QUARANTINE),
        (ChipFaults(surviving_set=True), Code.KEY_SETS, Fate.QUARANTINE),
        (ChipFaults(lost_slot=1), Code.LOCK_PROOF, Fate.QUARANTINE),
        (ChipFaults(lost_slot=3), Code.LOCK_PROOF, Fate.QUARANTINE),
        (ChipFaults(trng="stuck"), Code.TRNG_HEALTH, Fate.REJECT_HELD),
    ],
)
async def test_a_bad_die_is_not_sealed(vault: Vault, faults: ChipFaults, code: Code, fate: Fate) -> None:
    chip = sound_chip()
    chip.faults = faults
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", DirectLink(chip))
    assert (caught.value.code, caught.value.fate) == (code, fate)
    assert await vault.means.registry.record_of("L1/1") is None


async def test_of_two_dies_with_one_key_the_second_is_found_and_the_line_stops(vault: Vault) -> None:
    first, second = sound_chip(1), sound_chip(2)
    first.faults = second.faults = ChipFaults(cloned_keys=True)
    await vault.personalise("L1/1", DirectLink(first))
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/2", DirectLink(second))
    assert (caught.value.code, caught.value.fate) == (Code.SPKI_DUPLICATE, Fate.QUARANTINE)
    assert first.public_keys() == second.public_keys() != {}
