"""How the cell stands for the network: the state that its events add up to."""

from typing import Literal

from station import events
from station.alarms import Priority
from station.engine.states import State as CellState
from station.model import BinKind, LotInfo, Outcome
from station.remote.messages import (
    AlarmState,
    CountState,
    E10State,
    Landed,
    LotState,
    SiteState,
    Touchdown,
    WaferMap,
    utc,
)
from station.remote.projection import WAFER_ENDED
from station.remote.teller import Said, Teller
from station.remote.wafer_dies import WaferDies, flags
from station.site_use import turned


class View:
    """The same from the journal as live."""

    def __init__(self, sites: tuple[int, ...]) -> None:
        self._sites = sites
        self.teller = Teller()
        self.begin(None)
        self.cell = CellState.EMPTY
        self.reason = ""

    def begin(self, info: LotInfo | None) -> None:
        """Forget the lot before."""
        self.info = info
        self._good: dict[int, bool] = {}
        self._by_site: dict[int, list[int]] = {site: [0, 0] for site in self._sites}
        self._off: set[int] = set()
        self._dies = WaferDies()
        self.landed: Touchdown | None = None
        """The touchdown that the last event closed, if it was one."""
        self.map: WaferMap | None = None
        """The wafer that the last event ended, if it did."""

    def take(self, line: int, event: events.Any) -> list[Said]:
        """Take in a line of the journal; return what it tells."""
        self.landed = self.map = None
        said = self.teller.take(line, event)
        self._add(event)
        return said

    def _add(self, event: events.Any) -> None:
        if (said := turned(event)) is not None:
            (self._off.discard if said.on else self._off.add)(said.site)
        match event:
            case events.LotLoaded(info=info):
                self.begin(info)
                self.cell, self.reason = CellState.LOADING, ""
            case events.StateChanged():
                self.cell, self.reason = CellState(event.new), event.reason
                if self.cell is CellState.CLOSED:
                    self._ended(event.at)
            case _:
                self._contacts(event)

    def _contacts(self, event: events.Any) -> None:
        match event:
            case events.TouchdownOpened():
                if event.positions and event.wafer != self._dies.wafer:
                    self._ended(event.at)
                self._dies.open(event)
            case events.ContactsClosed():
                self.landed = self._closed(event)
            case events.MachineTold(what=what) if what == WAFER_ENDED:
                self._ended(event.at)
            case _:
                pass

    def _ended(self, at: float) -> None:
        self.map = None if self.info is None else self._dies.ended(self.info, at)

    def _closed(self, event: events.ContactsClosed) -> Touchdown:
        for one in event.outcomes:
            counts = self._by_site.setdefault(one.site, [0, 0])
            before, good = self._good.get(one.part), one.kind is BinKind.PASS
            counts[0] += before is None
            counts[1] += good - bool(before)
            self._good[one.part] = good
            self._dies.close(event.seq, one)
        return Touchdown(event.seq, event.at, tuple(self._landed(event.seq, one) for one in event.outcomes))

    def _landed(self, seq: int, one: Outcome) -> Landed:
        x, y = self._dies.place(seq, one.site) or (None, None)
        return Landed(x, y, one.site, one.hard, one.soft, flags(one), round(one.test_s * 1000))

    # -- told
    @property
    def lot(self) -> LotState | None:
        """The lot in the cell."""
        info = self.info
        if info is None:
            return None
        return LotState(
            info.lot,
            info.product,
            info.sequence,
            info.fingerprint,
            info.quantity,
            info.limit_set.rpartition(" ")[2],
            self._dies.wafer,
        )

    @property
    def count(self) -> CountState:
        """Devices with a result, and good ones."""
        tested, good = (sum(counts[n] for counts in self._by_site.values()) for n in (0, 1))
        return CountState(tested, good)

    @property
    def sites(self) -> tuple[SiteState, ...]:
        """Each site, its use and yield."""
        return tuple(SiteState(site, self._use(site), _ratio(*n)) for site, n in self._by_site.items())

    @property
    def alarms(self) -> AlarmState:
        """How many are active, by priority."""
        active = [one.priority for one in self.teller.alarms.all if one.active]
        high, medium, low = (active.count(one) for one in _PRIORITIES)
        return AlarmState(high, medium, low)

    def e10(self, later_s: float) -> E10State:
        """Return the equipment state; `later_s` is how long ago the last event was."""
        (state, reason), since = self.teller.equipment.standing(later_s)
        return E10State(state.value, None if since is None else utc(since), reason)

    def _use(self, site: int) -> Literal["ON", "OFF"]:
        return "OFF" if site in self._off else "ON"


_PRIORITIES: tuple[Priority, ...] = ("high", "medium", "low")


def _ratio(tested: int, good: int) -> float | None:
    return round(good / tested, 4) if tested else None
