"""Several vaults and one registry: what two units have, what happens without it, and what is caught up."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, delete

from sim.dut.chip import Chip
from sim.dut.transport import development_uid
from station.custody.accounts import MoveRefusedError
from station.custody.moves import Account, Move
from station.vault import unit_moves
from station.vault.asked import Purpose
from station.vault.configuration import RegistryTable
from station.vault.die.contents import Contents
from station.vault.die.pqp import personalise
from station.vault.die.recovery import Intent, Standing
from station.vault.faults import Code, Fate, FaultError
from station.vault.plant import site_claims
from station.vault.plant.site_registry import CLAIM, NameTakenError, SiteDownError, SiteRegistry
from station.vault.plant.uniqueness import Kind, Member
from tests.station.vault.dies import NOW, DirectLink, sound_chip
from tests.station.vault.sites import Site
from tests.station.vault.vaults import Vault, drops, opened_vault, steps_of_each_script


class Plant:
    """Vaults that share a registry, each with its sending task."""

    def __init__(self, site: Site, folder: Path, stack: AsyncExitStack) -> None:
        self.site, self._folder, self._stack = site, folder, stack

    def table(self, spool_max: int = 100) -> RegistryTable:
        return RegistryTable("site", self.site.url, spool_max, wait_s=self.site.deadline_s)

    async def vault(self, name: str, table: RegistryTable | None = None) -> Vault:
        return await self._stack.enter_async_context(self.serving(name, table))

    @asynccontextmanager
    async def serving(self, name: str, table: RegistryTable | None = None) -> AsyncIterator[Vault]:
        (self._folder / name).mkdir(exist_ok=True)
        async with opened_vault(self._folder / name, site=table or self.table(), name=name) as vault:
            assert vault.courier is not None
            task = asyncio.get_running_loop().create_task(vault.courier.run())
            try:
                yield vault
            finally:
                task.cancel()
                await asyncio.wait([task])


@pytest.fixture
async def plant(site: Site, tmp_path: Path) -> AsyncIterator[Plant]:
    async with AsyncExitStack() as stack:
        yield Plant(site, tmp_path, stack)


async def drained(vault: Vault) -> None:
    """Everything is sent and followed, without waiting for the task."""
    assert vault.courier is not None
    while await vault.courier.round():
        pass


async def account(vault: Vault, unit: str) -> str:
    known = await vault.means.registry.unit(unit)
    assert known is not None
    return known.account


async def told(vault: Vault, unit: str | None = "L1/1") -> list[str]:
    def act(db: sqlite3.Connection) -> list[str]:
        return [entry for (entry,) in db.execute("SELECT entry FROM leaf ORDER BY idx")]

    entries = [msgspec.json.decode(entry) for entry in await vault.journal.commit(act)]
    return [entry["event"] for entry in entries if unit is None or entry.get("unit") == unit]


async def holds(vault: Vault, unit: str) -> list[str]:
    """The reason of each certificate of a unit that does not count."""
    query = "SELECT reason FROM revocation JOIN cert USING(issuer, serial) WHERE unit = ?"
    found = await vault.journal.commit(lambda db: db.execute(query, (unit,)).fetchall())
    return [reason for (reason,) in found]


async def recorded(vault: Vault, unit: str) -> object:
    record = await vault.means.registry.record_of(unit)
    assert record is not None
    return msgspec.json.decode(record.body)["checked"]


async def identity_of(vault: Vault) -> bytes:
    """The IDENTITY object that die 2 is going to get."""
    job = await vault.admit("L1/2")
    dossier = await vault.means.registry.dossier("L1/2")
    assert dossier is not None
    return Contents(job, vault.means, dossier).new_identity(development_uid(2), bytes(48))


async def ship(vault: Vault, unit: str) -> Account:
    await vault.journal.commit(lambda db: db.execute("UPDATE lot SET state = 'closed'"))
    why = unit_moves.Why(NOW)
    moved = await vault.journal.commit(lambda db: unit_moves.moved(db, Move(unit, "unit.shipped"), why))
    return moved.target


async def fault_of(vault: Vault, unit: str, chip: Chip) -> FaultError:
    with pytest.raises(FaultError) as caught:
        await vault.personalise(unit, DirectLink(chip))
    return caught.value


@pytest.mark.parametrize("script", ["S2", "S3", "S4", "S7"])
async def test_a_die_is_sealed_and_checked_by_the_plant_also_after_a_lost_link(
    plant: Plant, script: str
) -> None:
    vault = await plant.vault("vault-1")
    steps = (await steps_of_each_script(vault, sound_chip(payload=4096)))[script]
    await vault.personalise("L1/2", drops(script, steps, sound_chip(2, payload=4096)))
    for unit in ("L1/1", "L1/2"):
        assert await vault.standing(unit) == (Standing.REGISTERED, Intent.NONE)
        assert await recorded(vault, unit) == "site"
    assert await ship(vault, "L1/1") is Account.SHIPPED


async def test_a_uid_of_another_vault_quarantines_both_units(plant: Plant) -> None:
    first, second = await plant.vault("vault-1"), await plant.vault("vault-2")
    await first.personalise("L1/1", DirectLink(sound_chip(1)))
    fault = await fault_of(second, "L1/9", sound_chip(2, uid=development_uid(1)))
    assert (fault.code, fault.fate) == (Code.UID_DUPLICATE, Fate.QUARANTINE)
    assert "unit L1/1 of vault-1" in fault.detail
    assert await account(second, "L1/9") == "QUARANTINE"
    await drained(first)
    assert await account(first, "L1/1") == "QUARANTINE"
    assert await holds(first, "L1/1") == ["certificateHold"] * 3
    assert (await told(first))[-5:] == ["uid.duplicate", "unit.quarantined", *["cert.revoked"] * 3]
    await drained(first)
    assert (await told(first)).count("uid.duplicate") == 1
    assert not first.stops.reasons
    assert not second.stops.reasons


async def test_a_key_of_another_vault_stops_both_lines(plant: Plant) -> None:
    first, second = await plant.vault("vault-1"), await plant.vault("vault-2")
    await first.personalise("L1/1", DirectLink(sound_chip(1)))
    fault = await fault_of(second, "L1/1", sound_chip(1, uid=development_uid(2)))
    assert (fault.code, fault.fate) == (Code.SPKI_DUPLICATE, Fate.QUARANTINE)
    assert list(second.stops.reasons) == [(Code.SPKI_DUPLICATE, "", "")]
    await drained(first)
    assert list(first.stops.reasons) == [(Code.SPKI_DUPLICATE, "", "")]
    assert await account(first, "L1/1") == await account(second, "L1/1") == "QUARANTINE"
    assert "spki.duplicate" in await told(first)
    assert "line.stopped" in await told(first, None)


async def test_of_two_clones_at_once_at_most_one_is_sealed_and_none_stays(plant: Plant) -> None:
    vaults = [await plant.vault(name) for name in ("vault-1", "vault-2")]

    async def personalised(vault: Vault) -> bool:
        try:
            await vault.personalise("L1/1", DirectLink(sound_chip(1)))
        except FaultError as fault:
            assert fault.code is Code.UID_DUPLICATE
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(personalised(vault)) for vault in vaults]
    assert sum(task.result() for task in tasks) <= 1
    for vault in vaults:
        await drained(vault)
        assert await account(vault, "L1/1") == "QUARANTINE"


async def test_without_the_registry_a_unit_is_sealed_and_kept_until_it_is_checked(plant: Plant) -> None:
    vault = await plant.vault("vault-1")
    plant.site.down()
    await vault.personalise("L1/1", DirectLink(sound_chip(1)))
    assert await recorded(vault, "L1/1") == "local"
    with pytest.raises(MoveRefusedError, match="not checked by the site registry"):
        await ship(vault, "L1/1")
    plant.site.up()
    await drained(vault)
    assert await vault.means.registry.checked("L1/1") == "site"
    assert await recorded(vault, "L1/1") == "local", "what is signed stays"
    assert await ship(vault, "L1/1") is Account.SHIPPED


@pytest.mark.parametrize(("keys", "uid"), [(1, 2), (2, 1)])
async def test_what_is_found_late_quarantines_the_sealed_unit(plant: Plant, keys: int, uid: int) -> None:
    first, second = await plant.vault("vault-1"), await plant.vault("vault-2")
    await first.personalise("L1/1", DirectLink(sound_chip(1)))
    plant.site.down()
    await second.personalise("L1/1", DirectLink(sound_chip(keys, uid=development_uid(uid))))
    assert await account(second, "L1/1") == "SECURED"
    plant.site.up()
    await drained(second)
    await drained(first)
    for vault in (first, second):
        assert await account(vault, "L1/1") == "QUARANTINE"
        assert await holds(vault, "L1/1") == ["certificateHold"] * 3
        assert bool(vault.stops.reasons) == (keys == 1)
    assert await vault.means.registry.checked("L1/1") == "local"


async def test_a_full_spool_admits_nothing_more_until_it_is_sent(plant: Plant) -> None:
    vault = await plant.vault("vault-1", plant.table(spool_max=5))
    plant.site.down()
    for index in range(1, 6):
        assert "spool.full" not in await told(vault, None)
        await vault.personalise(f"L1/{index}", DirectLink(sound_chip(index)))
    events = await told(vault, None)
    assert (events.count("spool.high"), events.count("spool.full")) == (1, 1)
    fault = await fault_of(vault, "L1/6", sound_chip(6))
    assert (fault.code, fault.fate) == (Code.SPOOL_FULL, Fate.UNTOUCHED)
    assert await vault.means.registry.unit("L1/6") is None
    plant.site.up()
    await drained(vault)
    await vault.personalise("L1/6", DirectLink(sound_chip(6)))
    assert await recorded(vault, "L1/6") == "site"


async def test_a_unit_in_the_spool_goes_on_though_it_is_full(plant: Plant) -> None:
    vault = await plant.vault("vault-1", plant.table(spool_max=1))
    plant.site.down()
    job = await vault.admit("L1/1")
    chip = sound_chip(1)
    with pytest.raises(FaultError):
        await personalise(job, Silent(chip, "S3"), vault.means)
    await vault.personalise("L1/1", DirectLink(chip), Purpose.RESUME)
    assert await account(vault, "L1/1") == "SECURED"


class Silent(DirectLink):
    """A link to a die that answers no script from one on."""

    def __init__(self, chip: Chip, label: str) -> None:
        super().__init__(chip)
        self.touch = lambda script, step, answer: None if script[:2] >= label else answer


@pytest.mark.parametrize("sent", [False, True])
async def test_a_vault_that_died_before_it_sent_or_noted_sends_again(plant: Plant, *, sent: bool) -> None:
    async with plant.serving("vault-1") as vault:
        plant.site.down()
        await vault.personalise("L1/1", DirectLink(sound_chip(1)))
        mark = await vault.journal.commit(site_claims.mark)
        claims = await vault.journal.commit(lambda db: site_claims.batch(db, [], 100))
    plant.site.up()
    assert len(claims) == 1 + 3 + 3 + 1
    if sent:
        registry = SiteRegistry(plant.table().address(), 5.0)
        registry.claim(Member("vault-1", mark), claims)
        registry.close()
    async with plant.serving("vault-1") as vault:
        await drained(vault)
        assert await vault.means.registry.checked("L1/1") == "site"
        assert await account(vault, "L1/1") == "SECURED"


async def test_what_a_vault_sealed_alone_is_checked_once_it_belongs_to_a_plant(
    plant: Plant, tmp_path: Path
) -> None:
    first = await plant.vault("vault-1")
    await first.personalise("L1/1", DirectLink(sound_chip(1)))
    (tmp_path / "vault-2").mkdir()
    async with opened_vault(tmp_path / "vault-2") as alone:
        await alone.personalise("L1/1", DirectLink(sound_chip(1, uid=development_uid(2))))
        await alone.personalise("L1/2", DirectLink(sound_chip(3)))
        assert await recorded(alone, "L1/2") == "local"
        assert await alone.journal.commit(site_claims.spooled) == 0
    second = await plant.vault("vault-2")
    await drained(second)
    assert await account(second, "L1/1") == "QUARANTINE"
    assert await account(second, "L1/2") == "SECURED"
    assert await second.means.registry.checked("L1/2") == "site"


async def test_a_registry_that_lost_claims_is_given_them_again(plant: Plant) -> None:
    async with plant.serving("vault-1") as vault:
        await vault.personalise("L1/1", DirectLink(sound_chip(1)))
        await drained(vault)
    engine = create_engine(plant.table().address().set(drivername=plant.site.driver))
    with engine.begin() as db:
        db.execute(delete(CLAIM).where(CLAIM.c.kind == Kind.UID.value))
    engine.dispose()
    await plant.vault("vault-1")
    second = await plant.vault("vault-2")
    fault = await fault_of(second, "L1/1", sound_chip(2, uid=development_uid(1)))
    assert fault.code is Code.UID_DUPLICATE


async def test_two_vaults_of_one_name_are_refused(plant: Plant, tmp_path: Path) -> None:
    await plant.vault("vault-1")
    (tmp_path / "other").mkdir()
    with pytest.raises(NameTakenError, match="another vault as vault-1"):
        async with opened_vault(tmp_path / "other", site=plant.table(), name="vault-1"):
            pass


async def test_a_number_of_another_vault_holds_the_unit_and_stops_no_line(plant: Plant) -> None:
    """Two vaults that give one serial number to two dies: that cannot be, and is held all the same."""
    first = await plant.vault("vault-1")
    registry = SiteRegistry(plant.table().address(), 5.0)
    serial = site_claims.of_identity("L9/9", await identity_of(first))
    registry.claim(Member("vault-2", b"2" * 16), [serial])
    registry.close()
    fault = await fault_of(first, "L1/2", sound_chip(2))
    assert (fault.code, fault.fate) == (Code.REGISTRY_CONFLICT, Fate.QUARANTINE)
    assert "registry.conflict" in await told(first, "L1/2")
    assert await first.means.registry.certificates("L1/2") != ()
    assert not first.stops.reasons


async def test_a_shipped_unit_stays_shipped_and_the_ledger_says_who_came(plant: Plant) -> None:
    first, second = await plant.vault("vault-1"), await plant.vault("vault-2")
    await first.personalise("L1/1", DirectLink(sound_chip(1)))
    await ship(first, "L1/1")
    await fault_of(second, "L1/1", sound_chip(2, uid=development_uid(1)))
    await drained(first)
    assert await account(first, "L1/1") == "SHIPPED"
    assert (await told(first))[-1] == "uid.duplicate"


async def test_a_name_that_is_found_taken_late_stops_the_line(plant: Plant, tmp_path: Path) -> None:
    await plant.vault("vault-1")
    plant.site.down()
    (tmp_path / "other").mkdir()
    async with opened_vault(tmp_path / "other", site=plant.table(), name="vault-1") as other:
        assert other.courier is not None
        plant.site.up()
        await other.courier.run()
        assert list(other.stops.reasons) == [(Code.REGISTRY_CONFLICT, "", "")]


async def test_a_vault_that_has_claimed_keeps_its_name(plant: Plant, tmp_path: Path) -> None:
    async with plant.serving("vault-1") as vault:
        await vault.personalise("L1/1", DirectLink(sound_chip(1)))
    with pytest.raises(NameTakenError, match="knows this vault as vault-1"):
        async with opened_vault(tmp_path / "vault-1", site=plant.table(), name="vault-9"):
            pass


async def test_a_courier_that_fails_itself_stops_the_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> bool:
        raise LookupError("a fault of our own")

    async with opened_vault(tmp_path, site=RegistryTable("site", site.url)) as vault:
        assert vault.courier is not None
        monkeypatch.setattr(vault.courier, "round", broken)
        await vault.courier.run()
        assert list(vault.stops.reasons) == [(Code.INTERNAL, "", "")]
        await vault.personalise("L1/1", DirectLink(sound_chip(1)))
        assert await recorded(vault, "L1/1") == "local", "a die under way comes to its end"


async def test_a_registry_that_is_down_is_asked_ever_less_often(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    ended = asyncio.Event()

    async def pausing(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            ended.set()
            await asyncio.Event().wait()

    async def down() -> bool:
        raise SiteDownError("nobody answers")

    async with opened_vault(tmp_path, site=RegistryTable("site", site.url)) as vault:
        assert vault.courier is not None
        monkeypatch.setattr(vault.courier, "round", down)
        monkeypatch.setattr(asyncio, "sleep", pausing)
        task = asyncio.get_running_loop().create_task(vault.courier.run())
        await ended.wait()
        task.cancel()
        await asyncio.wait([task])
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
