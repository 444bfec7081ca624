"""At most N devices of one product until a date, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, sampled_from, tuples

from station.vault import notices
from station.vault.asked import Admission, Purpose, Step
from station.vault.desk.documents import WorkOrder
from station.vault.desk.orders import Orders, Place
from station.vault.die.dossier import Record
from station.vault.die.recovery import Intent, Standing
from station.vault.faults import Code, Fate, FaultError
from station.vault.journal import Journal
from station.vault.registry import Registry
from tests.station.vault.dies import FINGERPRINT, NOW
from tests.station.vault.vaults import DAY_S, TELLER, ordered, work_order

LOT_SIZE = 1000


class Plant:
    """A registry with an order of three devices and one lot, without any die."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.orders = Orders(Place())

    async def open(self, **changes: object) -> None:
        self.journal = Journal(self._folder / "vault.sqlite")
        await self.journal.open()
        self.registry = Registry(self.journal, TELLER, self.orders)
        if await self.journal.commit(lambda db: db.execute("SELECT 1 FROM work_order").fetchone()) is None:
            await self.journal.commit(lambda db: ordered(db, self.orders, quantity=3, **changes))
            await self.registry.open_lot("L1", "se1", "WO-1", LOT_SIZE, NOW)

    async def restart(self) -> None:
        self.journal.close()
        await self.open()

    def asking(self, unit: str, purpose: Purpose = Purpose.PERSONALISE) -> Admission:
        return Admission(unit, "L1", purpose, bytes(16), NOW, FINGERPRINT, "cell")

    async def admit(self, unit: str, purpose: Purpose = Purpose.PERSONALISE) -> None:
        await self.registry.admit(self.asking(unit, purpose))

    async def begin(self, unit: str) -> None:
        await self.registry.proven(Step(unit, bytes(16), NOW, Standing.POP_OK, Intent.ISSUE), ())

    async def seal(self, unit: str) -> None:
        digest = sha256(unit.encode()).digest()
        step = Step(unit, bytes(16), NOW, Standing.REGISTERED, Intent.NONE)
        await self.registry.register(step, Record(unit, digest, digest, b""))
        self.registry.left(unit)

    async def make(self, unit: str) -> None:
        await self.admit(unit)
        await self.begin(unit)
        await self.seal(unit)

    async def lose(self, unit: str, fate: Fate = Fate.REJECT_HELD) -> None:
        step = Step(unit, bytes(16), NOW, Standing.POP_OK, Intent.ISSUE)
        await self.registry.failed(step, Code.R_MAC, fate)
        self.registry.left(unit)

    async def use(self) -> tuple[int, int, int]:
        use = await self.journal.commit(lambda db: self.orders.use(db, "WO-1"))
        return use.begun, use.sealed, use.credited


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    plant = Plant(tmp_path)
    await plant.open()
    yield plant
    plant.journal.close()


async def refused(work: object) -> FaultError:
    with pytest.raises(FaultError) as caught:
        await work  # type: ignore[misc]
    return caught.value


async def test_the_device_after_the_last_is_refused_untouched(plant: Plant) -> None:
    for n in (1, 2, 3):
        await plant.make(f"L1/{n}")
    fault = await refused(plant.admit("L1/4"))
    assert (fault.code, fault.fate) == (Code.ORDER_EXHAUSTED, Fate.UNTOUCHED)
    assert await plant.registry.unit("L1/4") is None
    assert await plant.use() == (3, 3, 0)


async def test_that_little_is_left_is_told_once(plant: Plant) -> None:
    plant.orders.place = Place(low_percent=40)
    for n in (1, 2):
        await plant.admit(f"L1/{n}")
        await plant.begin(f"L1/{n}")
    await plant.begin("L1/2")
    await plant.lose("L1/2")
    await plant.make("L1/3")
    await plant.seal("L1/1")
    told = await plant.journal.commit(lambda db: notices.between(db, 0, 1000, lambda _: True))
    assert [(one.event, one.scope, one.detail) for one in told if one.kind == "quota"] == [
        ("quota.low", "WO-1", '{"left":1,"quantity":3}')
    ], "none is left for the device that is lost"


async def test_the_last_of_an_order_is_told(plant: Plant) -> None:
    for n in (1, 2, 3):
        await plant.make(f"L1/{n}")
    told = await plant.journal.commit(lambda db: notices.between(db, 0, 1000, lambda _: True))
    assert [(one.event, one.detail) for one in told if one.kind == "quota"] == [
        ("order.exhausted", '{"left":0,"quantity":3}')
    ], "without a threshold nothing is little"


async def test_it_is_refused_after_a_restart_too(plant: Plant) -> None:
    for n in (1, 2):
        await plant.make(f"L1/{n}")
    await plant.admit("L1/3")
    await plant.begin("L1/3")
    await plant.restart()
    assert (await refused(plant.admit("L1/4"))).code is Code.ORDER_EXHAUSTED
    await plant.admit("L1/3", Purpose.RESUME)
    await plant.seal("L1/3")
    assert await plant.use() == (3, 3, 0)


async def test_of_many_at_once_only_as_many_as_are_left_are_admitted(plant: Plant) -> None:
    await plant.make("L1/1")
    asked = [plant.registry.admit(plant.asking(f"L1/{n}")) for n in range(2, 12)]
    answers = [asyncio.ensure_future(one) for one in asked]
    await asyncio.wait(answers)
    errors = [task.exception() for task in answers]
    assert errors.count(None) == 2
    assert {error.code for error in errors if isinstance(error, FaultError)} == {Code.ORDER_EXHAUSTED}


async def test_units_may_leave_while_another_is_counted(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places are counted on the journal's thread, and sessions end on the loop's."""
    counted = plant.orders.admit

    def leaving(db: Connection, order: WorkOrder, unit: str, serving: Collection[str]) -> None:
        for name in serving:
            plant.registry.left(name)
        counted(db, order, unit, serving)

    monkeypatch.setattr(plant.orders, "admit", leaving)
    for n in (1, 2, 3):
        await plant.admit(f"L1/{n}")


async def test_a_unit_that_left_before_its_keys_takes_no_place(plant: Plant) -> None:
    for n in range(1, 20):
        await plant.admit(f"L1/{n}")
        plant.registry.left(f"L1/{n}")
    assert await plant.use() == (0, 0, 0)


async def test_the_count_holds_at_the_certificates_even_if_admission_was_passed(plant: Plant) -> None:
    for n in (1, 2, 3, 4):
        await plant.admit(f"L1/{n}")
        plant.registry.left(f"L1/{n}")
    for n in (1, 2, 3):
        await plant.begin(f"L1/{n}")
    fault = await refused(plant.begin("L1/4"))
    assert (fault.code, fault.fate) == (Code.ORDER_EXHAUSTED, Fate.RETRY)
    known = await plant.registry.unit("L1/4")
    assert known is not None
    assert (known.standing, known.intent) == (Standing.ADMITTED, Intent.NONE), "it took no step"
    assert await plant.use() == (3, 0, 0)


async def test_counting_again_counts_once(plant: Plant) -> None:
    await plant.admit("L1/1")
    await plant.begin("L1/1")
    await plant.begin("L1/1")
    await plant.seal("L1/1")
    assert await plant.use() == (1, 1, 0)


async def test_yield_beyond_the_allowance_ends_the_order_and_a_destroyed_unit_gives_back(
    plant: Plant,
) -> None:
    for n in (1, 2, 3):
        await plant.admit(f"L1/{n}")
        await plant.begin(f"L1/{n}")
        await plant.lose(f"L1/{n}")
    fault = await refused(plant.admit("L1/4"))
    assert "3 begun, 0 given back" in fault.detail
    await plant.journal.commit(lambda db: plant.orders.credit(db, "L1/1"))
    await plant.journal.commit(lambda db: plant.orders.credit(db, "L1/1"))
    assert await plant.use() == (3, 0, 1)
    await plant.make("L1/4")
    assert (await refused(plant.admit("L1/5"))).code is Code.ORDER_EXHAUSTED


async def test_vaults_that_share_an_order_make_a_slice_each(tmp_path: Path) -> None:
    made: dict[str, int] = {"vault-1": 0, "vault-2": 0}
    for vault in made:
        (tmp_path / vault).mkdir()
        plant = Plant(tmp_path / vault)
        plant.orders = Orders(Place(vault, alone=True))
        await plant.open(slices={"vault-1": 1, "vault-2": 2}, allowance=0)
        with pytest.raises(FaultError) as refused:
            for number in range(1, 4):
                await plant.admit(f"L1/{number}")
                await plant.begin(f"L1/{number}")
                await plant.seal(f"L1/{number}")
                made[vault] += 1
        assert refused.value.code is Code.ORDER_EXHAUSTED
        plant.journal.close()
    assert made == {"vault-1": 1, "vault-2": 2}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "names no slice of vault-1, nor that vault as its only one"),
        ({"sites": ("vault-1", "vault-2")}, "names no slice of vault-1, nor that vault as its only one"),
        ({"sites": ("vault-2",)}, "is not for vault-1"),
        ({"sites": ("vault-2",), "slices": {"vault-1": 1, "vault-2": 1}}, "is not for vault-1"),
        ({"sites": ("vault-1",)}, ""),
        ({"slices": {"vault-1": 1, "vault-2": 1}}, ""),
    ],
)
def test_in_production_no_other_vault_may_make_the_same_devices(changes: dict[str, object], why: str) -> None:
    assert work_order(**changes).not_for("vault-1", alone=True) == why


def test_the_allowance_is_in_percent_and_rounded_down() -> None:
    assert [work_order(quantity=n).begun_max for n in (1, 49, 50, 1000)] == [1, 49, 51, 1020]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"fingerprint": bytes(32)}, Code.FINGERPRINT_UNKNOWN),
        ({"station": "another"}, Code.KEY_NOT_ACTIVE),
        ({"now": NOW - DAY_S - 1}, Code.ORDER_DATES),
        ({"now": NOW + DAY_S + 1}, Code.ORDER_DATES),
    ],
)
async def test_what_the_order_does_not_allow_is_refused_and_counts_nothing(
    plant: Plant, changed: dict[str, object], code: Code
) -> None:
    fault = await refused(plant.registry.admit(replace(plant.asking("L1/1"), **changed)))  # type: ignore[arg-type]
    assert (fault.code, fault.fate) == (code, Fate.UNTOUCHED)
    assert await plant.registry.unit("L1/1") is None
    assert await plant.use() == (0, 0, 0)


@pytest.mark.parametrize(
    ("lot", "product", "order", "code"),
    [
        ("L2", "se1", "WO-2", Code.ORDER_INVALID),
        ("L2", "se2", "WO-1", Code.PROFILE_MISMATCH),
    ],
)
async def test_a_lot_needs_an_order_of_its_product(
    plant: Plant, lot: str, product: str, order: str, code: Code
) -> None:
    assert (await refused(plant.registry.open_lot(lot, product, order, 5, NOW))).code is code


async def test_a_lot_must_be_one_of_the_order(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    await plant.open(lots=("L1", "L7"))
    assert (await refused(plant.registry.open_lot("L2", "se1", "WO-1", 5, NOW))).code is Code.ORDER_INVALID
    await plant.registry.open_lot("L7", "se1", "WO-1", 5, NOW)
    plant.journal.close()


async def test_a_closed_order_admits_nothing_more(plant: Plant) -> None:
    await plant.admit("L1/1")
    await plant.journal.commit(lambda db: plant.orders.close(db, "WO-1"))
    assert (await refused(plant.admit("L1/2"))).code is Code.ORDER_INVALID
    await plant.begin("L1/1")
    await plant.seal("L1/1")


MOVES = ("admit", "begin", "seal", "lose", "quarantine", "leave", "restart", "credit")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=lists(tuples(sampled_from(MOVES), integers(1, 6)), max_size=60))
def test_no_history_makes_more_than_the_order_allows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(_history(tmp_path_factory.mktemp("plant"), steps))


async def _history(folder: Path, steps: list[tuple[str, int]]) -> None:
    plant = Plant(folder)
    await plant.open()
    sealed: set[int] = set()
    for step, n in steps:
        unit = f"L1/{n}"
        known = await plant.registry.unit(unit)
        begun = known is not None and known.standing is Standing.POP_OK and known.account == "WIP"
        try:
            match step:
                case "admit":
                    await plant.admit(unit, Purpose.RESUME)
                case "begin" if known is not None and known.standing is Standing.ADMITTED:
                    await plant.begin(unit)
                case "seal" if begun:
                    await plant.seal(unit)
                    sealed.add(n)
                case "lose" | "quarantine" if begun:
                    await plant.lose(unit, Fate.REJECT_HELD if step == "lose" else Fate.QUARANTINE)
                case "leave":
                    plant.registry.left(unit)
                case "restart":
                    await plant.restart()
                case "credit" if known is not None and known.account == "REJECT_HELD":
                    await plant.journal.commit(lambda db, unit=unit: plant.orders.credit(db, unit))  # type: ignore[misc]
                case _:
                    pass
        except FaultError as fault:
            assert fault.code in {
                Code.ORDER_EXHAUSTED,
                Code.UNIT_SEALED,
                Code.UNIT_SPOILED,
                Code.UID_DUPLICATE,
            }
        use = await plant.journal.commit(lambda db: plant.orders.use(db, "WO-1"))
        assert use.sealed == len(sealed) <= 3
        assert use.sealed + use.live <= 3
        assert use.begun - use.credited <= 3
    plant.journal.close()
