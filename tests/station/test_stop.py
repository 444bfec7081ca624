"""A signal stops what waits for machines; and a lot anew that was stopped by one before."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from drivers.errors import EquipmentError
from station import commands, events
from station.engine.cell import Cell
from station.engine.states import State
from station.errors import StoppedError
from station.sequence import Parametric
from station.stop import STOP_GRACE_S, StopRequest, stopped, unless_stopped
from tests.station.engine.doubles import ANY, BAD, OP, Bench, BenchSite, sequence, virtual


class Door:
    """Writes down what it is asked; it is paused at once."""

    pausing = False

    def __init__(self, now: float) -> None:
        self.now = now
        self.paused = asyncio.Event()
        self.asked: list[commands.Any] = []

    async def request(self, command: commands.Any) -> commands.Receipt:
        self.asked.append(command)
        self.paused.set()
        return commands.Receipt(ok=True, code="ok")

    def leave(self) -> bool:
        return False


async def asked_at(now: float) -> list[commands.Any]:
    stop, door = StopRequest(), Door(now)
    stop.ask()
    await stopped(cast("Cell[Any]", door), stop)
    return door.asked


async def test_each_life_of_a_lot_has_its_own_commands() -> None:
    first, second = await asked_at(100.0), await asked_at(700.5)
    assert [type(command) for command in first] == [commands.Pause, commands.Abort]
    ids = [command.id for command in (*first, *second)]
    assert len(set(ids)) == 4, "an id that is in the journal would have no effect"


async def through(bench: Bench, stop: StopRequest) -> str:
    """Run the lot with somebody who stops it."""
    await bench.start()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        stopping = group.create_task(stopped(bench.cell, stop))
        state = await bench.cell.run_lot(unattended=False)
        stopping.cancel()
    await bench.cell.aclose()
    return state.value


@virtual
async def test_a_stop_while_a_pause_is_on_its_way_finishes_the_touchdown(tmp_path: Path) -> None:
    stop = StopRequest()

    async def row(site: BenchSite) -> float:
        del site
        assert (await bench.cell.request(commands.Pause(id="p", actor="op"))).ok
        stop.ask()
        await asyncio.sleep(STOP_GRACE_S / 2)
        return 0.0

    slow = Parametric(1, row, ANY, bin=BAD, timeout_s=STOP_GRACE_S)
    bench = Bench(tmp_path, sequence(slow), [frozenset({1})] * 2)
    assert await through(bench, stop) == "PAUSED", "it is left open"
    assert bench.handler.sorted == [{1: 1}]


@virtual
async def test_a_stop_while_a_paused_lot_is_checked_leaves_it_open(tmp_path: Path) -> None:
    stop, refused = StopRequest(), asyncio.Event()

    async def row(site: BenchSite) -> float:
        del site
        assert (await bench.cell.request(commands.Pause(id="p", actor="op"))).ok
        return 0.0

    async def make_safe() -> None:
        if bench.cell.state is State.CHECKING and bench.handler.sorted:
            stop.ask()
            await refused.wait()

    async def operator() -> None:
        told = bench.bus.subscribe()
        await bench.cell.paused.wait()
        assert (await bench.cell.request(commands.Check(id="c", actor="op", roles=OP))).ok
        while not isinstance(await anext(told), events.CommandRefused):
            pass
        refused.set()

    bench = Bench(tmp_path, sequence(Parametric(1, row, ANY, bin=BAD)), [frozenset({1})] * 2)
    bench.sites[1].box.make_safe = make_safe  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        group.create_task(operator())
        assert await through(bench, stop) == "PAUSED"


async def test_a_request_to_stop_does_not_wait_for_a_machine_that_does_not_answer() -> None:
    stop, ended = StopRequest(), asyncio.Event()

    async def connecting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asyncio.get_running_loop().call_soon(stop.ask)
    with pytest.raises(StoppedError):
        await unless_stopped(connecting(), stop)
    assert ended.is_set()


async def test_who_is_cancelled_while_it_connects_leaves_nothing_behind() -> None:
    connects, ended = asyncio.Event(), asyncio.Event()

    async def connecting() -> None:
        connects.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.get_running_loop().create_task(unless_stopped(connecting(), StopRequest()))
    await connects.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended.is_set()


async def test_a_failure_to_connect_is_told_as_it_is() -> None:
    async def connecting() -> None:
        raise EquipmentError("fine-1: no answer")

    with pytest.raises(EquipmentError, match="fine-1"):
        await unless_stopped(connecting(), StopRequest())
