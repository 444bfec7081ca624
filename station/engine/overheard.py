"""What a machine says out of turn: an event each, and a hold where nothing may be tested after it."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from drivers.roles import Feeder, Prober, happening
from station import events
from station.alarms import is_alarm
from station.engine.arrivals import Arrivals
from station.engine.lot_journal import LotJournal
from station.engine.stops import Hold
from station.errors import StorageError

PATIENCE_S = 900.0
"""How long an operator may have the machine before a person is called."""


class Overheard:
    """Listens to the machine of a lot; what it hears is kept until the lot has time for it."""

    def __init__(self, machine: Feeder, journal: LotJournal) -> None:
        self._machine = machine
        self._journal = journal
        self._said: deque[events.MachineTold] = deque()
        self._forbidding: events.MachineTold | None = None
        """The first that was said after which nothing may be tested."""
        self._paused_at: float | None = None
        self._something = asyncio.Event()

    def listen(self) -> None:
        """Hear what the machine says from here on."""
        self._machine.heard = self._heard

    async def ignore(self) -> None:
        """Hear no more; what was heard is in the journal, if there still is one."""
        self._machine.heard = happening.unheard
        with suppress(StorageError):
            await self._write()
        self._forbidding = None  # whoever takes the lot up again has seen it

    async def heed(self, *, at_rest: bool = True) -> None:
        """Journal what was heard; Hold if nothing may be tested after it, once the machine is at rest."""
        await self._write()
        if (forbidding := self._forbidding) is not None and at_rest:
            self._forbidding = None
            raise Hold(str(forbidding))

    async def ready(self, arrivals: Arrivals, asked: asyncio.Event) -> bool:
        """Wait as `Arrivals.ready` does, and journal meanwhile what is heard.

        What moves is waited for, whatever it says. Hold when an operator has had the machine for too long.
        """
        while True:
            until = None if self._paused_at is None else self._paused_at + PATIENCE_S
            try:
                async with asyncio.timeout_at(until):
                    if await arrivals.ready(asked, self._something):
                        return True
            except TimeoutError:
                self._paused_at = None
                why = f"paused at the machine for {PATIENCE_S / 60:g} min"
                raise Hold(f"{self._machine.name}: {why}") from None
            if asked.is_set():
                return False
            await self._write()

    async def _write(self) -> None:
        self._something.clear()
        while self._said:
            said = self._said.popleft()
            if is_alarm(said) and isinstance(
                self._machine, Prober
            ):  # a handler's driver stops the lot itself
                self._forbidding = self._forbidding or said
            try:
                await self._journal.commit(said)
            except StorageError:
                self._said.appendleft(said)
                raise

    def _heard(self, event: happening.Happening) -> None:
        match event:
            case happening.Paused():
                self._paused_at = asyncio.get_running_loop().time()
            case happening.Resumed():
                self._paused_at = None
            case _:
                pass
        what, (code, text) = NAMES[type(event)], _words(event)
        told = events.MachineTold(
            at=self._journal.now, machine=self._machine.name, what=what, code=code, text=text
        )
        self._said.append(told)
        self._something.set()


def _words(event: happening.Happening) -> tuple[str, str]:
    """Return the code of an event, and what it says besides."""
    match event:
        case happening.WaferLoaded(cassette, slot, wafer):
            return "", f"{wafer}{f', slot {slot} of cassette {cassette}' if slot else ''}"
        case happening.WaferEnded(wafer):
            return "", wafer
        case happening.CassetteEnded(cassette):
            return "", str(cassette) if cassette else ""
        case happening.TemperatureReached(celsius):
            return "", f"{celsius:g} °C"
        case happening.Coded(code, text):
            return code, text
        case _:
            return "", ""


NAMES: Mapping[type[happening.Happening], str] = {
    happening.WaferLoaded: "wafer loaded",
    happening.WaferEnded: "wafer ended",
    happening.CassetteEnded: "cassette ended",
    happening.LotEnded: "lot ended",
    happening.Paused: "paused",
    happening.Resumed: "resumed",
    happening.StartedByOperator: "started by hand",
    happening.AlarmRaised: "alarm",
    happening.VacuumLost: "vacuum lost",
    happening.TemperatureReached: "temperature reached",
    happening.NeedlesCleaned: events.CLEANED,
    happening.Warned: "warning",
    happening.Jammed: "jammed",
    happening.PartDropped: "part dropped",
    happening.OutputFull: "output full",
    happening.InputEmpty: "input empty",
    happening.DoorOpened: "door opened",
    happening.EmptyCheckRequested: "asks whether the sockets are empty",
}
"""What each event is called in the journal."""
