"""Units that came back from customers: which may be opened, by which token, and that they were."""

import sqlite3
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from station.custody.ledger import Fact
from station.custody.moves import Account
from station.vault import rows
from station.vault.asked import Step
from station.vault.desk.statement import StatementError
from station.vault.die.recovery import Intent, Standing
from station.vault.faults import Code, FaultError
from station.vault.journal import Journal
from station.vault.teller import Teller


@dataclass(frozen=True)
class Permit:
    """What two officers have brought for one unit."""

    sealed: bytes
    """The token, sealed to this vault's key store."""
    token_hash: bytes
    """What the die compares with."""


class Returns:
    """Opening returned units; each method is one durable change."""

    def __init__(self, journal: Journal, teller: Teller) -> None:
        self._journal, self._teller = journal, teller

    async def permit(self, unit: str) -> Permit:
        """What allows a unit to be opened; FaultError 114 if nothing does."""

        def act(db: sqlite3.Connection) -> Permit:
            query = "SELECT sealed, token_hash FROM rma_permit JOIN rma USING(unit) WHERE unit = ?"
            row = db.execute(query, (unit,)).fetchone()
            if row is None or _why_not(db, unit):
                why = _why_not(db, unit) or "two officers have not brought its token"
                raise FaultError(Code.UNIT_SPOILED, f"unit {unit} is not to be opened: {why}")
            return Permit(*row)

        return await self._journal.commit(act)

    async def opening(self, step: Step) -> None:
        """Announce that the token is presented."""
        await self._journal.commit(lambda db: _set(db, step))

    async def opened(self, step: Step) -> None:
        """Tell that the die has wiped its keys and is open; its token is of no use any more."""

        def act(db: sqlite3.Connection) -> None:
            _set(db, step)
            db.execute("DELETE FROM rma_permit WHERE unit = ?", (step.unit,))
            lot, order, uid = rows.about(db, step.unit)
            hashed = sha256(uid).hexdigest()
            told = Fact(
                "die.opened",
                data={"token": "rma"},
                unit=step.unit,
                uid_h=hashed,
                lot=lot,
                order=order or None,
            )
            self._teller.tell(db, step.now, told)

        await self._journal.commit(act)


def allow(db: sqlite3.Connection, unit: str, sealed: bytes, persons: list[str], now: float) -> None:
    """Keep the token of a unit that two officers brought; StatementError if it is not to be opened."""
    if why := _why_not(db, unit):
        raise StatementError("wrong_state", f"unit {unit} is not to be opened: {why}")
    row = (unit, sealed, msgspec.json.encode(persons).decode(), now)
    db.execute("INSERT OR REPLACE INTO rma_permit VALUES (?, ?, ?, ?)", row)


def box_of(db: sqlite3.Connection, unit: str) -> tuple[bytes, bytes]:
    """UID and sealed RMA token of a unit; StatementError if there is none."""
    query = "SELECT uid, box FROM unit JOIN rma USING(unit) WHERE unit = ? AND uid IS NOT NULL"
    row = db.execute(query, (unit,)).fetchone()
    if row is None:
        raise StatementError("not_found", f"unit {unit} has no RMA token")
    return bytes(row[0]), bytes(row[1])


def _why_not(db: sqlite3.Connection, unit: str) -> str:
    known = rows.unit_of(db, unit)
    query = "SELECT event FROM move WHERE unit = ? ORDER BY seq DESC LIMIT 1"
    last = db.execute(query, (unit,)).fetchone()
    if known is None or known.standing is not Standing.REGISTERED:
        return "it is not sealed"
    if known.account != Account.QUARANTINE or last != ("unit.rma",):
        return "it is none that came back (unit.rma)"
    return ""


def _set(db: sqlite3.Connection, step: Step) -> None:
    phase = "intent" if step.intent is not Intent.NONE else "done"
    rows.note(db, step, step.intent.value or step.standing.name.lower(), phase, {})
    query = "UPDATE unit SET standing = ?, intent = ?, updated = ? WHERE unit = ?"
    db.execute(query, (step.standing.name, step.intent.value, step.now, step.unit))
