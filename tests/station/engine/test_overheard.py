"""What a prober says out of turn, as a lot hears it."""

import asyncio
from typing import cast

import pytest

from drivers.roles import prober
from station import events
from station.engine.arrivals import Arrivals
from station.engine.lot_journal import LotJournal
from station.engine.overheard import Overheard
from station.engine.stops import Hold

EVENTS: list[tuple[prober.ProberEvent, str]] = [
    (prober.WaferLoaded(1, 3, "W3"), "p: wafer loaded: W3, slot 3 of cassette 1"),
    (prober.WaferLoaded(0, 0, "W3"), "p: wafer loaded: W3"),
    (prober.WaferEnded("W3"), "p: wafer ended: W3"),
    (prober.CassetteEnded(1), "p: cassette ended: 1"),
    (prober.LotEnded(), "p: lot ended"),
    (prober.Paused(), "p: paused"),
    (prober.Resumed(), "p: resumed"),
    (prober.TemperatureReached(85.0), "p: temperature reached: 85 °C"),
]
ALARMS: list[tuple[prober.ProberEvent, str]] = [
    (prober.AlarmRaised("76", "no air"), "p: alarm: 76 no air"),
    (prober.VacuumLost(), "p: vacuum lost"),
    (prober.StartedByOperator(), "p: started by hand"),
]


class Journal:
    """Keeps what it is given."""

    now = 7.0

    def __init__(self) -> None:
        self.kept = list[events.Any]()

    async def commit(self, event: events.Any) -> None:
        self.kept.append(event)


class Machine(prober.Prober):
    """A prober that only talks."""

    name = "p"

    def __init__(self) -> None:
        self.heard = prober.unheard


Machine.__abstractmethods__ = frozenset()


def made() -> tuple[Machine, Journal, Overheard]:
    machine, journal = Machine(), Journal()  # type: ignore[abstract]
    overheard = Overheard(machine, cast("LotJournal", journal))
    overheard.listen()
    return machine, journal, overheard


@pytest.mark.parametrize(("event", "text"), EVENTS, ids=lambda one: type(one).__name__)
async def test_what_it_says_is_an_event_of_the_lot(event: prober.ProberEvent, text: str) -> None:
    machine, journal, overheard = made()
    machine.heard(event)
    await overheard.heed()
    (told,) = journal.kept
    assert isinstance(told, events.MachineTold)
    assert (str(told), told.at, told.is_alarm) == (text, 7.0, False)


@pytest.mark.parametrize(("event", "text"), ALARMS, ids=lambda one: type(one).__name__)
async def test_alarm_holds_the_lot_when_it_is_in_the_journal(event: prober.ProberEvent, text: str) -> None:
    machine, journal, overheard = made()
    machine.heard(event)
    machine.heard(prober.WaferEnded("W3"))
    with pytest.raises(Hold) as held:
        await overheard.heed()
    assert str(held.value) == text
    assert [str(told) for told in journal.kept] == [text, "p: wafer ended: W3"]
    await overheard.heed()
    assert len(journal.kept) == 2, "said once"


async def test_what_came_last_is_kept_when_nobody_listens_any_more() -> None:
    machine, journal, overheard = made()
    machine.heard(prober.VacuumLost())
    await overheard.ignore()
    machine.heard(prober.LotEnded())
    assert [str(told) for told in journal.kept] == ["p: vacuum lost"]
    assert machine.heard is prober.unheard
    overheard.listen()
    await overheard.heed()


class Moving(Arrivals):
    """Of a machine that says something while it moves, and then has come."""

    def __init__(self, machine: prober.Prober, said: prober.ProberEvent) -> None:
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
    assert await overheard.ready(Moving(machine, prober.VacuumLost()), asyncio.Event())
    assert [str(told) for told in journal.kept] == ["p: vacuum lost"], "it is told at once"
    with pytest.raises(Hold, match="vacuum lost"):
        await overheard.heed()


async def test_what_is_asked_ends_the_wait() -> None:
    machine, journal, overheard = made()
    asked = asyncio.Event()
    asked.set()
    assert not await overheard.ready(Moving(machine, prober.Paused()), asked)
    assert journal.kept == []
    await overheard.heed()
    assert len(journal.kept) == 1
