"""Commands at the door: whoever sends one gets an answer, also if the cell goes in that moment."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from station import commands
from station.alarms import Alarms
from station.door import Door
from station.engine.states import State

OP = frozenset({"operator"})
START = commands.Start(id="1", actor="p-1", roles=OP, source="console")


class Cell:
    """One that does with a command what it was told."""

    state = State.LOADED
    alarms = Alarms()

    def __init__(self, request: Callable[[commands.Any], Awaitable[commands.Receipt]]) -> None:
        self.request = request


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of the cell, which runs when it is told to."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


async def begun(
    loop: asyncio.AbstractEventLoop, request: Callable[[commands.Any], Awaitable[commands.Receipt]]
) -> "tuple[Door, asyncio.Task[commands.Receipt]]":
    """Return a door to such a cell, and a command that is on its way."""
    door = Door()
    cell: Any = Cell(request)
    await on(loop, entering(door, cell))
    asked = asyncio.create_task(door.request(START))
    await asyncio.sleep(0)
    return door, asked


async def entering(door: Door, cell: Any) -> None:
    door.enter(cell)


async def on(loop: asyncio.AbstractEventLoop, work: Awaitable[Any]) -> None:
    """Run the other loop, in another thread, until this is done."""
    await asyncio.get_running_loop().run_in_executor(None, loop.run_until_complete, work)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def taken(command: commands.Any) -> commands.Receipt:
    return commands.Receipt(True, f"taken {command.id}")


async def test_a_command_is_judged_by_the_cell(loop: asyncio.AbstractEventLoop) -> None:
    _, asked = await begun(loop, taken)
    await on(loop, turns())
    assert (await asked).code == "taken 1"


async def test_a_cell_that_is_gone_before_it_comes_to_a_command_refuses_it(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Its loop has ended and is not closed: nothing that is put there will ever run."""
    door, asked = await begun(loop, taken)
    door.leave(State.CLOSED)
    answer = await asked
    assert (answer.ok, answer.code) == (False, "wrong_state")


async def test_what_goes_wrong_in_the_cell_reaches_whoever_asked(loop: asyncio.AbstractEventLoop) -> None:
    async def broken(command: commands.Any) -> commands.Receipt:
        raise ValueError(command.id)

    _, asked = await begun(loop, broken)
    await on(loop, turns())
    with pytest.raises(ValueError, match="1"):
        await asked


async def test_a_command_for_which_nobody_waits_any_more_is_given_up(loop: asyncio.AbstractEventLoop) -> None:
    given_up = asyncio.Event()

    async def slow(command: commands.Any) -> commands.Receipt:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return commands.Receipt(True, command.id)

    _, asked = await begun(loop, slow)
    await on(loop, turns())
    asked.cancel()
    await asyncio.wait([asked])
    await on(loop, turns())
    assert given_up.is_set()


async def test_a_lot_that_is_asked_for_twice_is_loaded_once(loop: asyncio.AbstractEventLoop) -> None:
    del loop
    door = Door()
    load = commands.Load(id="a", actor="p-1", roles=OP, lot="L1", quantity=4)
    asked = [asyncio.create_task(door.request(load)) for _ in range(2)]
    await turns()
    waiting: Any = door.next_load()
    waiting.settle(commands.Receipt(True, "ok"))
    asked.append(asyncio.create_task(door.request(load)))
    assert [(await one).code for one in asked] == ["ok", "ok", "ok"]
    other = await door.request(commands.Load(id="b", actor="p-1", roles=OP, lot="L1", quantity=4))
    assert other.code == "wrong_state"
    door.close()
    assert door.next_load() is None


def load(name: str) -> commands.Load:
    return commands.Load(id=name, actor="p-1", roles=OP, lot=name, quantity=4)


async def test_a_lot_that_comes_in_while_the_one_before_leaves_is_the_only_one(
    loop: asyncio.AbstractEventLoop,
) -> None:
    door = Door()
    cell: Any = Cell(taken)
    cell.state = State.CLOSED
    await on(loop, entering(door, cell))
    asked = asyncio.create_task(door.request(load("L2")))
    await turns()
    for state in (State.CLOSED, State.EMPTY):  # its run is over, and then all of it
        door.leave(state)
        assert door.state is State.LOADING
    assert (await door.request(load("L3"))).code == "wrong_state"
    waiting: Any = door.next_load()
    assert waiting.load.lot == "L2"
    door.leave(waiting.unless_loaded)
    waiting.settle(commands.Receipt(False, "failed"))
    assert (door.state, (await asked).code) == (State.CLOSED, "failed")


async def test_a_lot_that_comes_in_while_the_one_before_is_put_back_is_the_only_one(
    loop: asyncio.AbstractEventLoop,
) -> None:
    heard, over = asyncio.Event(), asyncio.Event()

    class Beside:
        alarms = Alarms()

        async def request(self, *_: Any) -> commands.Receipt:
            heard.set()
            await over.wait()
            return commands.Receipt(True, "ok")

    door = Door()
    beside: Any = Beside()
    door.between = beside
    cell: Any = Cell(taken)
    await on(loop, entering(door, cell))
    door.leave(State.CLOSED)
    unload = commands.Unload(id="u", actor="p-1", roles=OP)
    putting_back = asyncio.create_task(door.request(unload))
    await heard.wait()
    asked = asyncio.create_task(door.request(load("L2")))
    await turns()
    over.set()
    assert (await putting_back).ok
    assert door.state is State.LOADING
    asked.cancel()
