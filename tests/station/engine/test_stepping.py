"""An engineering lot: row by row, outputs as the rows leave them, but not for ever; sweeps within bounds."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.errors import DutError, EquipmentError
from station import commands, events
from station.custody.journal import read
from station.errors import SequenceError
from station.model import Axis, Limit, Note, Personalisation, Verdict
from station.sequence import Die, Functional, Parametric, Personalise, Retry, Sequence, Swept, While
from station.study import engineered, studied
from tests.station.engine.doubles import (
    ANY,
    BAD,
    DEFAULT,
    EN,
    ERROR,
    GOOD,
    OP,
    SPOILED,
    TE,
    Bench,
    BenchSite,
    returning,
    sequence,
    virtual,
)

ONE, TWO = [frozenset({1})], [frozenset({1, 2})]


@asynccontextmanager
async def powered(site: BenchSite) -> AsyncGenerator[None, None]:
    site.seen.append("on")
    try:
        yield
    finally:
        site.seen.append("off")


async def product(site: BenchSite, *, volts: float = 1.0, ohms: float = 2.0) -> float:
    """What a shmoo shows of it is known: it passes where the product is at most 6."""
    del site
    if volts == 4.5:  # noqa: PLR2004 - here the device is mute
        raise DutError("mute")
    return volts * ohms


SWEPT = (Swept("volts", 0.0, 5.0, "V"), Swept("ohms", 1.0, 4.0, "Ohm"))


def rows(*more: Any) -> Sequence[BenchSite]:
    swept = Parametric(3, product, Limit(None, 6.0, "V"), bin=BAD, swept=SWEPT)
    return sequence(returning(1.0), While(powered, (returning(2.0, 2), swept), bin=BAD), *more)


def stepped(name: str, go: Any = "next", **more: Any) -> commands.Step:
    return commands.Step(id=name, actor="p-5", roles=EN, go=go, **more)


class Lot:
    """An engineering lot, and a person who steps it."""

    def __init__(self, folder: Path, plan: Sequence[BenchSite], touchdowns: list[frozenset[int]]) -> None:
        self.bench = Bench(folder, plan, touchdowns)
        self._halted = asyncio.Event()
        self._told = list[events.Any]()
        self._steps = 0

    async def run(
        self, person: Callable[["Lot"], Any], *first: commands.Any, unattended: bool = True, roles: Any = EN
    ) -> str:
        cell, quantity = self.bench.cell, self.bench.quantity
        who: dict[str, Any] = {"actor": "p-5", "roles": roles}
        receipt = await cell.request(commands.Load(id="1", lot="L", quantity=quantity, mode="E", **who))
        assert receipt.ok, receipt
        for command in first:
            assert (receipt := await cell.request(command)).ok, receipt
        await cell.request(commands.Start(id="2", **who))
        watching = asyncio.create_task(self._watch())
        async with asyncio.timeout(7200), asyncio.TaskGroup() as group:
            stepping = group.create_task(person(self))
            state = await cell.run_lot(unattended=unattended)
            await asyncio.wait([stepping])
        await cell.aclose()
        await watching
        return state.value

    async def _watch(self) -> None:
        async for event in self.bench.bus.subscribe():
            self._told.append(event)
            self._halted.set()

    async def next(self, kind: type[Any], many: int = 1) -> list[Any]:
        """Wait for the next events of a kind, and forget what was before them."""
        found = list[Any]()
        while len(found) < many:
            while self._told and len(found) < many:
                if isinstance(event := self._told.pop(0), kind):
                    found.append(event)
            if len(found) < many:
                self._halted.clear()
                await self._halted.wait()
        return found

    async def ask(self, command: commands.Any) -> commands.Receipt:
        return await self.bench.cell.request(command)

    async def step(self, go: Any = "next", **more: Any) -> None:
        self._steps += 1
        receipt = await self.ask(stepped(f"step-{self._steps}", go, **more))
        assert receipt.ok, receipt

    def happened(self, kind: type[Any]) -> list[Any]:
        return [event for event in read(self.bench.path) if isinstance(event, kind)]


@virtual
async def test_a_device_stands_behind_each_row_with_its_outputs_on(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)
    stood = list[tuple[int, Any, list[str]]]()

    async def person(lot: Lot) -> None:
        for _ in range(4):
            (halted,) = await lot.next(events.StepHalted)
            value = None if halted.measurement is None else halted.measurement.value
            stood.append((halted.row, value, list(lot.bench.sites[1].seen)))
            await lot.step()

    assert await lot.run(person, stepped("first")) == "CLOSED"
    assert stood == [(0, None, []), (1, 1.0, []), (2, 2.0, ["on"]), (3, 2.0, ["on"])]
    assert lot.bench.sites[1].seen == ["on", "off"]
    (outcome,) = lot.happened(events.ContactsClosed)[0].outcomes
    assert outcome.soft == GOOD.number
    (closed,) = lot.happened(events.LotClosed)
    assert closed.outcome == "ENGINEERING"
    (loaded,) = lot.happened(events.LotLoaded)
    assert loaded.info.mode == "E"


@virtual
async def test_sites_are_stepped_each_by_itself(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), TWO)

    async def person(lot: Lot) -> None:
        both = await lot.next(events.StepHalted, 2)
        assert {one.site for one in both} == {1, 2}
        await lot.step("on", sites=frozenset({2}))
        await lot.step("to", sites=frozenset({1}), row=3)
        (halted,) = await lot.next(events.StepHalted)
        assert (halted.site, halted.row, halted.limit) == (1, 3, Limit(None, 6.0, "V"))
        assert lot.bench.sites[2].seen == ["on", "off"]
        assert lot.bench.sites[1].seen == ["on"]
        await lot.step("on")

    assert await lot.run(person, stepped("first")) == "CLOSED"
    assert len(lot.happened(events.StepLeft)) == len(lot.happened(events.StepHalted)) == 3


@virtual
async def test_who_stands_where_he_is_sent_stays_there(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        await lot.step("to", row=2)
        (again,) = await lot.next(events.StepHalted)
        assert (again.row, lot.bench.sites[1].seen) == (2, ["on"])
        await lot.step("on")

    assert await lot.run(person, stepped("first", "to", row=2)) == "CLOSED"


@virtual
async def test_who_is_left_alone_is_given_up_and_the_cell_made_safe(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)

    state = await lot.run(person, stepped("first", "to", row=2, bound_s=600.0))
    assert state == "HELD"
    assert lot.bench.cell.reason == "site 1: lot.step: nobody went on within 600 s"
    assert lot.bench.sites[1].seen == ["on", "off"]
    (outcome,) = lot.happened(events.ContactsClosed)[0].outcomes
    assert (outcome.soft, outcome.verdict) == (ERROR.number, Verdict.NOT_JUDGED)
    (left,) = lot.happened(events.StepLeft)
    assert "600 s" in left.failed
    assert isinstance(lot.happened(events.MadeSafe)[-1], events.MadeSafe)
    assert lot.bench.handler.sorted == [{1: ERROR.hard}]


@virtual
async def test_an_abort_ends_a_device_that_stands(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        await lot.ask(commands.Abort(id="a", actor="anyone"))

    assert await lot.run(person, stepped("first", "to", row=2)) == "ABORTED"
    assert lot.bench.sites[1].seen == ["on", "off"]
    assert lot.bench.handler.sorted == []


@virtual
async def test_a_lot_is_stepped_from_where_it_runs_and_no_longer(tmp_path: Path) -> None:
    """A running lot stands at the next row; after `on` nothing stands, over touchdowns."""
    lot = Lot(tmp_path, rows(), ONE * 3)

    async def person(lot: Lot) -> None:
        await lot.next(events.TouchdownOpened)
        await lot.step()
        await lot.next(events.StepHalted)
        await lot.step("on")

    assert await lot.run(person) == "CLOSED"
    assert len(lot.happened(events.StepHalted)) == 1
    assert len(lot.bench.handler.sorted) == 3


@virtual
async def test_the_vault_has_no_part_in_it(tmp_path: Path) -> None:
    """What needs a key is not run, so that no device is complete."""
    asked = list[Die]()

    async def identity(site: BenchSite, die: Die) -> Personalisation:
        asked.append(die)
        raise AssertionError(site)

    lot = Lot(tmp_path, rows(Personalise(9, identity, bin=SPOILED)), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.ContactsClosed)

    assert await lot.run(person) == "CLOSED"
    assert asked == []
    (outcome,) = lot.happened(events.ContactsClosed)[0].outcomes
    assert (outcome.soft, outcome.notes) == (DEFAULT.number, (Note("withheld", 9, "engineering lot"),))
    assert lot.happened(events.Intended) == []


async def test_it_is_loaded_by_a_test_engineer(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows(), ONE)
    for roles in (OP, TE, frozenset({"host"}), frozenset({"security-officer"})):
        load = commands.Load(id=f"{roles}", actor="p", roles=roles, lot="L", quantity=1, mode="E")
        receipt = await bench.cell.request(load)
        assert receipt.code == "denied"
    assert bench.cell.state.value == "EMPTY"
    await bench.cell.aclose()


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        (commands.Step(id="s", actor="p", roles=TE), "denied", "engineer"),
        (stepped("s", sites=frozenset({7})), "bad_arguments", "no site 7"),
        (stepped("s", "to", row=77), "not_found", "no test 77"),
        (stepped("s", bound_s=1e9), "bad_arguments", "3600"),
    ],
)
async def test_steps_that_are_refused(tmp_path: Path, command: commands.Any, code: str, why: str) -> None:
    bench = Bench(tmp_path, rows(), ONE)
    load = commands.Load(id="1", actor="p", roles=EN, lot="L", quantity=1, mode="E")
    assert (await bench.cell.request(load)).ok
    receipt = await bench.cell.request(command)
    assert receipt.code == code
    assert why in receipt.reason
    await bench.cell.aclose()


async def test_a_production_lot_is_not_stepped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows(), ONE)
    assert (await bench.cell.request(commands.Load(id="1", actor="p", roles=EN, lot="L", quantity=1))).ok
    receipt = await bench.cell.request(stepped("s"))
    assert receipt.code == "wrong_state"
    assert "engineering" in receipt.reason
    await bench.cell.aclose()


def swept(name: str, x: Axis, y: Axis | None = None, *, row: int = 3) -> commands.Shmoo:
    return commands.Shmoo(id=name, actor="p-5", roles=EN, site=1, row=row, x=x, y=y)


VOLTS, OHMS = Axis("volts", 0.0, 4.0, 5), Axis("ohms", 1.0, 4.0, 4)


@virtual
async def test_a_sweep_finds_the_boundary_and_leaves_the_result_alone(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        assert (await lot.ask(swept("one", VOLTS, OHMS))).ok
        await lot.next(events.StepHalted)
        await lot.step("on")

    assert await lot.run(person, stepped("first", "to", row=3)) == "CLOSED"
    points = lot.happened(events.ShmooPoint)
    assert [(one.x, one.y) for one in points] == [(x, y) for y in (1, 2, 3, 4) for x in range(5)]
    for one in points:
        assert (one.measurement.verdict is Verdict.PASSED) is (one.x * one.y <= 6)
    (ended,) = lot.happened(events.ShmooEnded)
    assert (ended.tried, ended.failed) == (20, "")
    assert ended.passed == sum(x * y <= 6 for y in (1, 2, 3, 4) for x in range(5))
    assert lot.bench.file.texts == [
        f"shmoo of test 3 at site 1 over volts, ohms: {ended.passed} of 20 passed"
    ]
    (outcome,) = lot.happened(events.ContactsClosed)[0].outcomes
    assert outcome.soft == GOOD.number
    assert [m.value for m in lot.bench.store.landings[0].devices[0].measurements] == [1.0, 2.0, 2.0]


@virtual
async def test_a_mute_device_is_a_failed_point(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        assert (await lot.ask(swept("one", Axis("volts", 4.5, 5.0, 2)))).ok
        await lot.next(events.StepHalted)
        await lot.step("on")

    assert await lot.run(person, stepped("first", "to", row=3)) == "CLOSED"
    points = lot.happened(events.ShmooPoint)
    assert [one.measurement.verdict for one in points] == [Verdict.FAILED, Verdict.FAILED]
    assert points[0].measurement.text == "mute"


@virtual
async def test_a_machine_that_fails_ends_a_sweep_and_the_device(tmp_path: Path) -> None:
    async def breaks(site: BenchSite, *, volts: float = 0.0) -> float:
        del site
        if volts:
            raise EquipmentError("relay is stuck")
        return 0.0

    row = Parametric(3, breaks, ANY, bin=BAD, swept=(Swept("volts", 0.0, 1.0, "V"),))
    lot = Lot(tmp_path, sequence(While(powered, (row,), bin=BAD)), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        assert (await lot.ask(swept("one", Axis("volts", 0.0, 1.0, 9)))).ok
        await lot.next(events.ShmooEnded)

    await lot.run(person, stepped("first", "to", row=3))
    (ended,) = lot.happened(events.ShmooEnded)
    assert (ended.tried, ended.passed, ended.failed) == (2, 1, "relay is stuck")
    (outcome,) = lot.happened(events.ContactsClosed)[0].outcomes
    assert outcome.soft == ERROR.number
    assert lot.bench.sites[1].seen == ["on", "off"]


@virtual
async def test_who_goes_on_ends_a_sweep(tmp_path: Path) -> None:
    started = asyncio.Event()
    free = asyncio.Event()

    async def slow(site: BenchSite, *, volts: float = 0.0) -> float:
        del site
        if volts:
            started.set()
            await free.wait()
        return volts

    row = Parametric(3, slow, ANY, bin=BAD, swept=(Swept("volts", 0.0, 1.0, "V"),))
    lot = Lot(tmp_path, sequence(row), ONE)

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        sweep = Axis("volts", 0.5, 1.0, 6)
        assert (await lot.ask(swept("one", sweep))).ok
        await started.wait()
        assert (await lot.ask(swept("two", sweep))).code == "busy"
        await lot.step("on")
        free.set()

    assert await lot.run(person, stepped("first", "to", row=3)) == "CLOSED"
    (ended,) = lot.happened(events.ShmooEnded)
    assert (ended.tried, ended.failed) == (1, "somebody went on")


@virtual
async def test_what_may_not_be_swept(tmp_path: Path) -> None:
    lot = Lot(tmp_path, rows(), ONE)
    cases = [
        (swept("a", Axis("volts", 0.0, 5.1, 5)), "bad_arguments", "0 to 5 V"),
        (swept("b", Axis("volts", -1.0, 5.0, 5)), "bad_arguments", "allows"),
        (swept("c", Axis("volts", 0.0, float("nan"), 5)), "bad_arguments", "allows"),
        (swept("d", Axis("amps", 0.0, 1.0, 5)), "bad_arguments", "ohms, volts"),
        (swept("e", VOLTS, VOLTS), "bad_arguments", "both axes"),
        (swept("f", Axis("volts", 0.0, 5.0, 3000), Axis("ohms", 1.0, 4.0, 2)), "bad_arguments", "4096"),
        (swept("g", Axis("volts", 0.0, 5.0, 1)), "bad_arguments", "points"),
        (swept("h", VOLTS, row=2), "bad_arguments", "nothing of test 2"),
        (swept("i", VOLTS, row=44), "not_found", "no test 44"),
        (swept("j", VOLTS), "wrong_state", "does not stand behind test 3"),
    ]

    async def person(lot: Lot) -> None:
        await lot.next(events.StepHalted)
        for command, code, why in cases:
            receipt = await lot.ask(command)
            assert (receipt.code, why in receipt.reason) == (code, True), receipt
        await lot.step("on")

    assert await lot.run(person, stepped("first", "to", row=2)) == "CLOSED"
    assert lot.happened(events.ShmooBegun) == []


def test_what_a_table_may_not_say_of_a_sweep() -> None:
    def table(*names: str, low: float = 0.0, unit: str = "V") -> None:
        ranges = tuple(Swept(name, low, 5.0, unit) for name in names)
        sequence(Parametric(3, product, ANY, bin=BAD, swept=ranges))

    table("volts", "ohms")
    cases: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
        (("amps",), {}, "keyword-only float"),
        (("volts", "volts"), {}, "twice"),
        (("volts",), {"low": 1.5}, "outside"),
        (("volts",), {"unit": "furlong"}, "furlong"),
    ]
    for names, more, why in cases:
        with pytest.raises(SequenceError, match=why):
            table(*names, **more)


# -- what nothing undoes
async def fuse_blown(site: BenchSite) -> bool:
    raise AssertionError(site)


FUSED = Functional(9, fuse_blown, bin=BAD, irreversible=True)
NEVER = "an engineering lot runs no irreversible row, and sequence bench has 9 fuse_blown"


@virtual
async def test_what_nothing_undoes_is_never_run(tmp_path: Path) -> None:
    """Neither check nor start lets such a lot begin, and it is not stepped."""
    bench = Bench(tmp_path, rows(FUSED), ONE)
    who: dict[str, Any] = {"actor": "p-5", "roles": EN}
    assert (await bench.cell.request(commands.Load(id="1", lot="L", quantity=1, mode="E", **who))).ok
    receipt = await bench.cell.request(stepped("s"))
    assert (receipt.code, receipt.reason) == ("invalid_recipe", f"lot.step: {NEVER}")
    assert (await bench.cell.request(commands.Check(id="2", **who))).ok
    assert (await bench.cell.run_lot(unattended=True)).value == "HELD"
    assert bench.cell.reason == NEVER
    await bench.cell.aclose()


def test_neither_an_engineering_lot_nor_a_study_is_made_of_it() -> None:
    for lot, make in (("an engineering lot", engineered), ("a study", lambda one: studied(one, 2))):
        with pytest.raises(SequenceError, match=f"{lot} runs no irreversible row.* 9 fuse_blown"):
            make(rows(FUSED))
    assert engineered(rows()).name == rows().name


@pytest.mark.parametrize("more", [{"retry": Retry(1)}, {"swept": (Swept("volts", 0.0, 5.0, "V"),)}])
def test_it_is_neither_tried_again_nor_swept(more: dict[str, Any]) -> None:
    async def fuse(site: BenchSite, *, volts: float = 1.0) -> bool:
        raise AssertionError(site, volts)

    with pytest.raises(SequenceError, match="test fuse: it is irreversible"):
        rows(Functional(9, fuse, bin=BAD, irreversible=True, **more))
