"""A customer's own data in each device: only if profile and order both say so, attested and recorded."""

from hashlib import sha384
from pathlib import Path

import msgspec
import pytest

from station.vault.asked import Purpose
from station.vault.desk.statement import StatementError, signed
from station.vault.die.contents import customer_container
from station.vault.die.pqp import Contact
from station.vault.die.script import Answer
from station.vault.faults import Code, FaultError
from station.vault.profiles import CUSTOMER_MAX, SE1
from tests.station.vault.dies import DirectLink, sound_chip
from tests.station.vault.vaults import opened_vault, work_order

FILLED = msgspec.structs.replace(SE1, customer_bytes=CUSTOMER_MAX, readback="full")
DATA = (b"tariff 7", bytes(range(256)) * 16)
MOST = (bytes(CUSTOMER_MAX),)


@pytest.mark.parametrize("payload", [223, 4096])
@pytest.mark.parametrize("data", [DATA, MOST])
async def test_data_go_into_the_die_and_their_hash_into_the_record(
    tmp_path: Path, payload: int, data: tuple[bytes, ...]
) -> None:
    async with opened_vault(tmp_path, FILLED, customer_data=data) as vault:
        link = DirectLink(sound_chip(payload=payload))
        await vault.personalise("L1/1", link)
        record = await vault.means.registry.record_of("L1/1")
        assert record is not None
        told = msgspec.json.decode(record.body)["customer_sha384"]
        assert told == sha384(customer_container(data)).hexdigest()
        await vault.personalise("L1/1", link, Purpose.VERIFY)


async def test_without_data_nothing_is_said_of_them(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, FILLED) as vault:
        await vault.personalise("L1/1", DirectLink(sound_chip()))
        record = await vault.means.registry.record_of("L1/1")
        assert record is not None
        assert "customer_sha384" not in msgspec.json.decode(record.body)


async def test_a_lost_reply_has_them_written_again(tmp_path: Path) -> None:
    async with opened_vault(tmp_path, FILLED, customer_data=DATA) as vault:
        lost = [True]

        def lose(label: str, step: str, answer: Answer) -> Answer | None:
            return None if label == "S4 customer" and step == "STORE DATA" and lost and lost.pop() else answer

        link = DirectLink(sound_chip())
        link.touch = lose
        await vault.personalise("L1/1", link)
        assert not lost


async def test_a_die_that_holds_other_data_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def others(contact: Contact) -> None:
        script = contact._script("S4 customer")
        contact._store(script, customer_container((b"tariff 8",)))
        await contact._link.run(script)

    monkeypatch.setattr(Contact, "_write_customer", others)
    async with opened_vault(tmp_path, FILLED, customer_data=DATA) as vault:
        with pytest.raises(FaultError) as caught:
            await vault.personalise("L1/1", DirectLink(sound_chip()))
        assert caught.value.code is Code.STORE_HASH


@pytest.mark.parametrize(("profile", "data"), [(SE1, (b"x",)), (FILLED, (bytes(CUSTOMER_MAX), b"x"))])
async def test_an_order_names_no_more_than_the_profile_allows(
    tmp_path: Path, profile: object, data: tuple[bytes, ...]
) -> None:
    async with opened_vault(tmp_path, profile) as vault:  # type: ignore[arg-type]
        orders = vault.means.registry._orders
        wanted = {"profile_hash": profile.hash().hex(), "customer_data": data}  # type: ignore[attr-defined]
        envelope = signed(work_order(id="WO-9", **wanted), ())
        with pytest.raises(StatementError, match=r"bytes of customer data, the profile allows"):
            await vault.journal.commit(lambda db: orders.add(db, envelope))
