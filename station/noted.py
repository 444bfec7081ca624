"""What was told of a lot's tests beside their results, counted as its journal has it."""

from collections import Counter
from collections.abc import Callable

from station import events
from station.model import Outcome, Place

Knows = Callable[[str, Place | None], bool]


class Noted:
    """Reads the events of a lot in order."""

    def __init__(self, knows: Knows | None = None) -> None:
        """`knows`: whether earlier results of a device are known, in a lot that rests on such."""
        self._knows = knows
        self._unknown = set[int]()
        self._retried = set[int]()
        self._skipped = Counter[str]()
        self._marginal = Counter[int]()
        self._alarms = Counter[int]()

    def add(self, event: events.Any) -> None:
        """Take an event of the lot's journal."""
        if isinstance(event, events.ContactsClosed):
            for outcome in event.outcomes:
                self._add(outcome)
        if isinstance(event, events.TouchdownOpened) and self._knows is not None:
            for site, part in event.parts.items():
                die = event.positions.get(site)
                place = None if die is None else Place(event.wafer, *die)
                if not self._knows(event.ids.get(site, ""), place):
                    self._unknown.add(part)

    def _add(self, outcome: Outcome) -> None:
        for note in outcome.notes:
            match note.kind:
                case "attempt":
                    self._retried.add(outcome.part)
                case "skipped":
                    self._skipped[f"{note.test} by {note.text}"] += 1
                case "marginal":
                    self._marginal[note.test] += 1
                case "alarm":
                    self._alarms[note.test] += 1
                case "withheld":
                    pass

    @property
    def retried(self) -> int:
        """How many devices had a row that was run again in the same contact."""
        return len(self._retried)

    @property
    def unknown(self) -> int:
        """Of how many devices no result of an insertion before was known, where the lot rests on such."""
        return len(self._unknown)

    @property
    def skipped(self) -> dict[str, int]:
        """In how many contacts a row was left out, by number of the test and name of the rule."""
        return dict(sorted(self._skipped.items()))

    @property
    def marginal(self) -> dict[str, int]:
        """In how many contacts a test was passed near a limit, by its number."""
        return {str(test): count for test, count in sorted(self._marginal.items())}

    @property
    def alarms(self) -> dict[str, int]:
        """How often an instrument was at its limit in a test, by its number."""
        return {str(test): count for test, count in sorted(self._alarms.items())}
