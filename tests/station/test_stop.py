"""A signal stops what waits for machines; and a lot anew that was stopped by one before."""

import asyncio
from typing import Any, cast

import pytest

from drivers.errors import EquipmentError
from station import commands
from station.engine.cell import Cell
from station.errors import StoppedError
from station.stop import StopRequest, stopped, unless_stopped


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


async def test_a_failure_to_connect_is_told_as_it_is() -> None:
    async def connecting() -> None:
        raise EquipmentError("fine-1: no answer")

    with pytest.raises(EquipmentError, match="fine-1"):
        await unless_stopped(connecting(), StopRequest())
