"""What the floor is told of the engine's events: CloudEvents, touchdowns, and the state they add up to."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from station import events
from station.engine.states import State as CellState
from station.model import BinKind, LotInfo, Outcome, Verdict
from station.remote.messages import CountState, Landed, LotState, SiteState, Touchdown

Told: TypeAlias = tuple[str, dict[str, Any]]
"""Type of a CloudEvent, and its data."""

EVENTS = frozenset(
    """
    lot.loaded lot.started lot.paused lot.resumed lot.held lot.completed lot.aborted datalog.closed
    command.accepted command.completed alarm.raised alarm.acknowledged asset.limit
    wafer.started wafer.completed recipe.staged config.applied
    """.split()  # noqa: SIM905 - names read better so
)
"""Every type of event."""
S = CellState
RUN = {
    S.EMPTY: "IDLE",
    S.LOADING: "IDLE",
    S.LOADED: "IDLE",
    S.CHECKING: "STARTING",
    S.READY: "IDLE",
    S.RUNNING: "EXECUTE",
    S.PAUSING: "SUSPENDING",
    S.PAUSED: "SUSPENDED",
    S.HELD: "HELD",
    S.ENDING: "COMPLETING",
    S.CLOSING: "COMPLETING",
    S.CLOSED: "COMPLETE",
    S.ABORTING: "ABORTING",
    S.ABORTED: "ABORTED",
    S.RECOVERING: "CLEARING",
}
"""States of the cell in words of PackML."""
FLAGS = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.NOT_JUDGED: 2}
AGAIN = 4
REMOTE_SOURCE = "mqtt"
"""Commands from here are told by whoever let them in."""


def told(event: events.Any) -> Iterator[Told]:
    """Yield what an event of the engine is on the network; most of them are nothing."""
    match event:
        case events.LotLoaded(info=info):
            yield "lot.loaded", _lot(info)
        case events.StateChanged():
            yield from _changed(event)
        case events.CommandAccepted() if event.source != REMOTE_SOURCE:
            yield "command.accepted", {"id": event.id, "command": event.command, "actor": event.actor}
        case events.CommandRefused() if event.source != REMOTE_SOURCE:
            yield "command.completed", completed(event)
        case events.Faulted():
            yield "alarm.raised", _alarm("fault", event.reason, site=event.site)
        case events.Quarantined():
            yield "alarm.raised", _alarm("quarantine", event.reason, resource=event.resource)
        case events.RuleTripped(rule="assets"):
            yield "asset.limit", {"seen": event.seen, "action": event.action}
        case events.Acknowledged():
            yield "alarm.acknowledged", {"alarm": event.alarm, "actor": event.actor}
        case events.LotClosed():
            data = {"lot": event.lot, "outcome": event.outcome, "tested": event.tested, "good": event.good}
            yield "lot.completed", {**data, "accounts": event.accounts}
            yield "datalog.closed", {"lot": event.lot, "sha256": event.stdf_sha256}
        case _:
            yield from _besides(event)


WAFERS = {"wafer loaded": "wafer.started", "wafer ended": "wafer.completed"}
"""What a prober says of wafers, and the event that it is."""


def _besides(event: events.Any) -> Iterator[Told]:
    """What happens between lots, and at the machine."""
    match event:
        case events.MachineTold(machine=machine, what=what, text=text) if what in WAFERS:
            yield WAFERS[what], {"machine": machine, "wafer": text.partition(",")[0]}
        case events.Staged(recipe=recipe, title=title, actor=actor):
            yield "recipe.staged", {"recipe": recipe, "title": title, "actor": actor}
        case events.ConfigApplied(config=config, changed=changed, actor=actor, second=second):
            told = {"config": config, "changed": changed, "actor": actor, "second": second}
            yield "config.applied", told
        case _:
            pass


def completed(refused: events.CommandRefused) -> dict[str, Any]:
    """Return the data of `command.completed` for a command that had no effect."""
    return {
        "id": refused.id,
        "command": refused.command,
        "actor": refused.actor,
        "ok": False,
        "code": refused.code,
        "reason": refused.reason,
    }


def _changed(event: events.StateChanged) -> Iterator[Told]:
    match event.old, event.new:
        case "CHECKING", "RUNNING":
            yield "lot.started", {}
        case "PAUSED", "RUNNING":
            yield "lot.resumed", {}
        case _, "PAUSED":
            yield "lot.paused", {"reason": event.reason}
        case _, "HELD":
            yield "lot.held", {"reason": event.reason}
            yield "alarm.raised", _alarm("hold", event.reason)
        case _, "ABORTED":
            yield "lot.aborted", {"reason": event.reason}
        case _:
            pass


def _alarm(name: str, reason: str, **where: object) -> dict[str, Any]:
    return {"alarm": name, "reason": reason, **where}


def _lot(info: LotInfo) -> dict[str, Any]:
    return {
        "lot": info.lot,
        "product": info.product,
        "sequence": info.sequence,
        "fingerprint": info.fingerprint,
        "quantity": info.quantity,
    }


class View:
    """The state that events add up to; the same from the journal as live."""

    def __init__(self, sites: tuple[int, ...]) -> None:
        self._sites = sites
        self.begin(None)
        self.cell = CellState.EMPTY
        self.reason = ""

    def begin(self, info: LotInfo | None) -> None:
        """Forget the lot before."""
        self.info = info
        self._good: dict[int, bool] = {}
        self._by_site: dict[int, list[int]] = {site: [0, 0] for site in self._sites}
        self._parts: dict[int, dict[int, int]] = {}
        self._off: set[int] = set()

    def add(self, event: events.Any) -> Touchdown | None:
        """Take an event in; return the touchdown that it closes."""
        match event:
            case events.LotLoaded(info=info):
                self.begin(info)
                self.cell, self.reason = CellState.LOADING, ""
            case events.StateChanged():
                self.cell, self.reason = CellState(event.new), event.reason
            case events.Quarantined(resource=resource) if resource.startswith("site "):
                self._off.add(int(resource.removeprefix("site ")))
            case events.Cleared(resource=resource) if resource.startswith("site "):
                self._off.discard(int(resource.removeprefix("site ")))
            case events.SiteSet(site=site, on=on):
                (self._off.discard if on else self._off.add)(site)
            case events.ContactsClosed():
                return self._closed(event)
            case _:
                pass
        return None

    def _closed(self, event: events.ContactsClosed) -> Touchdown:
        for one in event.outcomes:
            counts = self._by_site.setdefault(one.site, [0, 0])
            before, good = self._good.get(one.part), one.kind is BinKind.PASS
            counts[0] += before is None
            counts[1] += good - bool(before)
            self._good[one.part] = good
        return Touchdown(event.seq, event.at, tuple(_landed(one) for one in event.outcomes))

    @property
    def lot(self) -> LotState | None:
        """The lot in the cell."""
        info = self.info
        if info is None:
            return None
        return LotState(info.lot, info.product, info.sequence, info.fingerprint, info.quantity)

    @property
    def count(self) -> CountState:
        """Devices with a result, and good ones."""
        tested, good = (sum(counts[n] for counts in self._by_site.values()) for n in (0, 1))
        return CountState(tested, good)

    @property
    def sites(self) -> tuple[SiteState, ...]:
        """Each site, its use and yield."""
        return tuple(SiteState(site, self._use(site), _ratio(*n)) for site, n in self._by_site.items())

    def _use(self, site: int) -> Literal["ON", "OFF"]:
        return "OFF" if site in self._off else "ON"


def _ratio(tested: int, good: int) -> float | None:
    return round(good / tested, 4) if tested else None


def _landed(one: Outcome) -> Landed:
    flags = FLAGS[one.verdict] | (AGAIN if one.contact > 1 else 0)
    return Landed(None, None, one.site, one.hard, one.soft, flags, round(one.test_s * 1000))
