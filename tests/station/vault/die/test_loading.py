"""Wafer sort: a virgin die gets UID and transport keys, whatever interrupts it, and only such dies go on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from drivers.protocols import se1
from drivers.protocols.se1_objects import Uid
from drivers.protocols.se1_table import LifeCycle, Token
from sim.dut.chip import Chip
from sim.dut.memory import PowerCut
from sim.dut.transport import RAW_TOKEN, development_uid
from station.vault import sorted_dies
from station.vault.asked import Admission, Purpose
from station.vault.development import APPROVAL
from station.vault.die.recovery import Intent, Standing
from station.vault.die.script import Answer
from station.vault.faults import Code, Fate, FaultError
from station.vault.keys.words import Algorithm, KeyProfile, KeyRef, KeyState
from station.vault.keys.words import Purpose as KeyPurpose
from station.vault.sorted_dies import Birthplace
from tests.station.vault.dies import FINGERPRINT, NOW, DirectLink, answer_of
from tests.station.vault.store_here import keys_in
from tests.station.vault.test_vault_ledger import told
from tests.station.vault.vaults import Vault, opened_vault

UNIT = "L1/7/-1/246"
UID = Uid(0x0A01, 1, 7, 1, 7, -1, 246).encode()


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path, known_only=True) as opened:
        yield opened


def virgin(index: int = 1, payload: int = 1024) -> Chip:
    chip = Chip(index, seed="sort", payload=payload, latency="zero")
    chip.power(3.3)
    chip.atr()
    return chip


def states_of(link: DirectLink) -> str:
    return link.chip.life_cycle.name


@pytest.mark.parametrize("payload", [223, 1024, 4096])
async def test_a_virgin_die_is_loaded_and_then_personalised(
    vault: Vault, tmp_path: Path, payload: int
) -> None:
    link = DirectLink(virgin(payload=payload))
    await vault.sort(UNIT, link, Purpose.OPEN_TEST)
    assert states_of(link) == "TEST_UNLOCKED"
    await vault.sort(UNIT, link, Purpose.LOAD)
    assert states_of(link) == "TEST_LOCKED"
    assert await vault.standing(UNIT) == (Standing.ADMITTED, Intent.NONE)
    await vault.sort("L1/T03/118", link, Purpose.OPEN_TEST)
    answer_of(link.chip, se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
    sealed = await vault.personalise("L1/T03/118", link)
    assert sealed.uid == UID
    events = [event for event, _ in told(tmp_path) if event.startswith("die.")]
    assert events == [
        "die.admitted", "die.opened", "die.loaded", "die.admitted", "die.opened", "die.resumed", "die.issued",
        "die.sealed",
    ]  # fmt: skip


async def test_a_load_without_rows_between_does_all_of_it_and_again_nothing(
    vault: Vault, tmp_path: Path
) -> None:
    link = DirectLink(virgin())
    await vault.sort(UNIT, link, Purpose.LOAD)
    await vault.sort(UNIT, link, Purpose.LOAD)
    assert link.chip.life_cycle is LifeCycle.TEST_LOCKED
    assert [event for event, _ in told(tmp_path)].count("die.loaded") == 1


async def test_a_load_goes_on_after_power_went_at_any_write(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, known_only=True, quantity=500) as vault:
        sound = DirectLink(virgin())
        await vault.sort(UNIT, sound, Purpose.LOAD)
        writes = sound.chip.memory.writes
        kinds: tuple[Literal["before", "torn", "after"], ...] = ("before", "torn", "after")
        for kind in kinds:
            for write in range(1, writes + 1):
                link = DirectLink(virgin(write))
                link.chip.cut(PowerCut(write, kind))
                await vault.sort(f"L1/{len(kind)}/{write}/0", link, Purpose.LOAD)
                assert link.chip.life_cycle is LifeCycle.TEST_LOCKED


@pytest.mark.parametrize("script", ["L0", "L1", "L2", "L3", "L4"])
async def test_a_load_goes_on_after_any_lost_reply(vault: Vault, script: str) -> None:
    link = DirectLink(virgin())
    lost = 2

    def lose(label: str, _step: str, answer: Answer) -> Answer | None:
        nonlocal lost
        if label.startswith(script) and lost:
            lost -= 1
            return None
        return answer

    link.touch = lose
    await vault.sort(UNIT, link, Purpose.LOAD)
    assert link.chip.life_cycle is LifeCycle.TEST_LOCKED


async def test_a_die_that_answers_nothing_is_tried_on_three_contacts(vault: Vault) -> None:
    link = DirectLink(virgin())
    link.touch = lambda label, _step, answer: None if label.startswith("L2") else answer
    fates = []
    for _ in range(3):
        with pytest.raises(FaultError) as caught:
            await vault.sort(UNIT, link, Purpose.LOAD)
        fates.append(caught.value.fate)
    assert fates == [Fate.RETRY, Fate.RETRY, Fate.REJECT_HELD]


async def with_keys(folder: Path, states: dict[str, KeyState]) -> None:
    """A key store with these plant's keys beside or instead of the one that simulated dies know, TKEM-1."""
    store = (await keys_in(folder, 7))._store
    for name, state in states.items():
        if name != "TKEM-1":
            await store.generate(KeyProfile(name, Algorithm.ML_KEM_768, KeyPurpose.DECAPSULATE))
            await store.change(KeyRef(name), KeyState.ACTIVE, APPROVAL)
        if state is not KeyState.ACTIVE:
            await store.change(KeyRef(name), state, APPROVAL)
    await store.aclose()


@pytest.mark.parametrize("payload", [223, 4096])
async def test_a_plant_has_keys_for_several_mask_sets(tmp_path: Path, payload: int) -> None:
    await with_keys(tmp_path, dict.fromkeys(("TKEM-2", "TKEM-10"), KeyState.ACTIVE))
    async with opened_vault(tmp_path, known_only=True) as vault:
        assert vault.means.store.transport_kems() == ["TKEM-10", "TKEM-2", "TKEM-1"]
        link = DirectLink(virgin(payload=payload))
        await vault.sort(UNIT, link, Purpose.LOAD)
        assert link.chip.life_cycle is LifeCycle.TEST_LOCKED
        await vault.sort(UNIT, link, Purpose.OPEN_TEST)
        answer_of(link.chip, se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
        assert (await vault.personalise(UNIT, link)).uid == UID


async def test_a_die_of_a_strange_mask_set_is_held_and_gets_no_keys(tmp_path: Path) -> None:
    await with_keys(tmp_path, {"TKEM-1": KeyState.SUSPENDED, "TKEM-2": KeyState.ACTIVE})
    async with opened_vault(tmp_path, known_only=True) as vault:
        link = DirectLink(virgin())
        with pytest.raises(FaultError, match="none of the plant's keys: TKEM-2") as caught:
            await vault.sort(UNIT, link, Purpose.LOAD)
        assert (caught.value.code, caught.value.fate) == (Code.KEY_SETS, Fate.REJECT_HELD)
        assert link.chip.life_cycle is LifeCycle.TEST_UNLOCKED


async def test_wrong_check_values_hold_the_die(vault: Vault) -> None:
    link = DirectLink(virgin())

    def spoil(_label: str, step: str, answer: Answer) -> Answer:
        return msgspec.structs.replace(answer, data=bytes(10)) if step == "PUT TRANSPORT KEYS" else answer

    link.touch = spoil
    with pytest.raises(FaultError, match="check values") as caught:
        await vault.sort(UNIT, link, Purpose.LOAD)
    assert (caught.value.code, caught.value.fate) == (Code.KEY_SETS, Fate.REJECT_HELD)
    assert link.chip.life_cycle is LifeCycle.TEST_UNLOCKED


async def test_a_token_is_sent_once_whatever_the_die_answers(vault: Vault) -> None:
    link = DirectLink(virgin())
    link.touch = lambda _label, step, answer: (
        Answer(b"", 0x63C7) if step == "VERIFY TOKEN" else Answer(b"\1\0" + answer.data[2:], answer.sw)
        if step == "DIE STATUS" else answer
    )  # fmt: skip
    with pytest.raises(FaultError, match="RAW token") as caught:
        await vault.sort(UNIT, link, Purpose.OPEN_TEST)
    assert caught.value.fate is Fate.REJECT_HELD
    assert link.labels == ["L0 read", "L1 open test"]


async def test_what_no_sort_told_of_is_not_opened_and_not_personalised(vault: Vault) -> None:
    locked = Chip.from_sort(3, seed="elsewhere", latency="zero", state=LifeCycle.TEST_LOCKED)
    ready = Chip.from_sort(4, seed="elsewhere", latency="zero", state=LifeCycle.OP_READY)
    for chip in (locked, ready):
        chip.power(3.3)
        chip.atr()
    with pytest.raises(FaultError, match="none of those that wafer sort has loaded") as caught:
        await vault.sort("L1/T1/1", DirectLink(locked), Purpose.OPEN_TEST)
    assert caught.value.code is Code.UID_MISMATCH
    with pytest.raises(FaultError, match="none of those that wafer sort has loaded"):
        await vault.personalise("L1/T1/2", DirectLink(ready))
    await vault.journal.commit(lambda db: sorted_dies.listed(db, (development_uid(4),), "list-1", NOW))
    await vault.personalise("L1/T1/3", DirectLink(ready))


async def test_on_a_wafer_the_die_is_the_one_of_its_place(vault: Vault) -> None:
    first, second = DirectLink(virgin(1)), DirectLink(virgin(2))
    await vault.sort("L1/7/0/0", first, Purpose.LOAD)
    await vault.sort("L1/7/0/1", second, Purpose.LOAD)
    with pytest.raises(FaultError, match="the die is the one of L1/7/0/1") as caught:
        await vault.sort("L1/7/0/0", second, Purpose.OPEN_TEST)
    assert caught.value.code is Code.UID_MISMATCH


async def test_two_dies_at_one_place_are_found_out(vault: Vault) -> None:
    await vault.sort(UNIT, DirectLink(virgin(1)), Purpose.LOAD)
    other = DirectLink(virgin(2))
    with pytest.raises(FaultError, match="another UID|was loaded") as caught:
        await vault.sort("L1/7/0/5", DirectLink(_with_uid(virgin(3), UID)), Purpose.LOAD)
    assert caught.value.code is Code.UID_MISMATCH
    await vault.sort("L1/7/0/6", other, Purpose.LOAD)


def _with_uid(chip: Chip, uid: bytes) -> Chip:
    chip.apdu(se1.command("VERIFY TOKEN", token=RAW_TOKEN, kind=Token.RAW))
    chip.apdu(se1.command("SET UID", uid=uid))
    return chip


async def test_a_die_out_of_test_is_left_alone(vault: Vault) -> None:
    ready = Chip.from_sort(4, seed="elsewhere", latency="zero", state=LifeCycle.OP_READY)
    ready.power(3.3)
    ready.atr()
    for purpose in (Purpose.LOAD, Purpose.OPEN_TEST):
        with pytest.raises(FaultError, match="OP_READY, out of test") as caught:
            await vault.sort("L1/7/1/1", DirectLink(ready), purpose)
        assert caught.value.fate is Fate.UNTOUCHED


async def test_a_unit_half_loaded_is_not_personalised(vault: Vault) -> None:
    link = DirectLink(virgin())
    link.touch = lambda label, _step, answer: None if label.startswith("L2") else answer
    with pytest.raises(FaultError):
        await vault.sort(UNIT, link, Purpose.LOAD)
    with pytest.raises(FaultError, match="RESUME") as caught:
        await vault.personalise(UNIT, link)
    assert caught.value.code is Code.UNIT_SPOILED
    with pytest.raises(FaultError) as caught:
        await vault.personalise(UNIT, link, Purpose.RESUME)
    assert caught.value.fate is Fate.UNTOUCHED


@pytest.mark.parametrize("unit", ["L1/7/1", "lot/7/1/1", "L99999999999/1/1/1", "L1/300/1/1", "L1/1/40000/1"])
def test_only_a_place_on_a_wafer_gives_a_uid(unit: str) -> None:
    with pytest.raises(FaultError, match="gives no UID") as caught:
        Birthplace().uid(unit, 1)
    assert caught.value.code is Code.LOT_CLOSED


async def test_a_unit_that_passed_its_test_is_not_sorted_again(vault: Vault) -> None:
    link = DirectLink(virgin())
    await vault.sort(UNIT, link, Purpose.LOAD)
    await vault.sort(UNIT, link, Purpose.OPEN_TEST)
    answer_of(link.chip, se1.command("SET STATUS", life_cycle=LifeCycle.OP_READY))
    await vault.personalise(UNIT, link)
    with pytest.raises(FaultError) as caught:
        await vault.means.registry.admit(
            Admission(UNIT, "L1", Purpose.LOAD, bytes(16), NOW, FINGERPRINT, "cell")
        )
    assert caught.value.code is Code.UNIT_SEALED
