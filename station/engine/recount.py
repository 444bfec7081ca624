"""What rules had counted when a station stopped, counted once more from the lot's journal. Pure."""

from collections import deque
from collections.abc import Iterable
from typing import Any, Self

from station import events
from station.engine.codes import unnamed
from station.engine.outcomes import result_of, unfinished
from station.engine.retests import RetestWatch
from station.engine.states import State
from station.engine.stop_rules import Action, RetryWatch, Tripped, Watch
from station.model import Bin, Outcome, Verdict
from station.policies import Retest
from station.rules import StopRules
from station.sequence import Sequence

NOT_JUDGED_LIMIT = 3
NOT_JUDGED_WINDOW = 100
"""So many contacts that the station could not judge, among the last so many, hold the lot."""
LOOKED_AT = frozenset({State.HELD.value, State.ABORTED.value})
"""What follows these begins with somebody who has looked at the cell: rules count anew."""


class Counters:
    """What the rules of one lot count while it runs."""

    def __init__(self, rules: StopRules, retest: Retest, *, quantity: int, rows: int = 1) -> None:
        """`rows`: how many tests a device has."""
        self.watch = Watch(rules, quantity=quantity)
        self.retries = RetryWatch(rules, rows=rows)
        self.retests = RetestWatch(retest)
        self.not_judged: deque[bool] = deque(maxlen=NOT_JUDGED_WINDOW)

    @classmethod
    def of(cls, sequence: Sequence[Any], quantity: int) -> Self:
        """Return those of a lot that begins."""
        rows = len(sequence.definitions())
        return cls(sequence.rules, sequence.retest, quantity=quantity, rows=rows)

    def restart(self) -> None:
        """Somebody has looked at the cell."""
        self.watch.restart()
        self.retries.restart()
        self.not_judged.clear()


class Recount:
    """Takes the events of a journal in; gives the counters that a run goes on with."""

    def __init__(self, counters: Counters, bins: Iterable[Bin]) -> None:
        self.counters = counters
        self.wafers: list[str] = []
        """Those that were begun, in order."""
        self._bins = {bin_.number: bin_ for bin_ in bins}
        self._wafer = ""
        self._last: dict[int, Outcome] = {}
        """Of devices that are not sorted or were rejected, by running number."""
        self._parts: dict[int, int] = {}
        """Device by site, where it is not sorted."""
        self._closed: tuple[Outcome, ...] = ()
        """The last landing: the station may still correct it."""
        self._untested: frozenset[int] = frozenset()
        self._unnamed: frozenset[int] = frozenset()
        """Of these the devices that were not tested because nobody knows who they are."""
        self._recovered: frozenset[int] = frozenset()
        self._owed: list[Tripped] = []

    def add(self, event: events.Any) -> None:
        """Take one event in."""
        match event:
            case events.TouchdownOpened():
                self._count()
                self._open(event)
            case events.ContactsClosed(outcomes=outcomes):
                self._closed = outcomes
            case events.Sorted(bins=bins):
                self._count()
                self._sorted(bins)
            case events.RuleTripped():
                self._tripped(event)
            case events.Cleaned(failed=""):
                self.counters.watch.cleaned()
            case events.SiteSet(site=site, on=False):
                self.counters.watch.off(site)
            case events.StateChanged(new=new) if new in LOOKED_AT:
                self._count()
                self._owed.clear()
                self.counters.restart()
            case _:
                pass

    def owed(self) -> tuple[Tripped, ...]:
        """Return the trips of rules that the station had no time to act on; everything is counted then."""
        self._count()
        owed, self._owed = tuple(self._owed), []
        return owed

    def _sorted(self, sites: Iterable[int]) -> None:
        """Those that failed may come again."""
        for site in sites:
            last = self._last.get(part := self._parts.pop(site, 0))
            if last is not None and last.verdict is not Verdict.FAILED:
                del self._last[part]

    def _tripped(self, told: events.RuleTripped) -> None:
        self._owed = [one for one in self._owed if (one.rule, one.site) != (told.rule, told.site)]
        if told.action == Action.SITE_OFF.value:
            self.counters.watch.off(told.site)

    def _open(self, opened: events.TouchdownOpened) -> None:
        if opened.wafer != self._wafer:
            self._wafer = opened.wafer
            self.wafers.append(opened.wafer)
            self.counters.retests.restart()
        self._parts |= opened.parts
        self._untested, self._recovered = frozenset(opened.untested), frozenset(opened.recovered)
        self._unnamed = frozenset(s for s, n in opened.contacts.items() if n == 1 and unnamed(opened, s))

    def _count(self) -> None:
        """Count the last landing: devices that it met first, and those that it met again."""
        closed, self._closed = self._closed, ()
        tested = [one for one in closed if not unfinished(one)]
        results = {one.site: result_of(one, self._bins[one.soft]) for one in tested}
        new = [one.site for one in tested if self._is_new(one)]
        if heeded := {site: results[site].bin for site in new if site not in self._recovered}:
            self._owed += self.counters.watch.seen(heeded)
            self._owed += self.counters.retries.seen(one.notes for one in tested if one.site in heeded)
        retests = self.counters.retests
        retests.first({site: result for site, result in results.items() if result.contact == 1})
        for one in tested:
            if one.site not in new and one.site not in self._untested:
                before = self._last[one.part]
                deque(retests.again(result_of(before, self._bins[before.soft]), results[one.site]))
        unjudged = [one.verdict is Verdict.NOT_JUDGED for one in tested if one.site not in self._untested]
        self.counters.not_judged.extend(unjudged)
        self.counters.not_judged.extend(True for one in tested if one.site in self._unnamed)
        self._last |= {one.part: one for one in closed}

    def _is_new(self, one: Outcome) -> bool:
        before = self._last.get(one.part)
        return before is None or unfinished(before)
