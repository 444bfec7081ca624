"""Keys that are born in the key store: only if profile and order both say so, and marked everywhere."""

from pathlib import Path

import msgspec
import pytest

from drivers.protocols.se1_table import Slot
from station.vault.asked import Purpose
from station.vault.desk.statement import StatementError, signed
from station.vault.die.script import Answer
from station.vault.faults import Code, FaultError
from station.vault.profiles import SE1
from tests.station.vault.dies import DirectLink, sound_chip
from tests.station.vault.vaults import Vault, opened_vault, work_order

IMPORTING = msgspec.structs.replace(SE1, import_keys=(1, 2, 3))


async def origins(vault: Vault, unit: str) -> list[str]:
    record = await vault.means.registry.record_of(unit)
    assert record is not None
    return [key["origin"] for key in msgspec.json.decode(record.body)["keys"]]


@pytest.mark.parametrize("payload", [223, 4096])
@pytest.mark.parametrize("slots", [(1,), (2, 3), (1, 2, 3)])
async def test_keys_are_imported_and_marked(tmp_path: Path, slots: tuple[int, ...], payload: int) -> None:
    async with opened_vault(tmp_path, IMPORTING, imported=slots) as vault:
        link = DirectLink(sound_chip(payload=payload))
        await vault.personalise("L1/1", link)
        assert set(link.chip.public_keys()) == {Slot.ID_EC, Slot.ID_PQ, Slot.ID_KEM}
        told = ["imported" if slot in slots else "on-chip" for slot in (1, 2, 3)]
        assert await origins(vault, "L1/1") == told
        await vault.personalise("L1/1", link, Purpose.VERIFY)


async def test_an_order_that_says_nothing_has_its_keys_born_on_chip(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, IMPORTING) as vault:
        await vault.personalise("L1/1", DirectLink(sound_chip()))
        assert await origins(vault, "L1/1") == ["on-chip"] * 3


async def test_an_order_cannot_import_what_the_profile_does_not(tmp_path: Path) -> None:
    async with opened_vault(tmp_path) as vault:
        orders = vault.means.registry._orders
        envelope = signed(work_order(id="WO-9", import_keys=(1,)), ())
        with pytest.raises(StatementError, match="imports no such keys"):
            await vault.journal.commit(lambda db: orders.add(db, envelope))


async def test_another_key_than_was_sent_is_found(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, IMPORTING, imported=(2,)) as vault:
        first = DirectLink(sound_chip())
        seen: list[bytes] = []

        def keep(label: str, step: str, answer: Answer) -> Answer:
            if label.startswith("S2") and step == "key 2":
                seen.append(answer.data)
            return answer

        first.touch = keep
        await vault.personalise("L1/1", first)
        other = DirectLink(sound_chip(2))
        run = other.run

        async def swapped(script: object) -> dict[str, bytes]:
            found = await run(script)  # type: ignore[arg-type]
            return found | ({"key 2": bytes(len(found["key 2"]))} if "key 2" in found else {})

        other.run = swapped  # type: ignore[method-assign]
        with pytest.raises(FaultError, match="another key than was imported") as caught:
            await vault.personalise("L1/2", other)
        assert caught.value.code is Code.KEY_FORMAT


async def test_an_import_goes_on_after_a_lost_reply(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, IMPORTING, imported=(1, 2, 3)) as vault:
        link = DirectLink(sound_chip(payload=4096))
        lost = [True]

        def lose(label: str, step: str, answer: Answer) -> Answer | None:
            return None if label.startswith("S2") and step == "new key 2" and lost and lost.pop() else answer

        link.touch = lose
        await vault.personalise("L1/1", link)
        assert await origins(vault, "L1/1") == ["imported"] * 3
