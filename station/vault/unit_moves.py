"""The plant's balance in the vault's journal: units of a lot move from account to account by the rules."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from station.custody.accounts import Accounts, Closing, Held
from station.custody.ledger import Fact
from station.custody.moves import Account, Move
from station.vault.desk.statement import StatementError
from station.vault.die.recovery import Standing
from station.vault.pki import revoked
from station.vault.plant import site_claims

SCHEMA = """
CREATE TABLE IF NOT EXISTS unit_state(
  unit TEXT PRIMARY KEY REFERENCES unit, claimed INTEGER NOT NULL, container TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS move(
  seq INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES unit, event TEXT NOT NULL, source TEXT NOT NULL,
  target TEXT NOT NULL, persons TEXT NOT NULL, evidence TEXT NOT NULL, action_hash TEXT NOT NULL,
  at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS container(
  container TEXT PRIMARY KEY, lot TEXT NOT NULL REFERENCES lot, seal TEXT NOT NULL, person TEXT NOT NULL,
  at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS move_unit ON move(unit);
"""


NAMED = 5
"""Units that a message names at most."""


@dataclass(frozen=True)
class Why:
    """What a move rests on beside the rules."""

    now: float
    action_hash: str = ""
    """The action that persons approved; empty if a station moved it."""


class LotBalance(msgspec.Struct, frozen=True):
    """One lot's balance; `WIP` has also the units that the vault has not seen yet."""

    lot: str
    state: str
    received: int
    accounts: dict[str, int]
    unseen: int
    difference: int
    """`received` less the sum of the accounts: zero."""

    def held(self) -> dict[str, int]:
        """Return the accounts that have units."""
        return {account: count for account, count in self.accounts.items() if count}

    def outcome(self) -> Closing:
        """How the lot is closed: with missing units it is not clean."""
        return Closing.DISCREPANCY if self.accounts[Account.MISSING] else Closing.CLEAN


@dataclass(frozen=True)
class Moved:
    """A move that was made, and what it did to the unit's certificates."""

    source: Account
    target: Account
    certificates: list[Fact]


def moved(db: sqlite3.Connection, move: Move, why: Why) -> Moved:
    """Move a unit, its certificates after it, and keep why; MoveRefusedError changes nothing."""
    lot, held, closed, personalised = _held(db, move.unit)
    if move.event == "unit.shipped":
        seen = {"checked": site_claims.checked(db, move.unit)}
        move = replace(move, evidence={**move.evidence, **seen})
    accounts = Accounts(lot, personalised=personalised, closed=closed)
    accounts.restore(move.unit, held)
    source, was_claimed, was_in = held.account, held.claimed, held.container
    target = accounts.move(move)
    if move.event == "unit.released" and target is Account.SECURED:
        held.claimed = was_claimed  # it never left its bin
    db.execute("UPDATE unit SET account = ?, updated = ? WHERE unit = ?", (target, why.now, move.unit))
    for container in {was_in, held.container}:
        db.execute("DELETE FROM container WHERE container = ?", (container,))  # its seal is broken
    state = (move.unit, held.claimed, held.container)
    db.execute("INSERT OR REPLACE INTO unit_state VALUES (?, ?, ?)", state)
    persons = msgspec.json.encode([[one.name, one.role] for one in move.persons]).decode()
    evidence = msgspec.json.encode(move.evidence, order="sorted").decode()
    row = (move.unit, move.event, source, target, persons, evidence, why.action_hash, why.now)
    db.execute(
        "INSERT INTO move(unit, event, source, target, persons, evidence, action_hash, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    return Moved(source, target, revoked.follow(db, move.unit, target, why.now))


def balance(db: sqlite3.Connection, lot: str) -> LotBalance:
    """Return a lot's balance; StatementError if the lot is not known."""
    row = db.execute("SELECT quantity, state FROM lot WHERE lot = ?", (lot,)).fetchone()
    if row is None:
        raise StatementError("not_found", f"lot {lot} is not known")
    quantity, state = row
    query = "SELECT account, count(*) FROM unit WHERE lot = ? GROUP BY account"
    counts: dict[str, int] = {account.value: 0 for account in Account}
    counts |= dict(db.execute(query, (lot,)).fetchall())
    unseen = max(0, quantity - sum(counts.values()))
    counts[Account.WIP] += unseen
    return LotBalance(lot, state, quantity, counts, unseen, quantity - sum(counts.values()))


def unsealed(db: sqlite3.Connection, lot: str) -> list[str]:
    """The containers that hold rejects of a lot and that nobody has sealed."""
    query = (
        "SELECT DISTINCT unit_state.container FROM unit JOIN unit_state USING(unit)"
        " LEFT JOIN container USING(container)"
        " WHERE unit.lot = ? AND account = 'REJECT_HELD' AND seal IS NULL ORDER BY 1"
    )
    return [container for (container,) in db.execute(query, (lot,))]


def sealed(db: sqlite3.Connection, lot: str, container: str, seal: str, person: str, now: float) -> None:
    """Keep with which seal a container of rejects was closed; StatementError if it has none of the lot."""
    query = "SELECT 1 FROM unit JOIN unit_state USING(unit) WHERE lot = ? AND unit_state.container = ?"
    if db.execute(query, (lot, container)).fetchone() is None:
        raise StatementError("not_found", f"no unit of lot {lot} is in container {container}")
    db.execute("INSERT OR REPLACE INTO container VALUES (?, ?, ?, ?, ?)", (container, lot, seal, person, now))


def hindrance(db: sqlite3.Connection, found: LotBalance, *, seals: bool = False) -> str:
    """Say why a lot cannot be closed; empty if it can. `seals`: rejects must be in sealed containers."""
    if found.difference:
        return f"the balance is not zero but {found.difference}"
    held = [_some(db, found, account) for account in (Account.WIP, Account.QUARANTINE)]
    query = (
        "SELECT count(*) FROM unit LEFT JOIN unit_state USING(unit)"
        " WHERE lot = ? AND account = 'SECURED' AND coalesce(claimed, 0) = 0"
    )
    (unclaimed,) = db.execute(query, (found.lot,)).fetchone()
    if unclaimed:
        held.append(f"{unclaimed} SECURED that no passing bin has claimed")
    if seals and (open_ := unsealed(db, found.lot)):
        held.append(f"rejects in containers that are not sealed: {', '.join(open_[:NAMED])}")
    return "; ".join(filter(None, held))


def _some(db: sqlite3.Connection, found: LotBalance, account: Account) -> str:
    """Say how many units an account has, and which, as far as that fits a line."""
    count = found.accounts[account]
    if not count:
        return ""
    named = [str(one["unit"]) for one in units(db, found.lot, account, NAMED)]
    unseen = [f"{found.unseen} never seen"] if account is Account.WIP and found.unseen else []
    more = ["…"] if count > len(named) + (found.unseen if unseen else 0) else []
    return f"{count} in {account} ({', '.join(named + more + unseen)})"


def lots(db: sqlite3.Connection) -> list[str]:
    """Return all lots, in the order in which they were opened."""
    return [lot for (lot,) in db.execute("SELECT lot FROM lot ORDER BY opened, lot")]


def units(db: sqlite3.Connection, lot: str, account: str, most: int) -> list[dict[str, object]]:
    """Return units of a lot, of one account if it is named."""
    query = (
        "SELECT unit, account, standing, intent, coalesce(hex(uid), ''), (SELECT count(*) FROM site_claim"
        " WHERE site_claim.unit = unit.unit AND state <> 'held') FROM unit WHERE lot = ?"
        " AND (? = '' OR account = ?) ORDER BY unit LIMIT ?"
    )
    names = ("unit", "account", "standing", "intent", "uid", "unchecked")
    return [dict(zip(names, row, strict=True)) for row in db.execute(query, (lot, account, account, most))]


def see(db: sqlite3.Connection, lot: str, unit: str, now: float) -> None:
    """Enter a unit of an open lot that never came as far as the vault; StatementError if it cannot be one."""
    if db.execute("SELECT 1 FROM unit WHERE unit = ?", (unit,)).fetchone() is not None:
        return
    found = balance(db, lot)
    if found.state != "open" or not unit.startswith(f"{lot}/"):
        raise StatementError("not_found", f"unit {unit} is not known, and is none of open lot {lot}")
    if not found.unseen:
        raise StatementError("not_found", f"unit {unit} is not known: all {found.received} of lot {lot} are")
    enter(db, lot, unit, now)


def enter(db: sqlite3.Connection, lot: str, unit: str, now: float) -> None:
    """Enter a unit that never came as far as the vault."""
    place = unit.removeprefix(f"{lot}/")
    row = (unit, lot, place, Standing.ADMITTED.name, Account.WIP, now)
    db.execute("INSERT INTO unit VALUES (?, ?, ?, NULL, ?, '', ?, 0, 0, ?)", row)


def _held(db: sqlite3.Connection, unit: str) -> tuple[str, Held, Closing | None, bool]:
    query = (
        "SELECT lot, account, record.unit IS NOT NULL, coalesce(claimed, 0), coalesce(container, ''),"
        " lot.state, lot.order_id <> '' FROM unit JOIN lot USING(lot) LEFT JOIN record USING(unit)"
        " LEFT JOIN unit_state USING(unit)"
        " WHERE unit.unit = ?"
    )
    row = db.execute(query, (unit,)).fetchone()
    if row is None:
        raise StatementError("not_found", f"unit {unit} is not known")
    lot, account, sealed, claimed, container, state, personalised = row
    held = Held(Account(account), bool(sealed), bool(claimed), container)
    return lot, held, None if state == "open" else Closing.CLEAN, bool(personalised)


def lies(db: sqlite3.Connection, unit: str, container: str, *, claimed: bool) -> None:
    """A station has a unit in a bin; `claimed` if it is one for good devices."""
    db.execute("INSERT OR REPLACE INTO unit_state VALUES (?, ?, ?)", (unit, claimed, container))


def evidence(**given: str) -> Mapping[str, str]:
    """Return the evidence that was given, without what was not."""
    return {name: value for name, value in given.items() if value}
