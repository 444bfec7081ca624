"""What the events of a lot tell on the network, and what they add up to: alarms over, states of E10."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from station import events
from station.alarms import Alarms
from station.remote.equipment import Class, Equipment
from station.remote.projection import ALARMS, Told, told


@dataclass(frozen=True)
class Said:
    """An event of the network: its id, its time in seconds since 1970, and what it says."""

    id: str
    at: float
    told: Told


class Teller:
    """Goes along one journal from its first line; the same ids from the journal as live."""

    def __init__(self) -> None:
        self.alarms = Alarms()
        self._begin("")

    def _begin(self, lot: str) -> None:
        """Another lot; what a vault has told goes on."""
        self._lot, self._line = lot, 0
        self.equipment = Equipment()
        self.alarms.begin(lot)
        self.alarms.ended.clear()

    def take(self, line: int, event: events.Any) -> list[Said]:
        """Return what a line of the journal tells."""
        if isinstance(event, events.LotLoaded):
            self._begin(event.info.lot)
        passed = self.waits(event.at)
        self._line = line
        found = [*told(event), *self._cleared(line, event), *self._e10(event)]
        return passed + [Said(f"{self._lot}/{line}.{n}", event.at, one) for n, one in enumerate(found)]

    def waits(self, now: float) -> list[Said]:
        """Return that a productive cell has come to wait for devices, if it has by now."""
        before, at = self.equipment.known, self.equipment.turn
        found = self.equipment.turned(now)
        if found is None or at is None:
            return []
        return [Said(f"{self._lot}/{self._line}.waits", at, ("e10.changed", _changed(before, found)))]

    def _cleared(self, line: int, event: events.Any) -> Iterator[Told]:
        self.alarms.take(line, event)
        for one in self.alarms.ended:
            yield "alarm.cleared", {"id": one.id, "alarm": ALARMS[one.code], "reason": one.reason}
        self.alarms.ended.clear()

    def _e10(self, event: events.Any) -> Iterator[Told]:
        before = self.equipment.known
        if (found := self.equipment.take(event)) is not None:
            yield "e10.changed", _changed(before, found)


def _changed(before: Class, now: Class) -> dict[str, Any]:
    return {"state": now[0].value, "reason": now[1], "before": before[0].value}
