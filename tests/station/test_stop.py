"""A signal stops a lot that was stopped by one before: its commands are no repeats."""

import asyncio
from typing import Any, cast

from station import commands
from station.engine.cell import Cell
from station.stop import StopRequest, stopped


class Door:
    """Writes down what it is asked; it is paused at once."""

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
