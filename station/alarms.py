"""What asks for an action of the operator: raised by events, acknowledged by persons, kept as history."""

from collections import deque
from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from station import events
from station.engine.states import State

Priority: TypeAlias = Literal["high", "medium", "low"]

HISTORY = 200
"""So many are kept; of the old ones those that are over and acknowledged go first."""
PRIORITY: Mapping[str, Priority] = MappingProxyType(
    {
        "held": "high",
        "aborted": "high",
        "unsafe": "high",
        "not_kept": "high",
        "site_off": "medium",
        "rule": "medium",
        "machine": "medium",
        "fault": "low",
        "vault_stopped": "high",
        "vault_twin": "high",
        "vault_ledger": "high",
        "vault_clock": "medium",
        "vault_config": "medium",
        "vault_rate": "medium",
        "vault_spool": "medium",
        "vault_away": "medium",
        "vault_channel": "low",
        "vault_quota": "low",
    }
)
"""The priority of each alarm, by its code."""
OF_MACHINE = frozenset(
    {events.BROKEN, "alarm", "vacuum lost", "started by hand"}
    | {"jammed", "part dropped", "output full", "door opened"}
)
"""What a machine may say after which a person is to look."""
OF_VAULT: Mapping[str, str] = MappingProxyType(
    {
        "line.stopped": "vault_stopped",
        "line.released": "vault_stopped",
        "uid.duplicate": "vault_twin",
        "spki.duplicate": "vault_twin",
        "registry.conflict": "vault_twin",
        "log.gap": "vault_ledger",
        "clock.offset": "vault_clock",
        "config.changed": "vault_config",
        "rate.unusual": "vault_rate",
        "spool.high": "vault_spool",
        "spool.full": "vault_spool",
        "vault.away": "vault_away",
        "rmac.wrong": "vault_channel",
        "cryptogram.wrong": "vault_channel",
    }
)
"""The alarm that each word of a vault is."""
LASTING = frozenset({"vault_stopped", "vault_clock", "vault_away"})
"""Alarms of a vault that last, lot after lot, until it says that they are over; the others are once seen."""
WHILE = {"held": {State.HELD.value}, "aborted": {State.ABORTING.value, State.ABORTED.value}}
"""Alarms that are over when the cell leaves a state."""


class Alarm(Struct, frozen=True):
    """Something that asks for an action of the operator; the page has its words by `code`."""

    id: str
    """Lot and line of the journal, or the vault's entry: the same from the journal as live."""
    code: str
    priority: Priority
    at: float
    reason: str
    site: int = 0
    active: bool = True
    acknowledged: str = ""
    """By whom; empty while nobody has."""
    acknowledged_at: float = 0.0
    shelved_until: float = 0.0
    """It is to be quiet until then; seconds since 1970."""


def is_alarm(told: events.MachineTold) -> bool:
    """Whether a person is to look at a machine that has said so."""
    return told.what in OF_MACHINE


def id_of(told: events.VaultTold | events.QuotaLow) -> str:
    """Return the id of the alarm that a word of the vault is."""
    return f"vault/{told.leaf}/{told.at * 1000:.0f}"


class Alarms:
    """All alarms of the lots that went by, the newest last."""

    def __init__(self) -> None:
        self._all: dict[str, Alarm] = {}
        self._lot = ""
        self._of_vault = set[str]()
        """Words of the vault that were taken in: they come again with each reading of a station's journal."""
        self.latest = 0.0
        """When the latest event was that was taken in."""
        self.changed = False
        """Set with each change; whoever tells of them clears it."""
        self.ended: deque[Alarm] = deque(maxlen=HISTORY)
        """Those that are over; whoever tells of them takes them out."""

    @property
    def all(self) -> tuple[Alarm, ...]:
        """By the time at which they came."""
        return tuple(self._all.values())

    def begin(self, lot: str, at: float = inf) -> None:
        """Another lot, or the same from its journal again: what was active is over.

        Of the vault only what does not last, and came before the lot did.
        """
        for alarm in self.all:
            if alarm.code not in LASTING and not (alarm.code.startswith("vault_") and alarm.at >= at):
                self._set(msgspec.structs.replace(alarm, active=False))
        self._lot = lot

    def take(self, line: int, event: events.Any) -> None:
        """Take an event in."""
        self.latest = max(self.latest, event.at)
        match event:
            case events.StateChanged():
                self._state(line, event)
            case events.Faulted(site=site, reason=reason):
                self._raise(line, "fault", event.at, reason, site)
            case events.Quarantined(resource=resource, reason=reason):
                site = int(resource.removeprefix("site ")) if resource.startswith("site ") else 0
                self._raise(line, "site_off", event.at, f"{resource}: {reason}", site)
            case events.RuleTripped(rule=rule, seen=seen):
                self._raise(line, "rule", event.at, f"{rule}: {seen}", event.site)
            case events.MachineTold() if is_alarm(event):
                self._raise(line, "machine", event.at, str(event))
            case events.ContactsCorrected(reason=reason):
                self._raise(line, "not_kept", event.at, reason)
            case events.MadeSafe(unverified=unverified):
                self._safe(line, event.at, unverified)
            case _:
                self._answer(event)

    def _answer(self, event: events.Any) -> None:
        """What persons do about alarms, machines that work again, and what the vault says by itself."""
        match event:
            case events.Acknowledged():
                self._seen(event)
            case events.Shelved():
                self._shelve(event)
            case events.Cleared(resource=resource):
                self._over("site_off", f"{resource}: ")
            case events.MachineTold(machine=machine, what=events.WORKS_AGAIN):
                self._over("machine", f"{machine}: {events.BROKEN}")
            case events.VaultTold() | events.QuotaLow():
                self._vault(event)
            case _:
                pass

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def _seen(self, event: events.Acknowledged) -> None:
        alarm = self._all.get(event.alarm)
        if alarm is not None and not alarm.acknowledged:
            lasts = alarm.active and (not alarm.code.startswith("vault_") or alarm.code in LASTING)
            seen = {"acknowledged": event.actor, "acknowledged_at": event.at}
            self._set(msgspec.structs.replace(alarm, active=lasts, **seen))

    def _shelve(self, event: events.Shelved) -> None:
        if (alarm := self._all.get(event.alarm)) is not None:
            self._set(msgspec.structs.replace(alarm, shelved_until=event.until))

    def _state(self, line: int, event: events.StateChanged) -> None:
        for code, states in WHILE.items():
            if event.new not in states:
                self._over(code)
        if event.new == State.HELD.value:
            self._raise(line, "held", event.at, event.reason)
        if event.new == State.ABORTED.value:
            self._raise(line, "aborted", event.at, event.reason)

    def _safe(self, line: int, at: float, unverified: tuple[str, ...]) -> None:
        self._over("unsafe")
        if unverified:
            self._raise(line, "unsafe", at, ", ".join(unverified))

    def _vault(self, told: events.VaultTold | events.QuotaLow) -> None:
        name = id_of(told)
        if name in self._of_vault:
            return
        self._of_vault.add(name)
        if isinstance(told, events.QuotaLow):
            left = f"{told.order}: {told.left} of {told.quantity} left"
            self._named(name, "vault_quota", told.at, left)
        elif told.what in OF_VAULT and told.over:
            self._over(OF_VAULT[told.what])
        elif told.what in OF_VAULT:
            self._named(name, OF_VAULT[told.what], told.at, f"{told.scope}: {told.why}")

    def _raise(self, line: int, code: str, at: float, reason: str, site: int = 0) -> None:
        self._named(f"{self._lot}/{line}", code, at, reason, site)

    def _named(self, name: str, code: str, at: float, reason: str, site: int = 0) -> None:
        before = self._all.pop(name, None)
        alarm = Alarm(id=name, code=code, priority=PRIORITY[code], at=at, reason=reason, site=site)
        if before is not None:
            alarm = msgspec.structs.replace(
                alarm,
                acknowledged=before.acknowledged,
                acknowledged_at=before.acknowledged_at,
                shelved_until=before.shelved_until,
            )
        self._set(alarm)
        self._forget()

    def _over(self, code: str, about: str = "") -> None:
        """What is over; `about` is what the reasons of some of them begin with."""
        for alarm in self.all:
            if alarm.code == code and alarm.active and alarm.reason.startswith(about):
                self._set(msgspec.structs.replace(alarm, active=False))

    def _set(self, alarm: Alarm) -> None:
        before = self._all.get(alarm.id)
        if before == alarm:
            return
        if before is not None and before.active and not alarm.active:
            self.ended.append(alarm)
        self._all[alarm.id] = alarm
        self.changed = True

    def _forget(self) -> None:
        while len(self._all) > HISTORY:
            over = (name for name, one in self._all.items() if one.acknowledged and not one.active)
            del self._all[next(over, next(iter(self._all)))]
