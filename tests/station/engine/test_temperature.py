"""A lot at a temperature: nothing is touched before it is there; after an excursion the lot waits."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.errors import EquipmentError
from station import commands, events
from station.engine.cell import Cell
from station.engine.climate import Climate
from station.engine.states import State
from station.sequence import Parametric
from station.set_up import Temperature
from tests.station.engine.doubles import (
    ANY,
    BAD,
    EN,
    OP,
    TE,
    Bench,
    BenchSite,
    ScriptedHandler,
    sequence,
    virtual,
)
from tests.station.engine.test_holds import release, until

ONE = [frozenset({1})]
WANTED = Temperature(85.0, window_k=2.0, soak_s=10.0, reach_s=900.0, back_s=20.0)


class Oven(Climate):
    """Reaches its temperature after 5 s, and then tells what the test says, one reading after the other."""

    def __init__(self, *readings: float) -> None:
        super().__init__(WANTED)
        self.readings = list(readings)
        self.fails = ""
        self.reached = 0
        self.asked_at = list[float]()

    async def reach(self) -> float:
        await asyncio.sleep(5)
        if self.fails:
            raise EquipmentError(self.fails)
        self.reached += 1
        return 84.9

    async def celsius(self) -> float:
        self.asked_at.append(asyncio.get_running_loop().time())
        return self.readings.pop(0) if self.readings else 85.0


class Lifting(ScriptedHandler):
    """Is brought to rest while the lot waits, as a prober is: what had landed lands again."""

    rests = True
    story: list[str]

    async def pause(self) -> None:
        self.story.append("lifted")
        self._again = self._present

    async def resume(self) -> None:
        self.story.append("landed again")


def bench(
    folder: Path, oven: Oven, touchdowns: int, handler: Callable[[list[frozenset[int]]], ScriptedHandler]
) -> Bench:
    async def slow(site: BenchSite) -> float:
        del site
        await asyncio.sleep(3)
        return 0.0

    made = Bench(folder, sequence(Parametric(1, slow, ANY, bin=BAD, timeout_s=60)), ONE * touchdowns)
    made.use(handler(ONE * touchdowns))
    plan = made.cell._plan
    made.cell = Cell(dataclasses.replace(plan, bound=dataclasses.replace(plan.bound, climate=oven)))
    return made


def opened(made: Bench) -> list[float]:
    return [event.at for event in made.happened(events.TouchdownOpened)]


@virtual
async def test_nothing_is_touched_before_the_temperature_is_there(tmp_path: Path) -> None:
    oven = Oven()
    made = bench(tmp_path, oven, 2, ScriptedHandler)
    assert await made.run() == "CLOSED"
    kinds = [type(event) for event in made.history]
    assert kinds.index(events.TemperatureReached) < kinds.index(events.TouchdownOpened)
    (reached,) = made.happened(events.TemperatureReached)
    assert (reached.wanted, reached.celsius, reached.took_s) == (85.0, 84.9, 5.0)


@virtual
async def test_a_temperature_that_does_not_come_holds_the_lot(tmp_path: Path) -> None:
    oven = Oven()
    oven.fails = "stream: the head is up"
    made = bench(tmp_path, oven, 1, ScriptedHandler)
    assert await made.run() == "HELD"
    assert made.cell.reason == "stream: the head is up" and not opened(made)


@virtual
async def test_a_lot_that_is_cancelled_while_it_heats_leaves_nothing_behind(tmp_path: Path) -> None:
    oven, heats = Oven(), asyncio.Event()

    async def reach() -> float:
        heats.set()
        await asyncio.Event().wait()
        return 85.0

    oven.reach = reach  # type: ignore[method-assign]
    made = bench(tmp_path, oven, 1, ScriptedHandler)
    await made.start()
    others = asyncio.all_tasks()
    running = asyncio.get_running_loop().create_task(made.cell.run_lot(unattended=True))
    await heats.wait()
    running.cancel()
    await asyncio.wait([running])
    await made.cell.aclose()
    assert running.cancelled()
    assert asyncio.all_tasks() == others


@virtual
async def test_after_an_excursion_the_lot_waits_for_window_and_soak(tmp_path: Path) -> None:
    oven = Oven(85.0, 88.0, 87.5, float("nan"), 86.9, 86.0)
    made = bench(tmp_path, oven, 3, ScriptedHandler)
    assert await made.run() == "CLOSED"
    assert len(made.handler.sorted) == 3
    (wait,) = made.happened(events.RuleTripped)
    assert (wait.rule, wait.action) == ("temperature", "wait")
    assert wait.seen == "88 °C, wanted are 85 °C within 2 K"
    first, back = made.happened(events.TemperatureReached)
    # two more readings outside, five seconds apart, then the soak; files take their moment
    assert back.took_s == pytest.approx(10 + 10, abs=0.5)
    kinds = [type(event) for event in made.history]
    assert kinds.index(events.Sorted) < kinds.index(events.RuleTripped)  # the touchdown before has finished
    assert first is not back


@virtual
async def test_needles_do_not_stand_on_a_wafer_while_the_lot_waits(tmp_path: Path) -> None:
    oven = Oven(90.0)
    made = bench(tmp_path, oven, 2, Lifting)
    assert isinstance(made.handler, Lifting)
    made.handler.story = []
    assert await made.run() == "CLOSED"
    assert made.handler.story == ["lifted", "landed again"]
    assert [event.parts for event in made.happened(events.TouchdownOpened)] == [{1: 1}, {1: 2}]


@virtual
async def test_what_does_not_come_back_holds_the_lot_and_a_release_reaches_it_again(tmp_path: Path) -> None:
    oven = Oven(*[70.0] * 6)
    made = bench(tmp_path, oven, 2, Lifting)
    assert isinstance(made.handler, Lifting)
    made.handler.story = []
    watched = made.bus.subscribe()

    async def technician() -> None:
        async for event in watched:
            if isinstance(event, events.StateChanged) and event.new == "HELD":
                break
        assert made.cell.reason == "70 °C, wanted are 85 °C within 2 K, and not back within 20 s"
        await made.cell.request(commands.Release(id="r", actor="t", roles=TE, reason="chiller on"))
        await made.cell.paused.wait()
        assert oven.reached == 1  # nothing is heated before somebody lets it go on
        await made.cell.request(commands.Resume(id="g", actor="t", roles=OP))

    assert await made.run(technician(), unattended=False) == "CLOSED"
    assert oven.reached == 2 and len(made.handler.sorted) == 2


@pytest.mark.parametrize("after_s", [3, 7])
def test_an_abort_does_not_wait_for_a_temperature(tmp_path: Path, after_s: int) -> None:
    """While it heats, and while the lot waits for it to come back."""

    @virtual
    async def life(folder: Path) -> None:
        made = bench(folder, Oven(*[70.0] * 25), 1, ScriptedHandler)

        async def operator() -> None:
            await asyncio.sleep(after_s)
            await made.cell.request(commands.Abort(id="a", actor="op", roles=OP))

        loop = asyncio.get_running_loop()
        assert await made.run(operator()) == "ABORTED"
        assert loop.time() < after_s + 1 and not opened(made)

    life(tmp_path)


@virtual
async def test_an_end_while_it_heats_ends_the_lot(tmp_path: Path) -> None:
    made = bench(tmp_path, Oven(), 1, ScriptedHandler)

    async def operator() -> None:
        await asyncio.sleep(3)
        await made.cell.request(commands.End(id="e", actor="op", roles=OP))

    assert await made.run(operator()) == "CLOSED"
    assert not opened(made) and not made.happened(events.TemperatureReached)


@virtual
async def test_it_is_not_asked_more_often_than_needed(tmp_path: Path) -> None:
    oven = Oven()
    made = bench(tmp_path, oven, 5, ScriptedHandler)
    assert await made.run() == "CLOSED"
    assert len(oven.asked_at) == 5  # each of the touchdowns takes three seconds


@virtual
async def test_an_engineer_answers_for_a_temperature_that_does_not_come(tmp_path: Path) -> None:
    oven = Oven(20.0, 20.0)
    oven.fails = "85 degrees not reached within 900 s"
    made = bench(tmp_path, oven, 2, ScriptedHandler)

    async def person() -> None:
        await until(made, State.HELD)
        waive = commands.Waive(id="w", actor="p-5", roles=EN, check="temperature", reason="cold is worst")
        assert (await made.cell.request(waive)).ok
        assert (await made.cell.request(release())).ok
        await until(made, State.PAUSED)
        assert (await made.cell.request(commands.Resume(id="r", actor="p-5", roles=EN))).ok

    assert await made.run(person(), unattended=False) == "CLOSED"
    assert oven.asked_at == []
    (tripped,) = made.happened(events.RuleTripped)
    assert (tripped.rule, tripped.action) == ("temperature", "waived")
    assert made.file.texts == ["check temperature waived by p-5: cold is worst"]
