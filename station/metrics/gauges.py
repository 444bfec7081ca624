"""A cell in numbers for Prometheus, counted up from what the engine tells.

Labels are bounded: station, site, bin, state, kind. Never a lot, a wafer, a device or a person.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from station import events
from station.alarms import is_alarm
from station.console import wire
from station.custody.balance import Balance
from station.engine.states import State
from station.figures import e10
from station.model import BinKind, Outcome, Verdict
from station.site_use import turned

M = TypeVar("M", Counter, Gauge, Info)
SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
PASS, FAIL, INVALID = "pass", "fail", "invalid"


class Instruments:
    """All metrics, in a registry of their own; each has the station's name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.build = self._made(Info, "hardbin_build", "Version of hardbin.", "station")
        self.up = self._made(Gauge, "hardbin_engine_up", "1 while the engine is reached.", "station")
        self.run = self._made(Gauge, "hardbin_run_state", "1 for the state of the cell.", "station", "state")
        self.e10 = self._made(Gauge, "hardbin_e10_state", "1 for the class of SEMI E10.", "station", "state")
        self.e10_s = self._made(
            Counter, "hardbin_e10_seconds", "Time in each class, up to the last event.", "station", "state"
        )
        self.parts = self._made(
            Counter, "hardbin_parts", "First contacts that were judged.", "station", "site", "result"
        )
        self.bins = self._made(
            Counter, "hardbin_bin", "Contacts by bin, hard or soft.", "station", "kind", "bin"
        )
        self.on = self._made(Gauge, "hardbin_site_enabled", "1 while a site is in use.", "station", "site")
        self.yields = self._made(
            Gauge, "hardbin_site_yield_ratio", "Good ones of the lot's first contacts.", "station", "site"
        )
        self.touchdowns = self._made(Counter, "hardbin_touchdowns", "Touchdowns.", "station")
        self.retests = self._made(Counter, "hardbin_retests", "Contacts that were not the first.", "station")
        self.lots = self._made(Counter, "hardbin_lots", "Lots that were closed.", "station", "outcome")
        self.alarms = self._made(Counter, "hardbin_alarms", "Alarms, by kind.", "station", "id")
        self.commands = self._made(
            Counter, "hardbin_commands", "Commands to the cell.", "station", "source", "name", "code"
        )
        self.personalised = self._made(
            Counter, "hardbin_perso_operations", "Verdicts of the vault.", "station", "outcome"
        )
        self.balance = self._made(
            Gauge, "hardbin_balance_difference", "Devices in contact that nobody has sorted.", "station"
        )
        self.test_s = self._timed("hardbin_test_duration_seconds", "First row to last.", "station", "site")
        self.index_s = self._timed(
            "hardbin_index_duration_seconds", "Bins confirmed to next start.", "station"
        )

    def _made(self, kind: type[M], name: str, text: str, *labels: str) -> M:
        return kind(name, text, labels, registry=self.registry)

    def _timed(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=SECONDS, registry=self.registry)


class Counting:
    """Follows an engine (`station.console.engine_link.Follower`).

    What was before this process began is in the state and not in the counters: Prometheus had it from
    the process before.
    """

    def __init__(self, made: Instruments, now: Callable[[], float]) -> None:
        self._made, self._now = made, now
        self._station = ""
        self._began = False
        self._counted: dict[tuple[Path, float], int] = {}
        self._lot = Path(), 0.0
        """The journal, and when it began: a lot that is loaded again has the path of the one before."""
        self._new_lot()

    def _new_lot(self) -> None:
        self._cell, self._balance = e10.Cell(), Balance()
        self._since: float | None = None
        self._sorted_at: float | None = None
        self._sites: dict[int, list[int]] = {}

    # -- the engine
    def greeted(self, hello: wire.Hello) -> None:
        """The engine is there."""
        self._station = hello.station
        self._made.build.labels(self._station).info({"version": version("hardbin")})
        self._made.up.labels(self._station).set(1)
        for site in hello.sites:
            self._made.on.labels(self._station, site).set(1)

    def begun(self, journal: Path) -> None:
        """A lot's events follow, from the first; those that were counted are not counted again."""
        self._lot = journal, 0.0
        self._new_lot()

    def happened(self, line: int, event: events.Any) -> None:
        """Take one event in."""
        if line == 1:
            self._lot = self._lot[0], event.at
        fresh = self._began and line > self._counted.get(self._lot, 0)
        if fresh:
            self._timed(event.at)
        self._since = event.at
        self._cell.take(event)
        self._balance.add(event)
        self._seen(event)
        if fresh:
            self._count(event)
        self._counted = {self._lot: max(line, self._counted.get(self._lot, 0))}

    def noted(self, event: events.Any) -> None:
        """What was said between lots counts nothing."""

    def caught_up(self) -> None:
        """What follows happens now."""
        self._began = True
        self._states()

    def stands(self, state: str) -> None:
        """How the cell stands."""
        self._began = True
        self._cell.state = state
        self._states()

    def left(self) -> None:
        """The engine is away."""
        if self._station:
            self._made.up.labels(self._station).set(0)

    # -- numbers
    def _states(self) -> None:
        for state in State:
            found = state.value == self._cell.state
            self._made.run.labels(self._station, state.value).set(found)
        there, _ = self._cell.at(self._now() if self._since is None else self._since)
        for one in e10.Class:
            self._made.e10.labels(self._station, one.value).set(one is there)
        self._made.balance.labels(self._station).set(len(self._balance.unsorted()))

    def _timed(self, at: float) -> None:
        if self._since is not None:
            for span in e10.between(self._cell, self._since, at):
                self._made.e10_s.labels(self._station, span.state.value).inc(span.seconds)

    def _seen(self, event: events.Any) -> None:
        """What is a state, and so the same however often it is told."""
        if (said := turned(event)) is not None:
            self._made.on.labels(self._station, said.site).set(said.on)
        match event:
            case events.ContactsClosed(outcomes=outcomes):
                for one in outcomes:
                    if one.contact == 1:
                        count = self._sites.setdefault(one.site, [0, 0])
                        count[0] += 1
                        count[1] += one.kind is BinKind.PASS
                for site, (tested, good) in self._sites.items():
                    self._made.yields.labels(self._station, site).set(good / tested)
            case events.LotLoaded(info=info):
                for site in info.sites:
                    self._made.on.labels(self._station, site).set(1)
            case events.StateChanged():
                self._states()
            case _:
                pass

    def _count(self, event: events.Any) -> None:
        made, station = self._made, self._station
        match event:
            case events.ContactsClosed(outcomes=outcomes):
                for one in outcomes:
                    self._contact(one)
            case events.TouchdownOpened(at=at):
                made.touchdowns.labels(station).inc()
                if self._sorted_at is not None:
                    made.index_s.labels(station).observe(at - self._sorted_at)
            case events.Sorted(at=at):
                self._sorted_at = at
            case events.CommandAccepted():
                made.commands.labels(station, event.source, event.command, "ok").inc()
            case events.CommandRefused():
                made.commands.labels(station, event.source, event.command, event.code).inc()
            case events.PersonalisationEnded(disposition=verdict):
                made.personalised.labels(station, "none" if verdict is None else verdict.value).inc()
            case events.LotClosed(outcome=outcome):
                made.lots.labels(station, outcome).inc()
            case _:
                self._alarm(event)

    def _contact(self, one: Outcome) -> None:
        made, station = self._made, self._station
        if one.contact == 1:
            good = PASS if one.kind is BinKind.PASS else FAIL
            result = INVALID if one.verdict is Verdict.NOT_JUDGED else good
            made.parts.labels(station, one.site, result).inc()
        else:
            made.retests.labels(station).inc()
        made.bins.labels(station, "soft", one.soft).inc()
        made.bins.labels(station, "hard", one.hard).inc()
        made.test_s.labels(station, one.site).observe(one.test_s)

    def _alarm(self, event: events.Any) -> None:
        kind = ""
        match event:
            case events.Faulted():
                kind = "fault"
            case events.Quarantined():
                kind = "quarantine"
            case events.RuleTripped(rule=rule):
                kind = f"rule {rule}"
            case events.MachineTold() if is_alarm(event):
                kind = "machine"
            case events.StateChanged(new=State.HELD.value):
                kind = "hold"
            case events.MadeSafe(unverified=unverified) if unverified:
                kind = "not safe"
            case _:
                return
        self._made.alarms.labels(self._station, kind).inc()
