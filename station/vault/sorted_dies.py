"""The dies that wafer sort has loaded, here or elsewhere: UIDs come from this table, and only they go on."""

import re
import sqlite3
from dataclasses import dataclass
from hashlib import sha256

from drivers.protocols.se1_objects import Uid
from station.custody.ledger import Fact
from station.vault import rows
from station.vault.asked import Step
from station.vault.faults import Code, FaultError
from station.vault.journal import Journal
from station.vault.teller import Teller

LOT = re.compile(r"[A-Za-z-]*([0-9]{1,10})\Z")
"""A lot's name as far as UIDs are concerned: letters, then its number."""
PLACE = re.compile(r"([0-9]{1,3})/(-?[0-9]{1,5})/(-?[0-9]{1,5})\Z")
"""Wafer, x and y."""
LOT_MAX, WAFER_MAX = (1 << 32) - 1, 255
COORDINATE = range(-(1 << 15), 1 << 15)


@dataclass(frozen=True)
class Birthplace:
    """What is the same in all UIDs that a plant gives to dies of one maker."""

    creator: int = 0x0A01
    plant_code: int = 7

    def uid(self, unit: str, product: int) -> bytes:
        """The UID of a unit on a wafer, `L1017/7/-1/246`; FaultError 101 if its name tells no such place."""
        lot, _, place = unit.partition("/")
        named, at = LOT.match(lot), PLACE.match(place)
        if named is None or at is None or not _fit(int(named[1]), [int(one) for one in at.groups()]):
            what = "a lot's number, and wafer/x/y"
            raise FaultError(Code.LOT_CLOSED, f"unit {unit} gives no UID: its name tells not {what}")
        wafer, x, y = (int(one) for one in at.groups())
        return Uid(self.creator, product, self.plant_code, int(named[1]), wafer, x, y).encode()


def _fit(lot: int, place: list[int]) -> bool:
    wafer, x, y = place
    return lot <= LOT_MAX and wafer <= WAFER_MAX and x in COORDINATE and y in COORDINATE


class SortedDies:
    """The table of sorted dies; each method is one durable change."""

    def __init__(self, journal: Journal, teller: Teller, birthplace: Birthplace, *, known_only: bool) -> None:
        """`known_only`: whether dies that nobody has told of are refused, as production always does."""
        self._journal, self._teller, self._birthplace = journal, teller, birthplace
        self._known_only = known_only

    async def assigned(self, step: Step, product: int) -> bytes:
        """Announce the load of a unit and return the UID that its die gets, the same one each time."""
        uid = self._birthplace.uid(step.unit, product)

        def act(db: sqlite3.Connection) -> bytes:
            row = db.execute("SELECT unit FROM sorted_die WHERE uid = ?", (uid,)).fetchone()
            if row is not None and row[0] != step.unit:
                other = row[0] or "a die that was sorted elsewhere"
                raise FaultError(Code.UID_DUPLICATE, f"the UID of its place is that of {other}")
            db.execute(
                "INSERT OR IGNORE INTO sorted_die VALUES (?, ?, 'assigned', '', ?)",
                (uid, step.unit, step.now),
            )
            rows.forward(db, step)
            return uid

        return await self._journal.commit(act)

    async def loaded(self, step: Step) -> None:
        """Tell that a unit's die has its UID and its transport keys; again, nothing is told."""

        def act(db: sqlite3.Connection) -> None:
            query = (
                "UPDATE sorted_die SET state = 'loaded' WHERE unit = ? AND state = 'assigned' RETURNING uid"
            )
            found = db.execute(query, (step.unit,)).fetchall()
            rows.forward(db, step)
            for (uid,) in found:
                self._tell(db, step, "die.loaded", uid, {})

        await self._journal.commit(act)

    async def opening(self, step: Step, uid: bytes) -> None:
        """Announce that a die's test port is to be opened; FaultError 201 if nobody has told of the die."""

        def act(db: sqlite3.Connection) -> None:
            self.check(db, step.unit, uid)
            rows.forward(db, step)

        await self._journal.commit(act)

    async def opened(self, step: Step, uid: bytes, token: str) -> None:
        """Tell that a die's test port is open, by which token."""

        def act(db: sqlite3.Connection) -> None:
            rows.forward(db, step)
            said = {"uid_h": sha256(uid).hexdigest()} if uid else {}  # in the clear: it proves nothing
            self._tell(db, step, "die.opened", b"", {"token": token, **said})

        await self._journal.commit(act)

    async def state(self, unit: str) -> str:
        """How far the load of a unit has come: `assigned`, `loaded`, or nothing."""
        query = "SELECT state FROM sorted_die WHERE unit = ?"
        row = await self._journal.commit(lambda db: db.execute(query, (unit,)).fetchone())
        return "" if row is None else str(row[0])

    def check(self, db: sqlite3.Connection, unit: str, uid: bytes) -> None:
        """Refuse a die that was not sorted, or, on a wafer, one of another place; FaultError 201.

        A die without a UID, a virgin one, has nothing to check.
        """
        row = db.execute("SELECT unit, state FROM sorted_die WHERE uid = ?", (uid,)).fetchone()
        if not uid or (row is None and not self._known_only):
            return
        if row is None or row[1] == "assigned":
            raise FaultError(Code.UID_MISMATCH, "the die is none of those that wafer sort has loaded")
        if row[0] and row[0] != unit and PLACE.match(unit.partition("/")[2]):
            raise FaultError(Code.UID_MISMATCH, f"the die is the one of {row[0]}")

    def _tell(
        self, db: sqlite3.Connection, step: Step, event: str, uid: bytes, data: dict[str, object]
    ) -> None:
        lot, order, _ = rows.about(db, step.unit)
        hashed = sha256(uid).hexdigest() if uid else None
        fact = Fact(event, data=data, unit=step.unit, uid_h=hashed, lot=lot, order=order or None)
        self._teller.tell(db, step.now, fact)


def listed(db: sqlite3.Connection, uids: tuple[bytes, ...], source: str, now: float) -> int:
    """Enter dies that were sorted elsewhere; return how many were not known before."""
    query = "INSERT OR IGNORE INTO sorted_die VALUES (?, NULL, 'listed', ?, ?)"
    return sum(db.execute(query, (uid, source, now)).rowcount for uid in uids)
