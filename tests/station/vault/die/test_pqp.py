"""PQP-1 against the chip's own firmware, in this process."""

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, sampled_from

from drivers.protocols.se1_table import LifeCycle
from sim.dut.chip import Chip, ChipFaults
from sim.dut.transport import development_uid
from station.vault import rows
from station.vault.asked import Purpose
from station.vault.die.pqp import personalise
from station.vault.die.recovery import Intent, Standing
from station.vault.die.scp03 import KeySet
from station.vault.die.script import Answer, Script
from station.vault.faults import Code, DoubtError, Fate, FaultError
from station.vault.keyring import ISSUER
from station.vault.profiles import SE1
from tests.station.vault.dies import FINGERPRINT, DirectLink, sound_chip
from tests.station.vault.vaults import QUANTITY, Vault, drops, opened_vault, steps_of_each_script


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened_vault(tmp_path) as vault:
        yield vault


@pytest.mark.parametrize("payload", [223, 1024, 4096])
async def test_a_sound_die_is_sealed(vault: Vault, payload: int) -> None:
    chip = sound_chip(payload=payload)
    link = DirectLink(chip)
    sealed = await vault.personalise("L1/1", link)
    assert [label[:2] for label in link.labels] == [f"S{n}" for n in range(8)]
    assert chip.life_cycle is LifeCycle.SECURED
    assert await vault.standing("L1/1") == (Standing.REGISTERED, Intent.NONE)
    assert len(sealed.serial) == 16
    certificates = await vault.means.registry.certificates("L1/1")
    assert [cert.slot for cert in certificates] == sorted(SE1.slots)
    assert sealed.certificates == tuple(sha256(cert.der).digest() for cert in certificates)


@pytest.mark.parametrize("script", [f"S{number}" for number in range(8)])
async def test_a_link_lost_anywhere_is_recovered_on_the_same_contact(vault: Vault, script: str) -> None:
    steps = (await steps_of_each_script(vault, sound_chip(payload=4096)))[script]
    for arrived in range(steps + 1):
        link = drops(script, arrived, sound_chip(10 + arrived, payload=4096))
        unit = f"L1/{10 + arrived}"
        await vault.personalise(unit, link)
        assert await vault.standing(unit) == (Standing.REGISTERED, Intent.NONE)
        assert len(await vault.means.registry.certificates(unit)) == len(SE1.slots)
        assert link.chip.life_cycle is LifeCycle.SECURED


def flipped(answer: Answer) -> Answer:
    return Answer(bytes([answer.data[0] ^ 1]) + answer.data[1:], answer.sw)


async def test_a_tampered_reply_ends_the_session_and_a_new_one_goes_on(vault: Vault) -> None:
    link = DirectLink(sound_chip())
    pending = ["key 2"]

    def once(_label: str, step: str, answer: Answer) -> Answer:
        if step not in pending:
            return answer
        pending.remove(step)
        return flipped(answer)

    link.touch = once
    await vault.personalise("L1/1", link)
    assert [label[:2] for label in link.labels][:6] == ["S0", "S1", "S2", "S0", "S1", "S2"]


@pytest.mark.parametrize(
    ("step", "fate"),
    [
        ("DIE STATUS", Fate.RETRY),
        ("key 2", Fate.REJECT_HELD),
        ("STORE HASH", Fate.QUARANTINE),
    ],
)
async def test_a_reply_tampered_every_time_decides_by_how_far_the_die_is(
    vault: Vault, step: str, fate: Fate
) -> None:
    link = DirectLink(sound_chip())
    link.touch = lambda label, name, answer: flipped(answer) if name == step and label[:2] != "S0" else answer
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", link)
    assert (caught.value.code, caught.value.fate) == (Code.R_MAC, fate)


async def test_a_success_that_the_station_forges_is_not_believed(vault: Vault) -> None:
    """The lock is withheld from the die and answered by the station."""
    link = DirectLink(sound_chip())

    async def forging(script: Script) -> dict[str, bytes]:
        answers = [Answer(b"", 0x9000)] * len(script.steps)
        return script.opened(answers, ended=True)

    run = link.run

    async def through(script: Script) -> dict[str, bytes]:
        return await (forging if script.label[:2] == "S6" else run)(script)

    link.run = through  # type: ignore[method-assign]
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", link)
    assert caught.value.fate is Fate.QUARANTINE
    assert link.chip.life_cycle is LifeCycle.INITIALIZED


async def test_one_key_in_two_dies_stops_before_it_is_certified(vault: Vault) -> None:
    for index in (1, 2):
        chip = sound_chip(index)
        chip.faults = ChipFaults(cloned_keys=True)
        if index == 1:
            await vault.personalise("L1/1", DirectLink(chip))
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/2", DirectLink(chip))
    assert (caught.value.code, caught.value.fate) == (Code.SPKI_DUPLICATE, Fate.QUARANTINE)
    assert not await vault.means.registry.certificates("L1/2")


async def test_two_dies_that_draw_the_same_are_told_before_the_second_makes_keys(vault: Vault) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip(1)))
    twin = sound_chip(1, uid=development_uid(2))
    with pytest.raises(FaultError, match="unit L1/1 drew the same challenge") as caught:
        await vault.personalise("L1/2", DirectLink(twin))
    assert (caught.value.code, caught.value.fate) == (Code.TRNG_STATISTICS, Fate.REJECT_HELD)
    assert twin.public_keys() == {}
    assert await vault.standing("L1/2") == (Standing.ADMITTED, Intent.NONE)


async def test_a_die_that_comes_again_may_draw_what_it_drew_before(vault: Vault) -> None:
    for unit in ("L1/1", "L1/2"):
        await vault.admit(unit)
    for _ in range(2):
        await vault.journal.commit(lambda db: rows.drawn(db, "L1/1", bytes(16)))
    with pytest.raises(FaultError, match="L1/1 drew the same"):
        await vault.journal.commit(lambda db: rows.drawn(db, "L1/2", bytes(16)))


async def test_one_uid_in_two_dies_quarantines_both(vault: Vault) -> None:
    await vault.personalise("L1/1", DirectLink(sound_chip(1)))
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/2", DirectLink(sound_chip(2, uid=development_uid(1))))
    assert (caught.value.code, caught.value.fate) == (Code.UID_DUPLICATE, Fate.QUARANTINE)
    first = await vault.means.registry.unit("L1/1")
    assert first is not None
    assert first.account == "QUARANTINE"


async def test_a_die_in_work_is_quarantined_too_when_its_uid_shows_up_again(vault: Vault) -> None:
    link = DirectLink(sound_chip(1))
    run = link.run

    async def interrupted(script: Script) -> dict[str, bytes]:
        if script.label[:2] == "S2":
            with pytest.raises(FaultError):
                await vault.personalise("L1/2", DirectLink(sound_chip(2, uid=development_uid(1))))
        return await run(script)

    link.run = interrupted  # type: ignore[method-assign]
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", link)
    assert (caught.value.code, caught.value.fate) == (Code.UID_DUPLICATE, Fate.QUARANTINE)


async def test_a_die_that_somebody_else_locked_is_quarantined(vault: Vault) -> None:
    chip = sound_chip()
    await vault.personalise("L1/1", DirectLink(chip))
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/2", DirectLink(chip))
    assert (caught.value.code, caught.value.fate) == (Code.LIFE_CYCLE, Fate.QUARANTINE)


async def test_a_die_still_in_test_is_untouched(vault: Vault) -> None:
    chip = Chip.from_sort(1, seed="test", latency="zero")
    chip.power(3.3)
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", DirectLink(chip))
    assert (caught.value.code, caught.value.fate) == (Code.LIFE_CYCLE, Fate.UNTOUCHED)
    assert await vault.standing("L1/1") == (Standing.ADMITTED, Intent.NONE)


@pytest.mark.parametrize(
    ("faults", "code", "fate"),
    [
        (ChipFaults(mute=True), Code.LINK, Fate.RETRY),
        (ChipFaults(trng="stuck"), Code.TRNG_HEALTH, Fate.REJECT_HELD),
        (ChipFaults(broken="mldsa"), Code.SELF_TEST, Fate.REJECT_HELD),
        (ChipFaults(pairwise=True), Code.STATUS_WORD, Fate.REJECT_HELD),
        (ChipFaults(life_cycle=LifeCycle.TERMINATED), Code.LIFE_CYCLE, Fate.REJECT_HELD),
    ],
)
async def test_a_bad_die_ends_by_its_fault(vault: Vault, faults: ChipFaults, code: Code, fate: Fate) -> None:
    chip = sound_chip()
    chip.faults = faults
    with pytest.raises(FaultError) as caught:
        await vault.personalise("L1/1", DirectLink(chip))
    assert (caught.value.code, caught.value.fate) == (code, fate)


async def test_a_unit_in_work_goes_on_only_by_resume_and_a_sealed_one_never(vault: Vault) -> None:
    link = drops("S3", 1, sound_chip(payload=4096))
    link.touch = lambda label, _step, answer: None if label.startswith("S2 keys again") else answer
    with pytest.raises(FaultError):
        await vault.personalise("L1/1", link)
    with pytest.raises(FaultError) as caught:
        await vault.admit("L1/1")
    assert caught.value.code is Code.UNIT_SPOILED
    await vault.personalise("L1/1", DirectLink(link.chip), Purpose.RESUME)
    with pytest.raises(FaultError) as caught:
        await vault.admit("L1/1", Purpose.RESUME)
    assert caught.value.code is Code.UNIT_SEALED


async def test_a_unit_resumed_under_another_sequence_keeps_its_identity(vault: Vault) -> None:
    link = drops("S3", 0, sound_chip(payload=4096))
    link.touch = lambda label, _step, answer: None if label.startswith("S2 keys again") else answer
    with pytest.raises(FaultError):
        await vault.personalise("L1/1", link)
    job = replace(await vault.admit("L1/1", Purpose.RESUME), fingerprint=bytes(32))
    await personalise(job, DirectLink(link.chip), vault.means)
    record = await vault.means.registry.record_of("L1/1")
    assert record is not None
    assert FINGERPRINT.hex() in record.body.decode()


async def test_new_keys_that_the_die_does_not_know_are_put_again(vault: Vault) -> None:
    """A cut in rotation may leave a key set 31 that is not the one we derive."""
    link = drops("S5", 1, sound_chip(payload=4096))
    keys, right = vault.means.store, vault.means.store.die_keys
    run = link.run

    async def wrong(uid: bytes, kvn: int, product: str = "se1") -> KeySet:
        return await right(bytes(16) if kvn == ISSUER else uid, kvn, product)

    async def corrected(script: Script) -> dict[str, bytes]:
        try:
            return await run(script)
        except DoubtError:
            keys.die_keys = right  # type: ignore[method-assign]
            raise

    keys.die_keys = wrong  # type: ignore[method-assign]
    link.run = corrected  # type: ignore[method-assign]
    await vault.personalise("L1/1", link)
    assert link.labels[-4:] == ["S1 screen", "S5 rotate", "S6 lock", "S7 proof of lock"]


async def test_more_units_than_devices_of_the_lot_are_refused(vault: Vault) -> None:
    for number in range(QUANTITY):
        await vault.admit(f"L1/{number}")
    with pytest.raises(FaultError) as caught:
        await vault.admit(f"L1/{QUANTITY}")
    assert caught.value.code is Code.ORDER_EXHAUSTED


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    step=sampled_from(["SELECT", "GET UID", "GET KEY INFO", "DIE STATUS", "INITIALIZE UPDATE"]),
    reply=binary(max_size=300),
)
async def test_nonsense_of_a_die_is_a_fault_and_nothing_else(vault: Vault, step: str, reply: bytes) -> None:
    link = DirectLink(sound_chip())
    link.touch = lambda label, name, answer: (
        Answer(reply, 0x9000) if name == step and label[:2] == "S0" else answer
    )
    with pytest.raises(FaultError):
        await vault.personalise("L1/1", link)


async def test_a_die_that_never_answers_is_held_on_its_third_contact(vault: Vault) -> None:
    link = DirectLink(sound_chip())
    link.touch = lambda _label, _step, _answer: None
    fates = []
    for _ in range(3):
        with pytest.raises(FaultError) as caught:
            await vault.personalise("L1/1", link)
        fates.append(caught.value.fate)
    assert fates == [Fate.RETRY, Fate.RETRY, Fate.REJECT_HELD]


async def test_a_sealed_die_that_does_not_answer_stays_sealed(vault: Vault) -> None:
    link = DirectLink(sound_chip(payload=4096))
    await vault.personalise("L1/1", link)
    link.touch = lambda _label, _step, _answer: None
    for _ in range(4):
        with pytest.raises(FaultError) as caught:
            await vault.personalise("L1/1", link, Purpose.VERIFY)
        assert caught.value.fate is Fate.RETRY
