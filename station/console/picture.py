"""What the page shows, as the engine's events make it: the lot, its map, its alarms."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from station import events
from station.alarms import Alarms
from station.console import shown, wire
from station.console.grid import Grid
from station.console.lot_view import LotView
from station.engine.states import LEGAL, State

_TAKES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {state.value: tuple(name for name, states in LEGAL.items() if state in states) for state in State}
)
APART_S = 10.0
_NO_MAP = shown.Map("", 0, 0, 0, 0)


class Picture:
    """Follows an engine (`engine_link.Follower`); whoever tells the browsers takes what is new from it."""

    def __init__(self, clock: Callable[[], float], news: Callable[[], None]) -> None:
        """`clock`: seconds since 1970; `news` is called when there is something to tell."""
        self._clock, self._news = clock, news
        self.engine: shown.Engine | None = None
        self.there = False
        self.epoch, self.seq = 1, 0
        """The map that is shown, and how many results it has had since the console began."""
        self.lot: LotView | None = None
        self.journal: Path | None = None
        self.alarms = Alarms()
        self._state, self._reason = State.EMPTY.value, ""
        self.changed_in = 0
        """Line of the lot's journal in which the cell's state changed last; below 0: it was between lots."""
        self._arrived = clock()
        self._live = True
        self._dies: list[shown.Die] = []
        self._swept: list[shown.Swept] = []
        self._notes: list[events.Any] = []
        """What was said between lots."""
        self._points = 0

    # -- the engine
    def greeted(self, hello: wire.Hello) -> None:
        """The engine is there."""
        self.engine = shown.Engine(
            plant=hello.plant,
            station=hello.station,
            product=hello.product,
            sequence=hello.sequence,
            fingerprint=hello.fingerprint,
            sites=hello.sites,
            more_lots=hello.more_lots,
            station_file=hello.station_file,
            data=hello.data,
            lots=hello.lots,
            rows=hello.rows,
            real=hello.real,
            cleans=hello.cleans,
        )
        self.there = True
        self._notes.clear()
        self._another()

    def begun(self, journal: Path) -> None:
        """There is a lot; its events follow, from the first."""
        self.journal, self._live = journal, False
        self.lot = None

    def happened(self, line: int, event: events.Any) -> None:
        """Take one event in."""
        self._arrived = self._clock()
        if isinstance(event, events.LotLoaded):
            self.lot = LotView(event.info)
            self.alarms.begin(event.info.lot, event.at)
            self._state, self._reason = State.LOADING.value, ""
            self._another()
        if isinstance(event, events.StateChanged):
            self._state, self._reason, self.changed_in = event.new, event.reason, line
        self.alarms.take(line, event)
        if self.lot is not None:
            self._dies_of(self.lot, event)
        self._tell()

    def _dies_of(self, lot: LotView, event: events.Any) -> None:
        dies, another = lot.take(event)
        swept = lot.steps.take(event)
        if self._live:
            self._swept.extend(swept)
        self.seq += len(dies)
        if another:
            self._another()
        if self._live and dies:
            same_clock = abs(event.at - self._arrived) < APART_S  # a simulated cell has a time of its own
            at_ms = int((event.at if same_clock else self._arrived) * 1000)
            self._dies.extend(shown.Die(die.x, die.y, die.bin, die.site, die.first, at_ms) for die in dies)

    def noted(self, event: events.Any) -> None:
        """Take in what was said between lots."""
        self._notes.append(event)
        self._heed(event)
        self._tell()

    def _heed(self, event: events.Any) -> None:
        self.alarms.take(0, event)
        if isinstance(event, events.StateChanged) and self.lot is not None and event.at > self.lot.at:
            self._state, self._reason, self.changed_in = event.new, event.reason, -len(self._notes)
        if isinstance(event, events.ReasonGiven) and self.lot is not None and event.at > self.lot.at:
            self.lot.said(event)

    def caught_up(self) -> None:
        """What follows happens now."""
        for event in self._notes:
            self._heed(event)
        self._live = True
        self._another()

    def stands(self, state: str) -> None:
        """The cell stands so, whatever was told of it."""
        if state != self._state:
            self._state, self._reason = state, ""
            self._tell()

    def left(self) -> None:
        """The engine is away: what was last known stays."""
        if self.there:
            self.there = False
            self._another()

    def _another(self) -> None:
        """Whoever shows the old map must begin anew."""
        self.epoch += 1
        self._dies.clear()
        self._swept.clear()
        self._points = 0 if self.lot is None else len(self.lot.trend)
        self._tell()

    def _tell(self) -> None:
        if self._live:
            self._news()

    # -- shown
    @property
    def state(self) -> shown.State:
        """All of it."""
        return shown.State(
            epoch=self.epoch,
            seq=self.seq,
            there=self.there,
            engine=self.engine,
            lot=None if self.lot is None else self.lot.lot,
            map=_NO_MAP if self.lot is None else self.lot.map,
            sum=self.sum,
            trend=() if self.lot is None else tuple(self.lot.trend),
            alarms=self.alarms.all,
            swept=() if self.lot is None else tuple(sum(self.lot.steps.points.values(), [])),
        )

    @property
    def grid(self) -> Grid | None:
        """The map that is shown."""
        return None if self.lot is None else self.lot.grid

    @property
    def sum(self) -> shown.Sum:
        """Everything that is counted."""
        legal = _TAKES[self._state] if self.there else ()
        if self.lot is None:
            given = [one for one in self._notes if isinstance(one, events.ReasonGiven)]
            return _nothing(self._clock(), self._state, self._reason, legal, given[-1:])
        later_s = max(0.0, self._clock() - self._arrived)
        return self.lot.sum(self._state, self._reason, legal, later_s)

    def frame(self, *, counted: bool) -> shown.Frame:
        """Return what is new since the last frame; `counted` adds what is counted."""
        dies, self._dies = tuple(self._dies), []
        swept, self._swept = tuple(self._swept), []
        alarms, self.alarms.changed = self.alarms.changed, False
        trend: tuple[shown.Point, ...] = ()
        if counted and self.lot is not None:
            trend, self._points = tuple(self.lot.trend[self._points :]), len(self.lot.trend)
        return shown.Frame(
            epoch=self.epoch,
            seq=self.seq,
            there=self.there,
            dies=dies,
            sum=self.sum if counted else None,
            trend=trend,
            alarms=self.alarms.all if alarms else None,
            swept=swept,
        )


def _nothing(
    at: float, state: str, reason: str, legal: tuple[str, ...], given: Sequence[events.ReasonGiven]
) -> shown.Sum:
    return shown.Sum(
        state=state,
        reason=reason,
        e10=(given[0].state if given else "") or "SBY",
        e10_reason=given[0].reason if given else "no lot",
        at=at,
        tested=0,
        good=0,
        first_good=0,
        retested=0,
        touchdowns=0,
        units_per_hour=0.0,
        wafer="",
        sites=(),
        bins={},
        hard={},
        contact=(),
        balance={},
        legal=legal,
    )
