"""The rules that stop a site or hold a lot. Pure: first contacts go in, what is to be done comes out.

Whoever feeds it the first contacts of a journal again gets the same.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from station.engine.odds import at_least, at_most, run_of_fails, share_at_least
from station.engine.stops import Cause
from station.model import Bin, BinKind, Note
from station.rules import StopRules

NO_TOUCH = "R7"
LEAST = 100
"""So many devices before a share of the lot is judged (R4, R6)."""
RARE = 0.001
"""A lot that goes on may look so bad by chance alone (R4, R6)."""
WINDOW, LEAST_AT_SITE = 200, 50
"""How many devices of each site are compared, and from how many on (R5)."""
POINTS_APART, RARE_SITE = 0.05, 1e-4
"""How far a site must fail above the others, and by what chance, for all sites together (R5)."""
LEAST_OF_ONE_BIN = 3
RETRIED = 500
"""Of how many of the latest devices the rows that were run again are counted (R11)."""


class Action(Enum):
    """What a rule asks for."""

    ALARM = "alarm"
    CLEAN = "clean"
    SITE_OFF = "site off"
    HOLD = "hold"


@dataclass(frozen=True)
class Tripped:
    """A rule, what it saw, and what is to be done; `site` 0 is the whole cell."""

    rule: str
    action: Action
    seen: str
    site: int = 0

    @property
    def cause(self) -> Cause:
        """A card that does not touch is the machine's matter; all else says something of the devices."""
        return Cause.EQUIPMENT if self.rule == NO_TOUCH else Cause.YIELD


class Watch:
    """The counters of one lot."""

    def __init__(self, rules: StopRules, *, quantity: int) -> None:
        self._rules = rules
        baseline = rules.baseline_yield
        self.run = None if baseline is None else run_of_fails(baseline, quantity)
        """How many fails in a row stop a site."""
        self.restart()

    def restart(self) -> None:
        """Begin anew: somebody has looked at the cell."""
        self._tested = self._good = 0
        self._bins: Counter[Bin] = Counter()
        self._windows: dict[int, deque[bool]] = {}
        self._fails: Counter[int] = Counter()
        self._same: dict[int, tuple[Bin, int]] = {}
        self._all_failed = self._untouched = self._landings = 0

    def cleaned(self) -> None:
        """The tips were cleaned."""
        self._landings = 0

    def seen(self, first: Mapping[int, Bin]) -> tuple[Tripped, ...]:
        """Take the bins of devices at their first contact, by site; those not judged do not count."""
        judged = {site: bin_ for site, bin_ in sorted(first.items()) if bin_.kind is not BinKind.OTHER}
        for site, bin_ in judged.items():
            self._count(site, bin_)
        self._count_touchdown(tuple(judged.values()))
        return (*self._worn(), *self._at_sites(judged), *self._of_lot())

    def off(self, site: int) -> None:
        """A site was switched off: it is compared with no other any more."""
        self._windows.pop(site, None)

    # -- counting
    def _count(self, site: int, bin_: Bin) -> None:
        passed = bin_.kind is BinKind.PASS
        self._tested += 1
        self._good += passed
        self._bins[bin_] += 1
        self._windows.setdefault(site, deque(maxlen=WINDOW)).append(not passed)
        if passed:
            self._fails[site] = 0
            self._same.pop(site, None)
            return
        self._fails[site] += 1
        before, times = self._same.get(site, (bin_, 0))
        self._same[site] = bin_, times + 1 if before == bin_ else 1

    def _count_touchdown(self, bins: tuple[Bin, ...]) -> None:
        several = len(bins) > 1
        failed = several and all(bin_.kind is BinKind.FAIL for bin_ in bins)
        untouched = several and all(bin_ in self._rules.contact_bins for bin_ in bins)
        self._all_failed = self._all_failed + 1 if failed else 0
        self._untouched = self._untouched + 1 if untouched else 0

    # -- judging
    def _worn(self) -> Iterator[Tripped]:
        self._landings += 1
        if self._rules.clean_every is not None and self._landings >= self._rules.clean_every:
            yield Tripped("R8", Action.CLEAN, f"{self._landings} touchdowns since the tips were cleaned")
            self._landings = 0

    def _at_sites(self, judged: Mapping[int, Bin]) -> Iterator[Tripped]:
        for site in judged:
            trip = self._in_a_row(site) or self._apart(site)
            if trip is not None:
                yield trip

    def _in_a_row(self, site: int) -> Tripped | None:
        if self.run is None:
            return None
        if self._fails[site] >= self.run:
            seen = f"{self._fails[site]} fails in a row, {self.run} stop a site"
            return Tripped("R1", Action.SITE_OFF, seen, site)
        bin_, times = self._same.get(site, (None, 0))
        limit = max(LEAST_OF_ONE_BIN, self.run - 1)
        if bin_ is not None and times >= limit:
            seen = f"{times} devices in a row in bin {bin_.number} {bin_.name}, {limit} stop a site"
            return Tripped("R2", Action.SITE_OFF, seen, site)
        return None

    def _apart(self, site: int) -> Tripped | None:
        windows = self._windows
        if not self._rules.compare_sites or len(windows) < 2:
            return None
        if any(len(window) < LEAST_AT_SITE for window in windows.values()):
            return None
        fails, of = sum(windows[site]), len(windows[site])
        all_fails, all_of = sum(map(sum, windows.values())), sum(map(len, windows.values()))
        others = (all_fails - fails) / (all_of - of)
        if fails / of - others < POINTS_APART:
            return None
        chance = share_at_least(fails, of, all_fails, all_of)
        if chance > RARE_SITE / len(windows):
            return None
        seen = f"{fails} of the last {of} fail, {others:.1%} at the other sites: by chance {chance:.1e}"
        return Tripped("R5", Action.SITE_OFF, seen, site)

    def _of_lot(self) -> Iterator[Tripped]:
        rules = self._rules
        if rules.no_touch is not None and self._untouched >= rules.no_touch:
            yield Tripped(
                NO_TOUCH, Action.HOLD, f"no contact at any site, {self._untouched} touchdowns in a row"
            )
        elif rules.all_sites is not None and self._all_failed >= rules.all_sites:
            yield Tripped("R3", Action.HOLD, f"every site fails, {self._all_failed} touchdowns in a row")
        if self._tested < LEAST:
            return
        if rules.yield_floor is not None:
            chance = at_most(self._good, self._tested, rules.yield_floor)
            if chance < RARE:
                seen = f"{self._good} good of {self._tested}, the floor is {rules.yield_floor:.1%}"
                yield Tripped("R4", Action.HOLD, f"{seen}: by chance {chance:.1e}")
        for bin_, limit in rules.bin_limits:
            chance = at_least(self._bins[bin_], self._tested, limit)
            if chance < RARE:
                seen = f"{self._bins[bin_]} of {self._tested} in bin {bin_.number} {bin_.name}"
                yield Tripped("R6", Action.HOLD, f"{seen}, the limit is {limit:.1%}: by chance {chance:.1e}")


class RetryWatch:
    """Counts how many rows were run again in their contact."""

    def __init__(self, rules: StopRules, *, rows: int) -> None:
        """`rows`: how many tests a device has."""
        self._share, self._rows = rules.retries, rows
        self._latest: deque[int] = deque(maxlen=RETRIED)

    def restart(self) -> None:
        """Begin anew: somebody has looked at the cell."""
        self._latest.clear()

    def seen(self, notes: Iterable[tuple[Note, ...]]) -> Iterator[Tripped]:
        """Take what was noted of devices at their first contact."""
        if self._share is None:
            return
        self._latest.extend(sum(note.kind == "attempt" for note in of_one) for of_one in notes)
        again, rows = sum(self._latest), len(self._latest) * self._rows
        if len(self._latest) >= LEAST and again > self._share * rows:
            seen = f"{again} rows of {rows} were run again, the limit is {self._share:.1%}"
            self._latest.clear()
            yield Tripped("R11", Action.ALARM, seen)
