"""What looks after the cell while a lot runs: interlocks that stop it, towers that show how it stands."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from drivers.roles import Interlock, Resource, Tower
from drivers.roles.tower import Colour, Lamp
from station import commands, events
from station.engine.bus import Bus, Subscription
from station.engine.states import State

ACTOR = "interlock"
POLL_S = 0.5
"""How often each interlock is read."""
SHOW_S = 10.0
"""How long a tower may take."""

_WAITS: Mapping[Colour, Lamp] = {"green": "blink"}
_PAUSES: Mapping[Colour, Lamp] = {"amber": "on"}
_STOPS: Mapping[Colour, Lamp] = {"red": "on"}
LAMPS: Mapping[State, Mapping[Colour, Lamp]] = {
    State.EMPTY: {},
    State.LOADING: _WAITS,
    State.LOADED: _WAITS,
    State.CHECKING: _WAITS,
    State.READY: _WAITS,
    State.RUNNING: {"green": "on"},
    State.PAUSING: _PAUSES,
    State.PAUSED: _PAUSES,
    State.HELD: {"red": "blink"},
    State.ENDING: _PAUSES,
    State.CLOSING: _PAUSES,
    State.CLOSED: {},
    State.ABORTING: _STOPS,
    State.ABORTED: _STOPS,
    State.RECOVERING: _STOPS,
}
"""What a tower shows; a colour that it does not have stays unshown."""

AT_REST = frozenset({State.EMPTY, State.CLOSED, State.ABORTING, State.ABORTED, State.RECOVERING})
"""There is nothing to abort: the cell looks itself before it goes on from here."""

log = logging.getLogger(__name__)


class Door(Protocol):
    """The one door by which commands enter a cell."""

    state: State

    @property
    def now(self) -> float:
        """Seconds since 1970."""

    async def request(self, command: commands.Any) -> commands.Receipt:
        """Take a command."""

    async def hear(self, machine: str, what: str, text: str) -> None:
        """Journal what has become of a machine beside the lot."""


@asynccontextmanager
async def guarded(cell: Door, resources: Iterable[Resource], bus: Bus) -> AsyncGenerator[None, None]:
    """Inside the block an interlock that opens aborts the lot, and towers show the state of the cell."""
    loop = asyncio.get_running_loop()
    tasks = list[asyncio.Task[Any]]()
    for resource in resources:
        if isinstance(resource, Interlock):
            tasks.append(loop.create_task(_kept(cell, resource)))
        elif isinstance(resource, Tower):
            tasks.append(loop.create_task(_shown(cell, resource, bus.subscribe())))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # whoever looks after the cell must not fail unseen


async def _kept(cell: Door, interlock: Interlock) -> None:
    """Read the interlock, and cut the lot off when it is open; that it closes again changes nothing."""
    while True:
        if (why := await interlock.why_open()) and cell.state not in AT_REST:
            # no id of an earlier run of the lot, which has had its effect
            name = f"{interlock.name}-open-{cell.now:.3f}"
            await cell.request(commands.CutOff(id=name, actor=ACTOR, reason=why))
        await asyncio.sleep(POLL_S)


async def _shown(cell: Door, tower: Tower, subscription: Subscription) -> None:
    """Show each state; a tower that fails is an event once, and one when it does again. The lot goes on."""
    broken = ""
    async for event in subscription:
        if not isinstance(event, events.StateChanged):
            continue
        before, broken = broken, await _trouble(tower, State(event.new))
        if broken and not before:
            log.warning("%s: %s", tower.name, broken)
            await cell.hear(tower.name, events.BROKEN, broken)
        elif before and not broken:
            await cell.hear(tower.name, events.WORKS_AGAIN, "")


async def _trouble(tower: Tower, state: State) -> str:
    """Have the tower show a state; return why it does not."""
    wanted = {colour: lamp for colour, lamp in LAMPS[state].items() if colour in tower.colours}
    try:
        async with asyncio.timeout(SHOW_S):
            await tower.show(wanted, buzzer=state is State.HELD)
    except TimeoutError:
        return f"shows nothing within {SHOW_S:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a tower does, no lot stops for it
        return str(error) or type(error).__name__
    return ""
