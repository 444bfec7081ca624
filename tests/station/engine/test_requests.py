"""What persons ask of a running lot: sites, cleaning, alarms; each from the next boundary on, and refused."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.errors import EquipmentError
from drivers.roles import Touchdown
from station import commands, events
from station.alarms import Alarms
from station.authority import HOST, Action, denied
from station.custody.journal import read
from station.engine.history import history_of
from station.rules import StopRules
from tests.station.engine.doubles import (
    CONTACT,
    EN,
    OP,
    TE,
    UNTESTED,
    Bench,
    BenchSite,
    ScriptedHandler,
    returning,
    sequence,
)

THREE = [frozenset({1, 2, 3})]


def switched(
    site: int, *, on: bool, reason: str = "pin bent", roles: frozenset[str] = TE
) -> commands.SetSite:
    return commands.SetSite(
        id=f"{site}-{on}-{reason}", actor="p-3", roles=roles, site=site, on=on, reason=reason
    )


class Patient(ScriptedHandler):
    """Brings the next devices when it is told to: what is asked meanwhile is asked in good time."""

    def __init__(self, touchdowns: list[frozenset[int]]) -> None:
        super().__init__(touchdowns)
        self.go = asyncio.Semaphore(1)
        self.landed = False

    async def touchdowns(self) -> AsyncGenerator[Touchdown, None]:
        while self._left:
            await self.go.acquire()
            self._present, self.landed = self._left.pop(0), True
            yield Touchdown(self._present)

    async def sort(self, bins: Mapping[int, int]) -> None:
        self.landed = False
        await super().sort(bins)


def patient(folder: Path, touchdowns: list[frozenset[int]]) -> Bench:
    """A cell whose machine waits."""
    bench = Bench(folder, sequence(returning(1.0)), touchdowns)
    bench.use(Patient(touchdowns))
    return bench


async def ask_at_sort(bench: Bench, number: int, *asked: commands.Any) -> list[commands.Receipt]:
    """Ask when the touchdown of this number was sorted; then the machine brings the next one."""
    async for event in bench.bus.subscribe():
        if isinstance(event, events.Sorted) and event.seq == number:
            break
    receipts = [await bench.cell.request(command) for command in asked]
    assert isinstance(bench.handler, Patient)
    bench.handler.go.release()
    return receipts


async def test_a_site_is_off_from_the_next_touchdown_and_on_again(tmp_path: Path) -> None:
    bench = patient(tmp_path, THREE * 3)
    receipts = list[commands.Receipt]()

    async def meanwhile() -> None:
        receipts.extend(await ask_at_sort(bench, 1, switched(2, on=False)))
        receipts.extend(await ask_at_sort(bench, 2, switched(2, on=True, reason="pin changed")))

    assert await bench.run(meanwhile()) == "CLOSED"
    assert [receipt.code for receipt in receipts] == ["ok", "ok"]
    assert [e.untested for e in bench.happened(events.TouchdownOpened)] == [(), (2,), ()]
    assert bench.handler.sorted[1][2] == UNTESTED.hard
    assert bench.file.texts == bench.store.texts == ["site 2 off: pin bent", "site 2 on: pin changed"]
    said = [(e.site, e.on, e.actor, e.reason) for e in bench.happened(events.SiteSet)]
    assert said == [(2, False, "p-3", "pin bent"), (2, True, "p-3", "pin changed")]


async def test_a_site_that_is_off_when_the_lot_begins(tmp_path: Path) -> None:
    bench = Bench(tmp_path, sequence(returning(1.0)), THREE)
    load = commands.Load(id="1", actor="t", roles=OP, lot="L", quantity=3)
    assert (await bench.cell.request(load)).ok
    assert (await bench.cell.request(switched(3, on=False))).ok
    assert (await bench.cell.request(switched(3, on=False, reason="again"))).code == "bad_arguments"
    await bench.cell.request(commands.Start(id="2", actor="t", roles=OP))
    await bench.cell.run_lot(unattended=True)
    await bench.cell.aclose()
    opened = [e for e in read(bench.path) if isinstance(e, events.TouchdownOpened)]
    assert [e.untested for e in opened] == [(3,)]
    assert history_of(read(bench.path)).off == {3: "pin bent"}


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        (switched(7, on=False), "bad_arguments", "there is no site 7"),
        (switched(2, on=True), "bad_arguments", "on already"),
        (switched(2, on=False, reason=""), "bad_arguments", "needs a reason"),
        (switched(2, on=False, roles=OP), "denied", "technician"),
        (commands.Clean(id="c", actor="p", roles=OP), "equipment", "nothing that cleans"),
        (commands.Retest(id="r", actor="p", roles=TE, reason="x"), "equipment", "each device once"),
        (commands.Retest(id="r", actor="p", roles=OP, reason="x"), "denied", "technician"),
        (commands.Acknowledge(id="a", actor="p", roles=OP, alarm="L/9"), "not_found", "no alarm"),
        (commands.Shelve(id="s", actor="p", roles=OP, alarm="L/9", minutes=5, reason="x"), "denied", "tech"),
        (commands.Shelve(id="s", actor="p", roles=TE, alarm="L/9", minutes=5), "bad_arguments", "reason"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
async def test_what_is_refused_changes_nothing(
    tmp_path: Path, command: commands.Any, code: str, why: str
) -> None:
    bench = patient(tmp_path, THREE * 2)
    receipts = list[commands.Receipt]()

    async def meanwhile() -> None:
        receipts.extend(await ask_at_sort(bench, 1, command))

    assert await bench.run(meanwhile()) == "CLOSED"
    assert [receipt.code for receipt in receipts] == [code]
    assert why in receipts[0].reason
    assert [(e.command, e.code) for e in bench.happened(events.CommandRefused)] == [
        (str(command.__struct_config__.tag), code)
    ]
    assert {e.untested for e in bench.happened(events.TouchdownOpened)} == {()}


async def test_half_of_the_sites_must_be_left(tmp_path: Path) -> None:
    bench = patient(tmp_path, THREE * 2)
    receipts = list[commands.Receipt]()

    async def meanwhile() -> None:
        receipts.extend(await ask_at_sort(bench, 1, switched(1, on=False), switched(2, on=False)))

    assert await bench.run(meanwhile()) == "CLOSED"
    assert [receipt.code for receipt in receipts] == ["ok", "bad_arguments"]


async def test_a_quarantined_site_is_cleared_not_switched_on(tmp_path: Path) -> None:
    bench = patient(tmp_path, THREE * 2)
    bench.sites[3].box.turn.poison("smells")
    receipts = list[commands.Receipt]()

    async def meanwhile() -> None:
        receipts.extend(await ask_at_sort(bench, 1, switched(3, on=True)))

    await bench.run(meanwhile())
    assert receipts[0].code == "bad_arguments"
    assert "smells" in receipts[0].reason


# -- cleaning
class Cleaner(Patient):
    """A machine that can clean its tips, and comes to rest for it."""

    can_clean = rests = True
    fails = ""

    def __init__(self, touchdowns: list[frozenset[int]]) -> None:
        super().__init__(touchdowns)
        self.did: list[str] = []

    async def sort(self, bins: Mapping[int, int]) -> None:
        self.did.append("sort")
        await super().sort(bins)

    async def pause(self) -> None:
        self.did.append("lift")
        if self.landed:
            self._left.insert(0, self._present)
            self.landed = False
            self.go.release()

    async def clean_needles(self) -> None:
        if self.fails:
            raise EquipmentError(self.fails)
        assert not self.landed
        self.did.append("clean")


def with_cleaner(folder: Path, touchdowns: int) -> tuple[Bench, Cleaner]:
    bench = Bench(folder, sequence(returning(1.0)), [frozenset({1})] * touchdowns)
    cleaner = Cleaner([frozenset({1})] * touchdowns)
    bench.use(cleaner)
    return bench, cleaner


async def test_tips_are_cleaned_at_the_boundary_with_nothing_in_contact(tmp_path: Path) -> None:
    bench, cleaner = with_cleaner(tmp_path, 3)
    clean = commands.Clean(id="c", actor="p-1", roles=OP)

    async def meanwhile() -> None:
        await ask_at_sort(bench, 1, clean, clean)
        await ask_at_sort(bench, 2)

    assert await bench.run(meanwhile()) == "CLOSED"
    assert cleaner.did == ["sort", "lift", "clean", "sort", "sort"]
    assert [(e.actor, e.failed) for e in bench.happened(events.Cleaned)] == [("p-1", "")]
    assert [e.what for e in bench.happened(events.MachineTold)] == ["needles cleaned"]
    assert cleaner.cleanings == 1


async def test_tips_are_cleaned_after_so_many_touchdowns_if_a_rule_asks_for_it(tmp_path: Path) -> None:
    plan = replace(sequence(returning(1.0)), rules=StopRules(clean_every=2))
    bench = Bench(tmp_path, plan, [frozenset({1})] * 5)
    cleaner = Cleaner([frozenset({1})] * 5)
    bench.use(cleaner)

    async def meanwhile() -> None:
        for number in range(1, 5):
            await ask_at_sort(bench, number)

    assert await bench.run(meanwhile()) == "CLOSED"
    assert [done for done in cleaner.did if done != "lift"] == [*["sort", "sort", "clean"] * 2, "sort"]
    assert [event.actor for event in bench.happened(events.Cleaned)] == ["rule R8"] * 2
    trips = [(trip.rule, trip.action) for trip in bench.happened(events.RuleTripped)]
    assert trips == [("R8", "clean")] * 2


async def test_tips_are_cleaned_in_a_pause_that_goes_on(tmp_path: Path) -> None:
    bench, cleaner = with_cleaner(tmp_path, 3)

    async def meanwhile() -> None:
        pause = commands.Pause(id="p", actor="p-1", roles=OP)
        await ask_at_sort(bench, 1, pause)
        await bench.cell.paused.wait()
        cleaned = bench.bus.subscribe()
        await bench.cell.request(commands.Clean(id="c", actor="p-1", roles=OP))
        async for event in cleaned:
            if isinstance(event, events.Cleaned):
                break
        assert bench.cell.state.value == "PAUSED"
        await bench.cell.request(commands.Resume(id="r", actor="p-1", roles=OP))
        await ask_at_sort(bench, 2)

    assert await bench.run(meanwhile()) == "CLOSED"
    assert cleaner.did.count("clean") == cleaner.did.count("lift") == 1
    assert cleaner.did.index("lift") < cleaner.did.index("clean")


async def test_a_cleaning_that_fails_holds_the_lot(tmp_path: Path) -> None:
    bench, cleaner = with_cleaner(tmp_path, 3)
    cleaner.fails = "block worn"

    async def meanwhile() -> None:
        await ask_at_sort(bench, 1, commands.Clean(id="c", actor="p-1", roles=OP))

    assert await bench.run(meanwhile()) == "HELD"
    assert "block worn" in bench.cell.reason
    assert [e.failed for e in bench.happened(events.Cleaned)] == ["block worn"]
    assert cleaner.cleanings == 0


# -- alarms
async def test_an_alarm_is_seen_and_shelved_by_name(tmp_path: Path) -> None:
    async def breaks(site: BenchSite) -> float:
        raise EquipmentError(f"site {site.number} is mute")

    row = returning(1.0, bin_=CONTACT)
    plan = sequence(type(row)(1, breaks, row.limit, bin=CONTACT))
    bench = Bench(tmp_path, plan, [frozenset({1})] * 2)

    async def meanwhile() -> None:
        async for event in bench.bus.subscribe():
            if isinstance(event, events.Faulted):
                break
        (alarm,) = (await alarms(bench))[:1]
        seen = commands.Acknowledge(id="a", actor="p-1", roles=OP, alarm=alarm)
        shelve = commands.Shelve(id="s", actor="p-3", roles=TE, alarm=alarm, minutes=30, reason="known")
        assert (await bench.cell.request(seen)).ok
        assert (await bench.cell.request(shelve)).ok

    await bench.run(meanwhile())
    (seen,) = bench.happened(events.Acknowledged)
    (shelved,) = bench.happened(events.Shelved)
    assert (seen.actor, shelved.actor, shelved.reason) == ("p-1", "p-3", "known")
    assert 0 < shelved.until - shelved.at == 1800


async def alarms(bench: Bench) -> list[str]:
    """The names of the alarms so far, as whoever reads the journal makes them."""
    made = Alarms()
    for line, event in enumerate(read(bench.path), start=1):
        if isinstance(event, events.LotLoaded):
            made.begin(event.info.lot)
        made.take(line, event)
    return [alarm.id for alarm in made.all]


def test_who_may() -> None:
    skilled = {Action.SET_SITE, Action.RETEST}
    for action in (*skilled, Action.CLEAN, Action.ACKNOWLEDGE, Action.SHELVE):
        assert not denied(action, EN)
        assert bool(denied(action, OP)) == (action in skilled | {Action.SHELVE})
        assert bool(denied(action, frozenset({HOST}))) == (action is Action.SHELVE)
