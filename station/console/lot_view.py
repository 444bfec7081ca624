"""One lot as the page shows it, counted up from its events."""

from collections import Counter, deque
from collections.abc import Iterable

from msgspec.structs import replace

from station import events
from station.authority import closing
from station.console import shown
from station.console.grid import Grid
from station.console.steps_view import StepsView
from station.engine.prelot import VAULT
from station.engine.states import State
from station.figures import e10
from station.life import BLOCK
from station.model import Bin, BinKind, LotInfo, Outcome
from station.site_use import turned
from station.vault_answers import Quota

POINTS = 60
"""About so many points has the trend of a whole lot."""
LEAST = 25
"""Devices that a point of the trend stands for at least."""
RECENT = 40
"""Touchdowns over which units per hour are counted."""
STILL_HELD = frozenset({State.ABORTING.value, State.ABORTED.value, State.RECOVERING.value})
"""A stop does not let a held lot go on."""
CANNOT_CLOSE = State.CLOSING.value, State.HELD.value
"""How the state changes of a lot whose balance keeps it from closing."""


class SiteView:
    """What is counted of one site."""

    def __init__(self, site: int) -> None:
        self.site = site
        self.tested = self.good = self.bin = self.failing = 0
        self.off = ""
        self.contact = self.waits = self.with_vault = False
        self.part = self.trial = 0

    def tile(self) -> shown.Tile:
        """Return it as it is shown."""
        use: shown.Use = "off" if self.off else "contact" if self.contact else "on"
        return shown.Tile(
            self.site,
            use,
            self.tested,
            self.good,
            self.bin,
            self.failing,
            self.off,
            self.waits,
            self.part,
            self.trial,
            self.with_vault,
        )


class LotView:
    """The same from the journal as live."""

    def __init__(self, info: LotInfo) -> None:
        self.info = info
        self.grid = Grid.tray(info.quantity)
        self.wafer = ""
        self._sites = {site: SiteView(site) for site in info.sites}
        self._index = {one.number: n for n, one in enumerate(info.bins, start=1)}
        self._parts: dict[int, tuple[int, SiteView]] = {}
        """Soft bin of each device's last contact, and the site at which it counts: that of this contact."""
        self._first: dict[int, int] = {}
        self._places: dict[int, tuple[int, int]] = {}
        """Of the devices in contact, by site."""
        self._bins, self._hard = Counter[int](), Counter[int]()
        self._open = set[int]()
        """Devices that have a result and no bin yet."""
        self._lies: dict[int, int] = {}
        """Hard bin of each sorted device."""
        self._at: dict[int, int] = {}
        self._spoiled = self._sealed = 0
        self.good = self.first_good = self.retested = self.touchdowns = self._cleanings = 0
        self._kinds = {one.number: one.kind for one in info.bins}
        self.trend: list[shown.Point] = []
        self._window = [0, 0]
        self._per_point = max(LEAST, info.quantity // POINTS)
        self._sorted: deque[tuple[float, int]] = deque(maxlen=RECENT)
        self._cell = e10.Cell()
        self.at = info.set_up
        self.steps = StepsView()
        self._quota: Quota | None = None
        self._assets: dict[str, events.AssetMounted] = {}
        self.cause, self.takes = "", tuple[tuple[str, ...], ...]()
        self._secure = self._closing = False

    def take(self, event: events.Any) -> tuple[list[shown.Die], bool]:
        """Take an event in; return what is new on the map, and whether that is another map."""
        self._cell.take(event)
        self.at = event.at
        self._held(event)
        match event:
            case events.TouchdownOpened():
                return [], self._opened(event)
            case events.ContactsClosed():
                return [self._closed(one) for one in event.outcomes], False
            case events.Sorted():
                self._taken(event)
            case events.Intended(site=site):
                self._spoiled += 1
                self._site(site).with_vault = True
            case events.PersonalisationEnded(disposition=verdict) if verdict is not None:
                self._verdict(verdict.value)
            case _:
                pass
        return [], False

    def said(self, given: events.ReasonGiven) -> None:
        """Take a person's reason that was given after the lot's last event."""
        self._cell.take(given)

    def _held(self, event: events.Any) -> None:
        if (said := turned(event)) is not None:
            self._site(said.site).off = said.why
        if isinstance(event, events.AssetMounted):
            self._assets[event.asset] = event
        if isinstance(event, events.QuotaTold):
            self._quota = event.quota
        if isinstance(event, events.MachineTold):
            self._cleanings += event.what == events.CLEANED
        if isinstance(event, events.PersonalisationEnded):
            for site in (site for site, part in self._at.items() if part == event.part):
                self._site(site).with_vault = False
        if isinstance(event, events.CheckTold):
            self._secure = self._secure or event.check == VAULT
        if isinstance(event, events.StateChanged) and event.new not in STILL_HELD:
            self.cause, self.takes = event.cause, event.takes
        if isinstance(event, events.StateChanged):
            self._closing = (event.old, event.new) == CANNOT_CLOSE

    # -- contacts
    def _opened(self, event: events.TouchdownOpened) -> bool:
        another = self._wafer(event)
        self.touchdowns += 1
        for site, part in event.parts.items():
            x, y = event.positions.get(site) or self.grid.place_of(part)
            another = self.grid.cover(x, y) or another
            self._places[site] = x, y
            self._at[site] = part
            self._site(site).waits = True
            self._site(site).part, self._site(site).trial = part, event.contacts[site]
            self._site(site).contact = site not in event.untested
        return another

    @property
    def map(self) -> shown.Map:
        """The extent of its map, and how a wafer lies."""
        lies = self.info.wafers if self.grid.kind == "wafer" else None
        if lies is None:
            return self.grid.map
        mirrored = lies.x_grows == "L", lies.y_grows == "U"
        return replace(self.grid.map, notch=lies.notch, mirrored=mirrored)

    def _wafer(self, event: events.TouchdownOpened) -> bool:
        if not event.positions or (self.grid.kind == "wafer" and event.wafer == self.wafer):
            return False
        x, y = next(iter(event.positions.values()))
        known = self.grid.kind == "wafer"
        self.grid = self.grid.untested() if known else Grid("wafer", (x, y, 1, 1))
        self.wafer = event.wafer
        return True

    def _closed(self, one: Outcome) -> shown.Die:
        site, good = self._site(one.site), one.kind is BinKind.PASS
        before = self._parts.get(one.part)
        if before is None:
            self._first_contact(one, site)
        else:
            bin_, there = before
            self._bins[bin_] -= 1
            self.good -= (was := self._kinds.get(bin_) is BinKind.PASS)
            there.good -= was
            there.tested -= 1
            self.retested += 1
        self._parts[one.part] = one.soft, site
        site.tested += 1
        self._open.add(one.part)
        self._bins[one.soft] += 1
        self.good += good
        site.good += good
        site.bin, site.contact = one.soft, False
        x, y = self._places.get(one.site) or self.grid.place_of(one.part)
        first = self._first[one.part]
        last, first = self._index.get(one.soft, 1), self._index.get(first, 1)
        self.grid.put(x, y, last, first, one.site)
        return shown.Die(x, y, last, one.site, first, 0)

    def _first_contact(self, one: Outcome, site: SiteView) -> None:
        good = one.kind is BinKind.PASS
        self._first[one.part] = one.soft
        site.failing = 0 if good else site.failing + 1
        self.first_good += good
        self._window[0] += 1
        self._window[1] += good
        if self._window[0] >= self._per_point:
            share = round(self._window[1] / self._window[0], 4)
            self.trend.append(shown.Point(len(self._parts) + 1, share))
            self._window = [0, 0]

    def _taken(self, event: events.Sorted) -> None:
        for site, hard in event.bins.items():
            part = self._at[site]
            self._hard[hard] += 1
            self._hard[self._lies.get(part, hard)] -= part in self._lies
            self._lies[part] = hard
            self._open.discard(part)
            self._site(site).waits = False
        self._sorted.append((event.at, len(event.bins)))
        for site in event.bins:
            self._places.pop(site, None)

    def _verdict(self, verdict: str) -> None:
        if verdict in ("sealed", "untouched", "retry"):
            self._spoiled -= 1
        self._sealed += verdict == "sealed"

    def _site(self, site: int) -> SiteView:
        return self._sites.setdefault(site, SiteView(site))

    # -- shown
    @property
    def lot(self) -> shown.Lot:
        """What does not change."""
        info = self.info
        return shown.Lot(
            lot=info.lot,
            sublot=info.sublot,
            product=info.product,
            sequence=info.sequence,
            version=info.sequence_version,
            fingerprint=info.fingerprint,
            recipe=info.limit_set,
            quantity=info.quantity,
            flow=info.flow,
            temperature=info.temperature,
            handler=info.handler,
            bins=tuple(_bins(info.bins)),
            mode=info.mode,
            study=info.study,
        )

    def sum(self, state: str, reason: str, legal: tuple[str, ...], later_s: float) -> shown.Sum:
        """Return what is counted; `later_s` is how long ago the last event was."""
        known = self._cell.at(self.at + later_s)
        return shown.Sum(
            state=state,
            reason=reason,
            e10=known[0].value,
            e10_reason=known[1],
            at=self.at + later_s,
            tested=len(self._parts),
            good=self.good,
            first_good=self.first_good,
            retested=self.retested,
            touchdowns=self.touchdowns,
            units_per_hour=self._units_per_hour(),
            wafer=self.wafer,
            sites=tuple(site.tile() for site in self._sites.values()),
            bins={number: count for number, count in self._bins.items() if count},
            hard={number: count for number, count in self._hard.items() if count},
            contact=tuple(self._places.values()) if state != State.CLOSED.value else (),
            balance=self._balance(),
            legal=legal,
            assets=tuple(self._worn()),
            quota=self._quota,
            cause=self.cause,
            takes=self.takes,
            signs=self._signs,
            halts=self.steps.halts,
            sweeps=self.steps.sweeps,
        )

    @property
    def _signs(self) -> tuple[tuple[str, ...], ...]:
        seats = closing(secure=self._secure) if self._closing else ()
        return tuple(tuple(sorted(seat)) for seat in seats)

    def _worn(self) -> Iterable[shown.Asset]:
        for one in self._assets.values():
            now = one.touchdowns + (self._cleanings if one.kind == BLOCK else self.touchdowns)
            yield shown.Asset(one.asset, one.kind, now, one.warning, one.limit)

    def _units_per_hour(self) -> float:
        if len(self._sorted) < 2:  # noqa: PLR2004 - a rate needs two moments
            return 0.0
        took = self._sorted[-1][0] - self._sorted[0][0]
        units = sum(count for _, count in self._sorted) - self._sorted[0][1]
        return round(units * 3600 / took, 1) if took > 0 else 0.0

    def _balance(self) -> dict[str, int]:
        tested = len(self._parts)
        contact = {self._at[site] for site in self._places}
        return {
            "in": self.info.quantity,
            "good": self.good,
            "rejects": tested - self.good,
            "open": len(self._open | contact),
            "waiting": self.info.quantity - len(self._parts.keys() | contact),
            "sealed": self._sealed,
            "spoiled": self._spoiled,
        }


def _bins(bins: Iterable[Bin]) -> Iterable[shown.Bin]:
    return (shown.Bin(one.number, one.name, one.hard, one.kind.value) for one in bins)
