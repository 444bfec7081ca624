"""What each policy of a lot did to its escapes and overkill: the journal beside a simulated world's truth."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from station import events
from station.engine.odds import interval
from station.model import BinKind, Outcome
from station.sequence import Sequence

FIRST, RETEST, AVERAGES, SECOND_LOOK = "first contact", "retest", "PAT", "QA"
SITE_OFF = "site off"
NOT_JUDGED = "R10"
ORDER = (RETEST, AVERAGES, SECOND_LOOK, *(f"R{number}" for number in range(1, 12)))
"""How policies follow each other."""


class TruthShare(Struct, frozen=True):
    """So many devices of so many, and the exact interval (Clopper-Pearson, 95 %) of their share."""

    count: int
    of: int
    low: float
    high: float


class PolicyTruth(Struct, frozen=True):
    """The lot behind one policy and those before it."""

    policy: str
    devices: int
    """Those that it has moved, landed again, or kept from their test."""
    trips: int
    """How often it has asked for something."""
    escapes: TruthShare
    """Bad devices in a passing bin, of all bad ones."""
    overkill: TruthShare
    """Good devices elsewhere, of all good ones."""


@dataclass
class _Contact:
    """What is kept of a device."""

    first: bool
    """Whether it would have been in a passing bin by its first contact alone, without PAT and QA."""
    last: bool
    moved: str
    contacts: int


class PolicyCourse:
    """Reads the events of a lot in order."""

    def __init__(self, sequence: Sequence[Any]) -> None:
        self._asked = tuple(_asked(sequence))
        self._moving = {}
        if sequence.outliers is not None:
            self._moving[sequence.outliers.bin.number] = AVERAGES
        if sequence.quality is not None:
            self._moving[sequence.quality.bin.number] = SECOND_LOOK
        self._devices = dict[int, _Contact]()
        self._kept_out = dict[int, str]()
        self._off = dict[int, str]()
        self._trips = Counter[str]()

    def add(self, event: events.Any) -> None:
        """Take one event in."""
        match event:
            case events.RuleTripped():
                self._trips[event.rule] += 1
                if event.action == SITE_OFF:
                    self._off[event.site] = event.rule
            case events.Cleared():
                self._off.pop(int(event.resource.removeprefix("site ")), None)
            case events.TouchdownOpened():
                self._open(event)
            case events.ContactsClosed():
                for outcome in event.outcomes:
                    self._close(outcome)
            case _:
                pass

    def _open(self, opened: events.TouchdownOpened) -> None:
        for site in opened.untested:
            if site in self._off and opened.contacts[site] == 1:
                self._kept_out[opened.parts[site]] = self._off[site]

    def _close(self, outcome: Outcome) -> None:
        moved = self._moving.get(outcome.soft, "")
        passes = outcome.kind is BinKind.PASS or bool(moved)
        before = self._devices.get(outcome.part)
        first = passes if before is None or outcome.contact == 1 else before.first
        self._devices[outcome.part] = _Contact(first, passes, moved, outcome.contact)

    def moved(self, part: int) -> bool:
        """Tell whether a policy has put a device that passed into another bin."""
        return part in self._devices and bool(self._devices[part].moved)

    def stages(self, good: Mapping[int, bool]) -> tuple[PolicyTruth, ...]:
        """Return the lot before any policy and behind each, one after the other; `good`: what is true."""
        return tuple(self._stages(good))

    def _stages(self, good: Mapping[int, bool]) -> Iterator[PolicyTruth]:
        here = {part: seen for part, seen in self._devices.items() if part in good}
        counted = here.keys() - self._kept_out.keys()
        passing = {part for part in counted if here[part].first}
        yield self._stage(FIRST, len(counted), passing, counted, good)
        for policy in sorted({*self._asked, *self._built_in()}, key=ORDER.index):
            concerned = {part for part in here if self._concerns(policy, part)}
            if policy == RETEST:
                passing = {part for part in counted if here[part].last}
            elif policy in {AVERAGES, SECOND_LOOK}:
                passing = passing - concerned
            else:
                counted = counted | concerned
            yield self._stage(policy, len(concerned), passing, counted, good)

    def _built_in(self) -> set[str]:
        """Name the rule for which no sequence asks, if it has tripped."""
        return {NOT_JUDGED} if self._trips[NOT_JUDGED] else set()

    def _concerns(self, policy: str, part: int) -> bool:
        seen = self._devices[part]
        if policy == RETEST:
            return seen.contacts > 1
        return seen.moved == policy or self._kept_out.get(part) == policy

    def _stage(
        self,
        policy: str,
        devices: int,
        passing: Iterable[int],
        counted: Iterable[int],
        good: Mapping[int, bool],
    ) -> PolicyTruth:
        passed = set(passing)
        bad = {part for part in counted if not good[part]}
        fine = set(counted) - bad
        trips = self._trips[policy] + (self._trips["retest off"] if policy == RETEST else 0)
        return PolicyTruth(
            policy, devices, trips, _share(len(bad & passed), len(bad)), _share(len(fine - passed), len(fine))
        )


def _asked(sequence: Sequence[Any]) -> Iterator[str]:
    """Name the policies that a sequence asks for, in the order in which they come."""
    rules, retest = sequence.rules, sequence.retest
    asked = {
        RETEST: bool((retest.bins and retest.times) or retest.always),
        AVERAGES: sequence.outliers is not None,
        SECOND_LOOK: sequence.quality is not None,
        "R1": rules.baseline_yield is not None,
        "R2": rules.baseline_yield is not None,
        "R3": rules.all_sites is not None,
        "R4": rules.yield_floor is not None,
        "R5": rules.compare_sites,
        "R6": bool(rules.bin_limits),
        "R7": rules.no_touch is not None,
        "R8": rules.clean_every is not None,
        "R11": rules.retries is not None,
    }
    return (policy for policy, is_asked in asked.items() if is_asked)


def _share(count: int, of: int) -> TruthShare:
    return TruthShare(count, of, *interval(count, of))
