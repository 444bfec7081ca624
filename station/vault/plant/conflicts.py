"""What follows when the plant's registry has found one thing in two units: quarantine, holds, alarms."""

import sqlite3
from collections.abc import Iterator, Mapping
from hashlib import sha256

from station.custody.accounts import MoveRefusedError
from station.custody.ledger import Fact
from station.custody.moves import Move
from station.vault import rows, unit_moves
from station.vault.faults import Code
from station.vault.plant import site_claims
from station.vault.plant.uniqueness import Alarm, Answer, Claim, Holder, Kind

ALARMS = {
    Code.UID_DUPLICATE: "uid.duplicate",
    Code.SPKI_DUPLICATE: "spki.duplicate",
    Code.REGISTRY_CONFLICT: "registry.conflict",
}


def keys_concerned(answer: Answer) -> bool:
    """Whether two units of the plant have one key, which stops the line."""
    claims = [*(claim for claim, _ in answer.lost), *(alarm.claim for alarm in answer.alarms)]
    return any(claim.kind is Kind.SPKI for claim in claims)


def follow(db: sqlite3.Connection, answer: Answer, now: float) -> Iterator[Fact]:
    """Bring the journal to what the registry answered, and say what is to be told."""
    for claim, holder in answer.lost:
        site_claims.lose(db, claim, holder)
        yield from _found(db, claim, holder, now)
    for alarm in answer.alarms:
        if site_claims.is_new(db, alarm):
            yield from _found(db, alarm.claim, alarm.other, now)


def new(db: sqlite3.Connection, alarms: tuple[Alarm, ...]) -> tuple[Alarm, ...]:
    """Those alarms that have not been followed."""
    known = {number for (number,) in db.execute("SELECT id FROM site_alarm")}
    return tuple(alarm for alarm in alarms if alarm.id not in known)


def _found(db: sqlite3.Connection, claim: Claim, other: Holder, now: float) -> Iterator[Fact]:
    """Quarantine the unit, and its certificates after it; one that has left the plant stays where it is."""
    unit, code = claim.unit, site_claims.CODES[claim.kind]
    told = {"code": code.name, "kind": claim.kind.value, "other": other.unit, "vault": other.vault}
    account = rows.required(db, unit).account
    yield _fact(db, ALARMS[code], unit, {**told, "account": account})
    reason = f"{code.name}: unit {other.unit} of {other.vault}"
    move = Move(unit, "unit.quarantined", evidence={"reason": reason})
    try:
        moved = unit_moves.moved(db, move, unit_moves.Why(now))
    except MoveRefusedError:
        return
    yield _fact(db, "unit.quarantined", unit, {**told, "from": moved.source, "to": moved.target})
    yield from moved.certificates


def _fact(db: sqlite3.Connection, event: str, unit: str, data: Mapping[str, object]) -> Fact:
    lot, order, uid = rows.about(db, unit)
    hashed = sha256(uid).hexdigest() if uid else None
    return Fact(event, data=data, unit=unit, uid_h=hashed, lot=lot, order=order or None)
