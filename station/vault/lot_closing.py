"""The end of a lot in the vault: only with a balance of zero, whoever asks for it."""

import sqlite3

from station.custody.ledger import Fact
from station.vault import unit_moves
from station.vault.faults import Code, FaultError
from station.vault.teller import Teller


def close(
    db: sqlite3.Connection, teller: Teller, lot: str, now: float, *, seals: bool = False, **about: str
) -> dict[str, int]:
    """Close a lot and return the count of each account; a closed one stays so. FaultError 101 or 116.

    `seals`: every reject must be in a sealed container.
    `about` says in the ledger who closes it: `src` and `actor`.
    """
    row = db.execute("SELECT state FROM lot WHERE lot = ?", (lot,)).fetchone()
    if row is None:
        raise FaultError(Code.LOT_CLOSED, f"lot {lot} is not known")
    _nothing_in_work(db, lot)
    balance = unit_moves.balance(db, lot)
    accounts = balance.held()
    if row[0] == "open":
        if why := unit_moves.hindrance(db, balance, seals=seals):
            raise FaultError(Code.BALANCE_OPEN, f"lot {lot} stays open: {why}")
        db.execute("UPDATE lot SET state = 'closed' WHERE lot = ?", (lot,))
        told = {"accounts": accounts, "outcome": balance.outcome()}
        teller.tell(db, now, Fact("lot.closed", lot=lot, data=told, **about))
    return accounts


def _nothing_in_work(db: sqlite3.Connection, lot: str) -> None:
    query = "SELECT unit FROM unit WHERE lot = ? AND account = 'WIP' AND intent <> '' ORDER BY unit"
    work = [unit for (unit,) in db.execute(query, (lot,))]
    if work:
        units = ", ".join(work[: unit_moves.NAMED])
        raise FaultError(Code.LOT_CLOSED, f"lot {lot} has {len(work)} units in work: {units}")
