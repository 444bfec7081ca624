"""What each event of the engine is for the floor: CloudEvents."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from station import events
from station.alarms import OF_VAULT, PRIORITY, id_of, is_alarm
from station.engine.states import State as CellState
from station.model import LotInfo

Told: TypeAlias = tuple[str, dict[str, Any]]
"""Type of a CloudEvent, and its data."""

EVENTS = frozenset(
    """
    lot.loaded lot.started lot.paused lot.resumed lot.held lot.completed lot.aborted datalog.closed
    command.accepted command.completed alarm.raised alarm.acknowledged alarm.cleared asset.limit
    wafer.started wafer.completed recipe.staged config.applied e10.changed quota.low ledger.head
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
ALARMS: Mapping[str, str] = MappingProxyType(
    {code: code.replace("_", "-") for code in PRIORITY} | {"held": "hold", "site_off": "quarantine"}
)
"""The name of each alarm on the network, by its code at the station."""
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
        case events.Acknowledged():
            yield "alarm.acknowledged", {"alarm": event.alarm, "actor": event.actor}
        case events.LotClosed():
            data = {"lot": event.lot, "outcome": event.outcome, "tested": event.tested, "good": event.good}
            yield "lot.completed", {**data, "accounts": event.accounts}
            yield "datalog.closed", {"lot": event.lot, "sha256": event.stdf_sha256}
        case _:
            yield from _besides(event)
            yield from _alarms(event)


WAFER_ENDED = "wafer ended"
WAFERS = {"wafer loaded": "wafer.started", WAFER_ENDED: "wafer.completed"}
"""What a prober says of wafers, and the event that it is."""


def _besides(event: events.Any) -> Iterator[Told]:
    """What happens between lots, and at the machine."""
    match event:
        case events.MachineTold(machine=machine, what=what, text=text) if what in WAFERS:
            yield WAFERS[what], {"machine": machine, "wafer": text.partition(",")[0]}
        case events.RuleTripped(rule="assets"):
            yield "asset.limit", {"seen": event.seen, "action": event.action}
        case events.QuotaLow(order=order, left=left, quantity=quantity):
            yield "quota.low", {"order": order, "left": left, "quantity": quantity}
        case events.LedgerHead(origin=origin, size=size, root=root):
            yield "ledger.head", {"origin": origin, "size": size, "root": root}
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
            yield "alarm.raised", _alarm("held", event.reason)
        case _, "ABORTED":
            yield "lot.aborted", {"reason": event.reason}
            yield "alarm.raised", _alarm("aborted", event.reason)
        case _:
            pass


def _alarms(event: events.Any) -> Iterator[Told]:
    """What `station.alarms` takes for one, beside states of the lot."""
    match event:
        case events.Faulted():
            yield "alarm.raised", _alarm("fault", event.reason, site=event.site)
        case events.Quarantined():
            yield "alarm.raised", _alarm("site_off", event.reason, resource=event.resource)
        case events.RuleTripped():
            yield "alarm.raised", _alarm("rule", f"{event.rule}: {event.seen}", site=event.site)
        case events.MachineTold() if is_alarm(event):
            yield "alarm.raised", _alarm("machine", str(event), machine=event.machine)
        case events.ContactsCorrected():
            yield "alarm.raised", _alarm("not_kept", event.reason)
        case events.MadeSafe(unverified=unverified) if unverified:
            yield "alarm.raised", _alarm("unsafe", ", ".join(unverified))
        case events.VaultTold(what=what, why=why) if what in OF_VAULT:
            kind = "alarm.cleared" if event.over else "alarm.raised"
            yield kind, _alarm(OF_VAULT[what], why, id=id_of(event), what=what, scope=event.scope)
        case _:
            pass


def _alarm(code: str, reason: str, **where: object) -> dict[str, Any]:
    return {"alarm": ALARMS[code], "priority": PRIORITY[code], "reason": reason, **where}


def _lot(info: LotInfo) -> dict[str, Any]:
    return {
        "lot": info.lot,
        "product": info.product,
        "sequence": info.sequence,
        "fingerprint": info.fingerprint,
        "quantity": info.quantity,
    }
