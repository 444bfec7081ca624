"""What the journal of an open lot says: how far it got, what was in contact, what is not confirmed.

Pure: the events of the lot go in, in order.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from station import commands, events
from station.engine.outcomes import unfinished
from station.engine.recount import Recount
from station.engine.states import State
from station.errors import StorageError
from station.model import LotInfo, Outcome, Place, Verdict, Whereabouts
from station.set_up import Traveller
from station.site_use import turned

LOCAL = "local"
"""Commands from here have ids that are their own only as long as the process lives."""
UNKNOWN = frozenset({State.HELD, State.ABORTING, State.ABORTED})
"""A lot that was in one of these goes on only after somebody has looked at the cell."""


LEFT_AS_IT_IS = frozenset({State.ABORTING, State.ABORTED})
"""A stop does not let a held lot go on."""


@dataclass
class Seen:
    """A device that was in contact and is not known to be sorted."""

    part: int
    site: int
    contact: int
    place: Place | None = None
    outcome: Outcome | None = None
    """Of its last contact."""
    sites: frozenset[int] = frozenset()
    """Those that have met it."""
    id: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether its last contact has no result that stands."""
        return self.outcome is None or unfinished(self.outcome)


@dataclass
class History:
    """The lot, as its journal has it."""

    info: LotInfo
    recount: Recount | None = None
    """Counts what the rules had counted."""
    state: State = State.LOADING
    reason: str = ""
    takes: tuple[tuple[str, ...], ...] = ()
    """Of a lot that was held and has not gone on since: whom its release takes."""
    says: Traveller | None = None
    """What the traveller said when it was loaded."""
    waived: set[str] = field(default_factory=set)
    """Checks that somebody answers for."""
    at: float = 0.0
    """Of the last event, unix seconds."""
    lines: int = 0
    """Of its journal."""
    seq: int = 0
    parts: int = 0
    retested: int = 0
    refitted: bool = False
    """The lot has other machines or other software than when it was left, which the journal has not yet."""
    past_lost: str = ""
    """Which earlier results on which the lot rests cannot be read again."""
    held: bool = False
    ending: bool = False
    receipts: dict[str, commands.Receipt] = field(default_factory=dict)
    opened: dict[int, events.TouchdownOpened] = field(default_factory=dict)
    """The landings since the last device was sorted, by seq."""
    corrected: dict[int, tuple[events.TouchdownOpened, events.ContactsClosed]] = field(default_factory=dict)
    """Landings whose values could not be kept, by seq; their devices may be sorted."""
    results: set[int] = field(default_factory=set)
    """Those of them that have results."""
    in_contact: dict[int, Seen] = field(default_factory=dict)
    """By running number."""
    ordered: dict[int, int] = field(default_factory=dict)
    """Hard bins that were sent to the machine and not confirmed, by running number."""
    undecided: set[int] = field(default_factory=set)
    """Devices that the vault has begun with, and given no verdict."""
    off: dict[int, str] = field(default_factory=dict)
    """Sites that are out of use, and why."""
    dies: dict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    """Dies that have their bin, by wafer."""
    rejected: dict[int, Seen] = field(default_factory=dict)
    """Devices that have their bin, of failed ones, by running number."""
    codes: dict[str, int] = field(default_factory=dict)
    """The device of each code that was read."""
    _at: dict[int, int] = field(default_factory=dict)

    def add(self, event: events.Any) -> None:  # noqa: PLR0912, PLR0915 - one line an event
        """Take one event in."""
        self.at = max(self.at, event.at)
        if self.recount is not None:
            self.recount.add(event)
        match event:
            case events.StateChanged():
                self._became(State(event.new), event)
            case events.CommandAccepted() if event.source != LOCAL:
                self.receipts[event.id] = commands.Receipt(ok=True, code="ok")
            case events.CommandRefused() if event.source not in ("", LOCAL):
                self.receipts[event.id] = commands.Receipt(False, event.code, event.reason)
            case events.TouchdownOpened():
                self._open(event)
            case events.CheckWaived():
                self.waived.add(event.check)
            case events.Intended():
                self.undecided.add(event.part)
            case events.PersonalisationEnded():
                if event.disposition is not None:
                    self.undecided.discard(event.part)
            case events.ContactsClosed():
                self._closed(event)
            case events.BinsSent():
                self.ordered = {self._at[site]: hard for site, hard in event.bins.items()}
            case events.Sorted():
                for site in event.bins:
                    self._settled(self._at[site])
            case events.Found():
                self._found(event)
            case events.Refitted():
                self.info = msgspec.structs.replace(
                    self.info, instruments=event.instruments, software=event.software
                )
            case _:
                self._site(event)

    def _became(self, new: State, changed: events.StateChanged) -> None:
        if new is State.RECOVERING:
            return  # how it stood before counts
        self.state, self.reason = new, changed.reason
        if new not in LEFT_AS_IT_IS:
            self.takes = changed.takes
        self.held = self.held or new is State.HELD
        if new is State.RUNNING:
            self.ending = False
        self.ending = self.ending or new is State.ENDING

    def _open(self, opened: events.TouchdownOpened) -> None:
        self.seq = opened.seq
        self.opened[opened.seq] = opened
        self.parts = max(self.parts, *opened.parts.values())
        for site, part in opened.parts.items():
            number = opened.contacts[site]
            self.retested += number > 1 and site not in opened.recovered
            place = Place(opened.wafer, *opened.positions[site]) if site in opened.positions else None
            self._at[site] = part
            before = self.in_contact.get(part) or self.rejected.pop(part, None)
            sites = frozenset({site}) | (before.sites if before is not None else frozenset())
            self.in_contact[part] = Seen(part, site, number, place, None, sites, opened.ids.get(site, ""))
            if site in opened.ids:
                self.codes[opened.ids[site]] = part
            if place is not None:
                self.dies[place.wafer].discard((place.x, place.y))

    def _closed(self, closed: events.ContactsClosed) -> None:
        if closed.seq in self.results:
            self.corrected[closed.seq] = self.opened[closed.seq], closed
        self.results.add(closed.seq)
        for outcome in closed.outcomes:
            self.in_contact[outcome.part].outcome = outcome

    def _settled(self, part: int) -> None:
        seen = self.in_contact.pop(part)
        self.ordered.pop(part, None)
        self.undecided.discard(part)
        if seen.place is not None:
            self.dies[seen.place.wafer].add((seen.place.x, seen.place.y))
        if seen.outcome is not None and seen.outcome.verdict is Verdict.FAILED:
            self.rejected[part] = seen
        if not self.in_contact:
            self.opened.clear()
            self.results.clear()

    def _found(self, found: events.Found) -> None:
        for part, place in found.places.items():
            if place is Whereabouts.SOCKET:
                self.ordered.pop(part, None)
            elif part in self.in_contact:
                self._settled(part)

    def _site(self, event: events.Any) -> None:
        said = turned(event)
        if said is None:
            return
        if said.on:
            self.off.pop(said.site, None)
        else:
            self.off[said.site] = said.why

    @property
    def in_doubt(self) -> str:
        """Name the devices of which nobody knows whether the machine has taken their bins."""
        found = [f"{part} (site {self.in_contact[part].site})" for part in sorted(self.ordered)]
        return ", ".join(found)


def history_of(happened: Iterable[events.Any], recount: Recount | None = None) -> History:
    """Read a lot's journal; StorageError if no lot was ever loaded."""
    history: History | None = None
    lines = 0
    for event in happened:
        lines += 1
        if history is not None:
            history.add(event)
        elif isinstance(event, events.LotLoaded):
            history = History(event.info, recount, says=event.says, at=event.at)
    if history is None:
        raise StorageError("the journal has no lot")
    history.lines = lines
    return history
