"""The equipment state of the cell as the network hears it: told when it changes, by the events of a lot."""

from typing import TypeAlias

from station import events
from station.figures import e10

Class: TypeAlias = tuple[e10.Class, str]
"""The class, and why."""


class Equipment:
    """One lot's, from its first event on; the same from the journal as live."""

    def __init__(self) -> None:
        self._cell = e10.Cell()
        self._known = self._cell.at(0.0)
        self.at = 0.0
        """When the last event was, in seconds since 1970."""
        self.since: float | None = None
        """When this class began; None before the first event."""

    @property
    def known(self) -> Class:
        """As it was told last."""
        return self._known

    @property
    def turn(self) -> float | None:
        """When a productive cell comes to wait if nothing happens before; None if that is no matter."""
        if self._known[0] is not e10.Class.PRD:
            return None
        return max(self._cell.productive_until, self.at)

    def standing(self, later_s: float) -> tuple[Class, float | None]:
        """Return the class so long after the last event, and since when it is."""
        now, turn = self.at + later_s, self.turn
        return self._cell.at(now), turn if turn is not None and turn < now else self.since

    def turned(self, now: float) -> Class | None:
        """Let time pass; return the class that is another since `turn`, if there is one."""
        turn = self.turn
        return None if turn is None or turn >= now else self._changed(turn)

    def take(self, event: events.Any) -> Class | None:
        """Let an event happen; return the class if it is another one now, or has another reason."""
        self.at = max(self.at, event.at)
        self._cell.take(event)
        return self._changed(self.at)

    def _changed(self, at: float) -> Class | None:
        before, self._known = self._known, self._cell.at(at)
        if self.since is None or self._known[0] is not before[0]:
            self.since = at
        return None if self._known == before else self._known
