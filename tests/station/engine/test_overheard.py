"""What a prober says out of turn, as a lot hears it."""

import asyncio
from typing import cast

import pytest

from drivers.roles import Handler, happening, prober
from station import events
from station.alarms import is_alarm
from station.engine.arrivals import Arrivals
from station.engine.lot_journal import LotJournal
from station.engine.overheard import Overheard
from station.engine.stops import Hold
from station.errors import StorageError

EVENTS: list[tuple[happening.Happening, str]] = [
    (happening.WaferLoaded(1, 3, "W3"), "p: wafer loaded: W3, slot 3 of cassette 1"),
    (happening.WaferLoaded(0, 0, "W3"), "p: wafer loaded: W3"),
    (happening.WaferEnded("W3"), "p: wafer ended: W3"),
    (happening.CassetteEnded(1), "p: cassette ended: 1"),
    (happening.LotEnded(), "p: lot ended"),
    (happening.Paused(), "p: paused"),
    (happening.Resumed(), "p: resumed"),
    (happening.TemperatureReached(85.0), "p: temperature reached: 85 °C"),
    (happening.Warned("9", "tray low"), "p: warning: 9 tray low"),
    (happening.InputEmpty(), "p: input empty"),
    (happening.EmptyCheckRequested(), "p: asks whether the sockets are empty"),
]
ALARMS: list[tuple[happening.Happening, str]] = [
    (happening.AlarmRaised("76", "no air"), "p: alarm: 76 no air"),
    (happening.VacuumLost(), "p: vacuum lost"),
    (happening.StartedByOperator(), "p: started by hand"),
    (happening.Jammed("17", "JAM"), "p: jammed: 17 JAM"),
    (happening.PartDropped("", "arm 2"), "p: part dropped: arm 2"),
    (happening.OutputFull("19", ""), "p: output full: 19"),
    (happening.DoorOpened("20", "front"), "p: door opened: 20 front"),
]


class Journal:
    """Keeps what it is given."""

    now = 7.0

    def __init__(self) -> None:
        self.kept = list[events.Any]()
        self.refuses = ""

    async def commit(self, event: events.Any) -> None:
        if self.refuses:
            raise StorageError(self.refuses)
        self.kept.append(event)


class Machine(prober.Prober):
    """A prober that only talks."""

    name = "p"

    def __init__(self) -> None:
        self.heard = happening.unheard


class Feeding(Handler):
    """A handler that only talks."""

    name = "h"

    def __init__(self) -> None:
        self.heard = happening.unheard


Machine.__abstractmethods__ = Feeding.__abstractmethods__ = frozenset()


def made() -> tuple[Machine, Journal, Overheard]:
    machine, journal = Machine(), Journal()  # type: ignore[abstract]
    overheard = Overheard(machine, cast("LotJournal", journal))
    overheard.listen()
    return machine, journal, overheard


@pytest.mark.parametrize(("event", "text"), EVENTS, ids=lambda one: type(one).__name__)
async def test_what_it_says_is_an_event_of_the_lot(event: happening.Happening, text: str) -> None:
    machine, journal, overheard = made()
    machine.heard(event)
    await overheard.heed()
    (told,) = journal.kept
    assert isinstance(told, events.MachineTold)
    assert (str(told), told.at, is_alarm(told)) == (text, 7.0, False)


@pytest.mark.parametrize(("event", "text"), ALARMS, ids=lambda one: type(one).__name__)
async def test_alarm_holds_the_lot_when_it_is_in_the_journal(event: happening.Happening, text: str) -> None:
    machine, journal, overheard = made()
    machine.heard(event)
    machine.heard(happening.WaferEnded("W3"))
    with pytest.raises(Hold) as held:
        await overheard.heed()
    assert str(held.value) == text
    assert [str(told) for told in journal.kept] == [text, "p: wafer ended: W3"]
    await overheard.heed()
    assert len(journal.kept) == 2, "said once"


async def test_what_the_journal_has_refused_is_told_when_it_takes_it() -> None:
    machine, journal, overheard = made()
    machine.heard(happening.Warned("9", "tray low"))
    machine.heard(happening.WaferEnded("W3"))
    journal.refuses = "disk full"
    with pytest.raises(StorageError):
        await overheard.heed()
    journal.refuses = ""
    await overheard.ignore()
    assert [str(told) for told in journal.kept] == ["p: warning: 9 tray low", "p: wafer ended: W3"]


async def test_what_a_handler_says_is_told_and_its_driver_stops_the_lot() -> None:
    machine, journal = Feeding(), Journal()  # type: ignore[abstract]
    overheard = Overheard(machine, cast("LotJournal", journal))
    overheard.listen()
    machine.heard(happening.Jammed("17", "JAM"))
    await overheard.heed()
    (told,) = journal.kept
    assert isinstance(told, events.MachineTold)
    assert (str(told), is_alarm(told)) == ("h: jammed: 17 JAM", True)


async def test_what_came_last_is_kept_when_nobody_listens_any_more() -> None:
    machine, journal, overheard = made()
    machine.heard(happening.VacuumLost())
    await overheard.ignore()
    machine.heard(happening.LotEnded())
    assert [str(told) for told in journal.kept] == ["p: vacuum lost"]
    assert machine.heard is happening.unheard
    overheard.listen()
    await overheard.heed()


class Moving(Arrivals):
    """Of a machine that says something while it moves, and then has come."""

    def __init__(self, machine: prober.Prober, said: happening.Happening) -> None:
        super().__init__(machine)
        self._machine, self._left = machine, [said]

    async def ready(self, *others: asyncio.Event) -> bool:
        if not self._left:
            return True
        self._machine.heard(self._left.pop())
        assert any(other.is_set() for other in others), "it wakes who waits"
        return False


async def test_what_moves_is_waited_for_whatever_it_says() -> None:
    machine, journal, overheard = made()
    assert await overheard.ready(Moving(machine, happening.VacuumLost()), asyncio.Event())
    assert [str(told) for told in journal.kept] == ["p: vacuum lost"], "it is told at once"
    with pytest.raises(Hold, match="vacuum lost"):
        await overheard.heed()


async def test_what_is_asked_ends_the_wait() -> None:
    machine, journal, overheard = made()
    asked = asyncio.Event()
    asked.set()
    assert not await overheard.ready(Moving(machine, happening.Paused()), asked)
    assert journal.kept == []
    await overheard.heed()
    assert len(journal.kept) == 1
