"""What a station claims of bins moves units in the vault's balance, as far as the vault can believe it."""

import sqlite3

from station.custody.ledger import Fact
from station.custody.moves import Account, Move
from station.vault import unit_moves
from station.vault.claims import Claim
from station.vault.die.recovery import Intent, Standing
from station.vault.unit_moves import Why


class SortedUnits:
    """Takes the claims of one lot, within the transaction under way."""

    def __init__(self, db: sqlite3.Connection, lot: str) -> None:
        self._db, self._lot = db, lot
        row = db.execute("SELECT quantity, state, order_id FROM lot WHERE lot = ?", (lot,)).fetchone()
        (known,) = db.execute("SELECT count(*) FROM unit WHERE lot = ?", (lot,)).fetchone()
        quantity, state, order = row or (0, "", "")
        self._only_sorted = not order
        self._open, self._unseen = state == "open", quantity - known

    def take(self, claim: Claim) -> list[Fact]:
        """Move a unit to where its bin says that it is; return what was done, for the ledger."""
        if not self._open or claim.event != "unit.binned":
            return []
        row = self._row(claim)
        if row is None:
            return []
        account, standing, intent = Account(row[0]), Standing[row[1]], Intent(row[2])
        binned = claim.binned()
        if self._only_sorted and binned.passing and intent is Intent.NONE and account is Account.WIP:
            kept = unit_moves.evidence(bin=str(binned.bin))
            return self._moved(claim, Move(claim.unit, "unit.binned", evidence=kept))
        container = f"{self._lot}/bin-{binned.bin}"
        if _lies_right(account, passing=binned.passing):
            unit_moves.lies(self._db, claim.unit, container, claimed=binned.passing)
            return []
        move = _move(claim, account, standing, container)
        return [] if move is None else self._moved(claim, move)

    def _row(self, claim: Claim) -> tuple[str, str, str] | None:
        query = "SELECT account, standing, intent FROM unit WHERE unit = ? AND lot = ?"
        row: tuple[str, str, str] | None = self._db.execute(query, (claim.unit, self._lot)).fetchone()
        if row is None and self._unseen > 0 and claim.unit.startswith(f"{self._lot}/"):
            self._unseen -= 1
            unit_moves.enter(self._db, self._lot, claim.unit, claim.at)
            return Account.WIP, Standing.ADMITTED.name, Intent.NONE.value
        return row

    def _moved(self, claim: Claim, move: Move) -> list[Fact]:
        done = unit_moves.moved(self._db, move, Why(claim.at))
        data = {"from": done.source, "to": done.target, **move.evidence}
        return [Fact(move.event, data=data, unit=claim.unit, lot=self._lot), *done.certificates]


def _lies_right(account: Account, *, passing: bool) -> bool:
    """Whether a unit may lie in its bin; one in quarantine may be in any, which counts at its release."""
    return account is Account.QUARANTINE or account is (Account.SECURED if passing else Account.REJECT_HELD)


def _move(claim: Claim, account: Account, standing: Standing, container: str) -> Move | None:
    """What a bin means for a unit; None if it stays where it is."""
    binned = claim.binned()
    where = f"bin {binned.bin}"
    match account:
        case Account.WIP if not binned.passing and standing.value < Standing.ISSUED.value:
            kept = unit_moves.evidence(bin=str(binned.bin), container=container)
            return Move(claim.unit, "unit.rejected", evidence=kept)
        case Account.WIP | Account.REJECT_HELD if binned.passing:
            reason = f"in passing {where}, but not sealed"
        case Account.WIP:
            reason = f"in {where} with certificates, but not sealed"
        case Account.SECURED:
            reason = f"sealed, but in {where}, which is none for good devices"
        case _:
            return None
    kept = unit_moves.evidence(reason=reason, container=container)
    return Move(claim.unit, "unit.quarantined", evidence=kept)
