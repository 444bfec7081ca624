"""The yearly rotation of the ledger: one log ends and the next begins, in one transaction, by two persons."""

import sqlite3
from typing import Annotated

import msgspec
from msgspec import Meta

from station.custody import leaf_table, rotation
from station.custody.checkpoint import checked_origin
from station.custody.ledger import Fact
from station.errors import LedgerError
from station.vault.desk.roles import Action
from station.vault.desk.service import Acting, Handler
from station.vault.desk.statement import StatementError
from station.vault.teller import Teller


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class LogRotation:
    """The handler of `log.rotate`; the action's target is the name of the log that begins."""

    def __init__(self, teller: Teller, origin: str, mode: str) -> None:
        """`origin` is the vault's first log, as its file names it."""
        self._teller, self._origin, self._mode = teller, origin, mode

    def handlers(self) -> dict[Action, Handler]:
        """Return the handler."""
        return {Action.ROTATE_LOG: self._rotate}

    def _rotate(self, db: sqlite3.Connection, acting: Acting) -> object:
        reason, new = acting.parameters(Reason).reason, acting.request.target
        persons = [one.person for one in acting.persons]
        log = leaf_table.logs(db, self._origin)[-1]
        if log.base and leaf_table.begun_ms(db, log) > acting.request.issued_at * 1000:
            # what two persons approve is the end of the log that they know
            raise StatementError("wrong_state", f"{log.origin} was begun after this was asked for")
        said = {"reason": reason, "persons": persons}
        ending = Fact(rotation.ROTATED, "desk", said, actor=acting.request.person)
        opening = Fact(rotation.OPENED, data={"mode": self._mode})
        try:
            final = self._teller.rotate(db, acting.now, (ending, opening), log.origin, checked_origin(new))
        except LedgerError as error:
            raise StatementError("wrong_state", str(error)) from None
        return {"ended": rotation.told(final), "begun": new}
