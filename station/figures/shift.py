"""What the next shift must know of this one: lots, downs, holds, alarms, commands; from journals."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from station import events
from station.alarms import is_alarm
from station.engine.states import State
from station.figures.e10 import Class, Interval
from station.model import BinKind

UNASSIGNED_S = 300.0
"""Standby or down for longer than this asks for a person's reason."""
AUTOMATIC = "local"
"""Commands from here are the station's own."""


class LotOfShift(Struct, frozen=True):
    """A lot that was in the cell."""

    lot: str
    product: str
    began: float
    ended: float | None
    """None: it is still there."""
    state: str
    tested: int
    good: int


class Stop(Struct, frozen=True):
    """A time in which the cell did not work: which class, and why."""

    start: float
    end: float
    kind: str
    reason: str


class Raised(Struct, frozen=True):
    """An alarm, as often as it came with this reason."""

    kind: str
    reason: str
    count: int
    last: float


class Asked(Struct, frozen=True):
    """A command of a person or a system: what, who, and what became of it."""

    at: float
    command: str
    actor: str
    code: str
    reason: str


class HandOver(Struct, frozen=True):
    """The note."""

    begins: float
    ends: float
    lots: tuple[LotOfShift, ...]
    downs: tuple[Stop, ...]
    holds: tuple[Stop, ...]
    unassigned: tuple[Stop, ...]
    """Stops of more than five minutes of which no person has said why."""
    alarms: tuple[Raised, ...]
    commands: tuple[Asked, ...]
    state: str
    """How the cell is left, and why."""
    reason: str


def hand_over(history: Sequence[events.Any], spans: Sequence[Interval], *, ends: float) -> HandOver:
    """Make the note of the events of a shift, with its intervals of E10."""
    changes = [event for event in history if isinstance(event, events.StateChanged)]
    said = [event.at for event in history if isinstance(event, events.ReasonGiven)]
    return HandOver(
        begins=spans[0].start if spans else ends,
        ends=ends,
        lots=tuple(_lots(history)),
        downs=tuple(_stop(one) for one in spans if one.state in (Class.UDT, Class.SDT)),
        holds=tuple(_holds(changes, ends)),
        unassigned=tuple(_stop(one) for one in spans if _unassigned(one, said)),
        alarms=tuple(_alarms(history)),
        commands=tuple(_commands(history)),
        state=changes[-1].new if changes else State.EMPTY.value,
        reason=changes[-1].reason if changes else "",
    )


def _stop(span: Interval) -> Stop:
    return Stop(span.start, span.end, span.state.value, span.reason)


def _unassigned(span: Interval, said: Sequence[float]) -> bool:
    stands = span.state in (Class.UDT, Class.SBY) and span.seconds > UNASSIGNED_S
    return stands and not any(span.start <= at <= span.end for at in said)


def _lots(history: Sequence[events.Any]) -> Iterator[LotOfShift]:
    lot: LotOfShift | None = None
    kinds: dict[int, bool] = {}
    for event in history:
        match event:
            case events.LotLoaded(info=info):
                if lot is not None:
                    yield lot
                lot, kinds = LotOfShift(info.lot, info.product, event.at, None, "LOADED", 0, 0), {}
            case events.ContactsClosed(outcomes=outcomes):
                kinds |= {one.part: one.kind is BinKind.PASS for one in outcomes}
            case events.StateChanged(new=new) if lot is not None:
                ended = event.at if new in (State.CLOSED.value, State.ABORTED.value) else None
                lot = _counted(lot, new, ended, kinds)
            case _:
                pass
    if lot is not None:
        yield _counted(lot, lot.state, lot.ended, kinds)


def _counted(lot: LotOfShift, state: str, ended: float | None, kinds: dict[int, bool]) -> LotOfShift:
    return LotOfShift(lot.lot, lot.product, lot.began, ended, state, len(kinds), sum(kinds.values()))


def _holds(changes: Sequence[events.StateChanged], ends: float) -> Iterator[Stop]:
    """A hold lasts to the next state of the lot."""
    for number, change in enumerate(changes):
        if change.new == State.HELD.value:
            after = changes[number + 1].at if number + 1 < len(changes) else ends
            yield Stop(change.at, after, State.HELD.value, change.reason)


def _alarms(history: Sequence[events.Any]) -> Iterator[Raised]:
    found: dict[tuple[str, str], Raised] = {}
    for event in history:
        if (kind := _kind(event)) is not None:
            before = found.get(kind)
            found[kind] = Raised(*kind, 1 if before is None else before.count + 1, event.at)
    yield from found.values()


def _kind(event: events.Any) -> tuple[str, str] | None:
    match event:
        case events.Faulted(site=site, reason=reason):
            return (f"fault of site {site}" if site else "fault"), reason
        case events.Quarantined(resource=resource, reason=reason):
            return f"{resource} out of use", reason
        case events.RuleTripped(rule=rule, seen=seen, action=action):
            return f"rule {rule}: {action}", seen
        case events.MachineTold(what=what) if is_alarm(event):
            return f"{event.machine}: {what}", " ".join(filter(None, (event.code, event.text)))
        case events.MadeSafe(unverified=unverified) if unverified:
            return "not safe", ", ".join(unverified)
        case _:
            return None


def _commands(history: Sequence[events.Any]) -> Iterator[Asked]:
    for event in history:
        match event:
            case events.CommandAccepted() if event.source != AUTOMATIC:
                yield Asked(event.at, event.command, event.actor, "ok", event.reason)
            case events.CommandRefused():
                yield Asked(event.at, event.command, event.actor, event.code, event.reason)
            case _:
                pass
