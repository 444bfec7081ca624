"""What stands still and what is swept in an engineering lot, as the page shows it, counted up from events."""

from collections import deque

from station import events
from station.console import shown

READINGS = 8
"""So many of the latest rows of a device are shown where it stands."""
CODES = {"passed": 1, "failed": 0}
"""Of a point; whatever could not be judged is 2."""


class StepsView:
    """Which sites stand behind which rows, and the latest sweep of each."""

    def __init__(self) -> None:
        self._readings: dict[int, deque[shown.Reading]] = {}
        self._halts: dict[int, events.StepHalted] = {}
        self._sweeps: dict[int, shown.Sweep] = {}
        self.points: dict[int, list[shown.Swept]] = {}
        """Of the latest sweep of each site."""
        self._count = 0

    def take(self, event: events.Any) -> list[shown.Swept]:
        """Take an event in; return what is new of sweeps."""
        match event:
            case events.TouchdownOpened():
                self._readings, self._halts = {}, {}
            case events.StepHalted():
                self._halted(event)
            case events.StepLeft(site=site):
                self._halts.pop(site, None)
            case events.ShmooBegun():
                self._begun(event)
            case events.ShmooPoint():
                return self._point(event)
            case events.ShmooEnded(site=site) if site in self._sweeps:
                was = self._sweeps[site]
                self._sweeps[site] = shown.Sweep(
                    was.number, site, was.row, was.name, was.x, was.y, was.limit, True, event.failed
                )
            case _:
                pass
        return []

    def _halted(self, event: events.StepHalted) -> None:
        self._halts[event.site] = event
        if event.row:
            kept = self._readings.setdefault(event.site, deque(maxlen=READINGS))
            if kept and kept[-1].row == event.row:  # behind a sweep it stands where it stood
                kept.pop()
            kept.append(shown.Reading(event.row, event.name, event.measurement, event.limit))

    def _begun(self, event: events.ShmooBegun) -> None:
        self._count += 1
        self._sweeps[event.site] = shown.Sweep(
            self._count, event.site, event.row, event.name, event.x, event.y, event.limit
        )
        self.points[event.site] = []

    def _point(self, event: events.ShmooPoint) -> list[shown.Swept]:
        if event.site not in self._sweeps:
            return []
        measured = event.measurement
        point = shown.Swept(
            event.site,
            self._sweeps[event.site].number,
            event.x,
            event.y,
            CODES.get(measured.verdict.value, 2),
            measured.value,
        )
        self.points[event.site].append(point)
        return [point]

    @property
    def halts(self) -> tuple[shown.Halt, ...]:
        """The sites that stand, with what their devices have measured so far."""
        return tuple(
            shown.Halt(site, one.part, one.row, one.until, tuple(self._readings.get(site, ())))
            for site, one in sorted(self._halts.items())
        )

    @property
    def sweeps(self) -> tuple[shown.Sweep, ...]:
        """The latest sweep of each site."""
        return tuple(one for _, one in sorted(self._sweeps.items()))
