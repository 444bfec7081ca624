"""Work orders: how many devices of what may be made until when, counted so that none is made beyond.

`begun` counts units once their certificates are announced (intent `issue`), `sealed` those registered; a unit
that was begun, not sealed, and destroyed gives its begin back, never a sealed one. A refusal counts nothing.
"""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from station.vault.desk.documents import KeyRelease, WorkOrder, as_json
from station.vault.desk.statement import StatementError, opened
from station.vault.faults import Code, Fate, FaultError
from station.vault.names import ORIGIN
from station.vault.products import Products
from station.vault_answers import Quota

SCHEMA = """
CREATE TABLE IF NOT EXISTS work_order(
  id TEXT PRIMARY KEY, statement BLOB NOT NULL, quantity INTEGER NOT NULL, allowance INTEGER NOT NULL,
  not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('open', 'exhausted', 'closed'))) STRICT;
CREATE TABLE IF NOT EXISTS order_use(
  order_id TEXT NOT NULL REFERENCES work_order, vault TEXT NOT NULL, intents INTEGER NOT NULL,
  sealed INTEGER NOT NULL, credited INTEGER NOT NULL, PRIMARY KEY(order_id, vault)) STRICT;
CREATE TABLE IF NOT EXISTS order_unit(
  unit TEXT PRIMARY KEY REFERENCES unit, order_id TEXT NOT NULL REFERENCES work_order,
  state TEXT NOT NULL CHECK(state IN ('begun', 'sealed', 'credited'))) STRICT;
CREATE TABLE IF NOT EXISTS key_release(
  hash TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES work_order, key_set TEXT NOT NULL,
  not_after INTEGER NOT NULL, statement BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS key_release_order ON key_release(order_id);
CREATE INDEX IF NOT EXISTS order_unit_order ON order_unit(order_id, state);
"""
SERVED = """
SELECT unit FROM unit JOIN lot USING(lot) WHERE unit IN (SELECT value FROM json_each(?)) AND lot.order_id = ?
 AND unit NOT IN (SELECT unit FROM order_unit)
"""
"""Units of an order, of those that are asked for, which are not begun."""


@dataclass(frozen=True)
class Place:
    """Which vault this is."""

    vault: str = "vault-1"
    key_set: str = "KS-1"
    """The keys that it works with, as key releases name them."""
    seals: bool = False
    """Whether its lots are closed only with every reject in a sealed container."""
    low_percent: int = 0
    """When so much of an order is left, it is told; 0: never."""
    alone: bool = False
    """Whether an order must say that no other vault makes the same devices: by a slice, or by one name."""
    origin: str = ORIGIN
    """The ledger's first log, as the vault's file names it."""


@dataclass(frozen=True)
class Use:
    """How much of an order is used."""

    begun: int
    sealed: int
    credited: int
    live: int
    """Begun, not sealed, and still to be sealed."""


@dataclass(frozen=True)
class Low:
    """So few devices may still be begun."""

    left: int
    quantity: int


@dataclass(frozen=True)
class Work:
    """What is about to be made, as the station says."""

    lot: str
    product: str
    fingerprint: bytes
    station: str
    now: float


class Orders:
    """The orders of one vault; each method works within the transaction under way."""

    def __init__(self, place: Place, products: Products | None = None) -> None:
        self.place = place
        self.products = Products(production=False) if products is None else products

    # -- what persons bring
    def add(self, db: sqlite3.Connection, envelope: bytes) -> WorkOrder:
        """Keep an order that was verified; StatementError if it can never be worked on here."""
        order = opened(envelope).read(WorkOrder)
        profile = self.products.get(order.product)
        if profile is None:
            raise StatementError("invalid_order", f"order {order.id}: no product is called {order.product}")
        if profile.hash().hex() != order.profile_hash:
            raise StatementError(
                "invalid_order", f"order {order.id}: this is not the profile of {order.product}"
            )
        if not set(order.import_keys) <= set(profile.import_keys):
            raise StatementError("invalid_order", f"order {order.id}: the profile imports no such keys")
        if (size := sum(map(len, order.customer_data))) > profile.customer_bytes:
            why = f"{size} bytes of customer data, the profile allows {profile.customer_bytes}"
            raise StatementError("invalid_order", f"order {order.id}: {why}")
        if order.not_after <= order.not_before:
            raise StatementError("invalid_order", f"order {order.id} ends before it begins")
        if reason := order.not_for(self.place.vault, alone=self.place.alone):
            raise StatementError("invalid_order", f"order {order.id} {reason}")
        if self._row(db, order.id) is not None:
            raise StatementError("wrong_state", f"order {order.id} is there already; an order is added once")
        db.execute(
            "INSERT INTO work_order VALUES (?, ?, ?, ?, ?, ?, 'open')",
            (order.id, envelope, order.quantity, order.allowance, order.not_before, order.not_after),
        )
        db.execute("INSERT INTO order_use VALUES (?, ?, 0, 0, 0)", (order.id, self.place.vault))
        return order

    def release(self, db: sqlite3.Connection, envelope: bytes, digest: str) -> KeyRelease:
        """Keep a key release that was verified; StatementError if it is of no use here."""
        release = opened(envelope).read(KeyRelease)
        if release.key_set != self.place.key_set:
            raise StatementError("not_found", f"{self.place.vault} has key set {self.place.key_set}")
        if self._row(db, release.order) is None:
            raise StatementError("not_found", f"there is no order {release.order}")
        row = (digest, release.order, release.key_set, release.not_after, envelope)
        db.execute("INSERT OR IGNORE INTO key_release VALUES (?, ?, ?, ?, ?)", row)
        return release

    def shown(self, db: sqlite3.Connection, order_id: str) -> list[dict[str, object]]:
        """Return one order, or all, with their use; StatementError if there is no such order."""
        query = "SELECT id FROM work_order WHERE ? IN ('', id) ORDER BY not_before, id"
        found = [str(one) for (one,) in db.execute(query, (order_id,))]
        if order_id and not found:
            raise StatementError("not_found", f"there is no order {order_id}")
        return [self._shown(db, one) for one in found]

    def _shown(self, db: sqlite3.Connection, order_id: str) -> dict[str, object]:
        row, use = self._row(db, order_id), self.use(db, order_id)
        if row is None:
            raise StatementError("not_found", f"there is no order {order_id}")
        order, state = row
        releases = db.execute(
            "SELECT statement FROM key_release WHERE order_id = ? ORDER BY not_after", (order_id,)
        )
        kept = [_release(one) for (one,) in releases]
        return as_json(order) | {
            "state": state,
            "use": {"begun": use.begun, "sealed": use.sealed, "credited": use.credited, "live": use.live},
            "begun_max": order.begun_max,
            "releases": [
                {"key_set": one.key_set, "stations": list(one.stations), "not_after": one.not_after}
                for one in kept
            ],
        }

    def quota(self, db: sqlite3.Connection, order_id: str) -> Quota:
        """Return what is left of an order; StatementError if there is no such order."""
        row, use = self._row(db, order_id), self.use(db, order_id)
        if row is None:
            raise StatementError("not_found", f"there is no order {order_id}")
        order = row[0]
        return Quota(
            order=order.id,
            key_set=self.place.key_set,
            product=order.product,
            quantity=order.quantity,
            begun=use.begun - use.credited,
            begun_max=order.begun_max,
            sealed=use.sealed,
            not_after=order.not_after,
        )

    def close(self, db: sqlite3.Connection, order_id: str) -> None:
        """Admit nothing more under an order; what is begun may be finished. StatementError if none is."""
        if not db.execute("UPDATE work_order SET state = 'closed' WHERE id = ?", (order_id,)).rowcount:
            raise StatementError("not_found", f"there is no order {order_id}")

    # -- what stations ask
    def check(self, db: sqlite3.Connection, order_id: str, work: Work) -> WorkOrder:
        """Return the order under which work may be done now; FaultError 102, 104 to 107 if it may not."""
        order = self.for_lot(db, order_id, work.lot, work.product, work.now)
        if work.fingerprint.hex() not in order.fingerprints:
            raise FaultError(Code.FINGERPRINT_UNKNOWN, f"order {order_id} does not allow this sequence")
        self._released(db, order_id, work)
        return order

    def for_lot(self, db: sqlite3.Connection, order_id: str, lot: str, product: str, now: float) -> WorkOrder:
        """Return the order if a lot may be opened under it now; FaultError 102, 104 or 106 if it may not."""
        row = self._row(db, order_id)
        if row is None:
            raise FaultError(Code.ORDER_INVALID, f"there is no order {order_id or '(none was named)'}")
        order, state = row
        if state == "closed":
            raise FaultError(Code.ORDER_INVALID, f"order {order_id} is closed")
        if order.product != product:
            raise FaultError(Code.PROFILE_MISMATCH, f"order {order_id} is for {order.product}, not {product}")
        profile = self.products.get(product)
        if profile is None or profile.hash().hex() != order.profile_hash:
            raise FaultError(Code.PROFILE_MISMATCH, f"order {order_id} is by another profile of {product}")
        if order.lots != "any" and lot not in order.lots:
            raise FaultError(Code.ORDER_INVALID, f"order {order_id} is not for lot {lot}")
        if not order.not_before <= now <= order.not_after:
            when = "not yet valid" if now < order.not_before else "no longer valid"
            raise FaultError(Code.ORDER_DATES, f"order {order_id} is {when}")
        return order

    def _released(self, db: sqlite3.Connection, order_id: str, work: Work) -> None:
        query = "SELECT statement, not_after FROM key_release WHERE order_id = ? AND key_set = ?"
        found = db.execute(query, (order_id, self.place.key_set)).fetchall()
        valid = [statement for statement, not_after in found if work.now <= not_after]
        if not any(work.station in _release(one).stations for one in valid):
            what = (
                f"key set {self.place.key_set} is not released for order {order_id} at {work.station or '?'}"
            )
            raise FaultError(Code.KEY_NOT_ACTIVE, f"{what}, or no longer")

    def wishes(self, db: sqlite3.Connection, order_id: str) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
        """Slots whose keys an order imports, and what its customer wants in each device; none without it."""
        row = self._row(db, order_id)
        return ((), ()) if row is None else (row[0].import_keys, row[0].customer_data)

    def statement(self, db: sqlite3.Connection, order_id: str) -> bytes:
        """Return the signed statement of an order; FaultError 102 if there is none."""
        found = db.execute("SELECT statement FROM work_order WHERE id = ?", (order_id,)).fetchone()
        if found is None:
            raise FaultError(Code.ORDER_INVALID, f"there is no order {order_id}")
        return bytes(found[0])

    # -- counting
    def admit(self, db: sqlite3.Connection, order: WorkOrder, unit: str, serving: Collection[str]) -> None:
        """Refuse a unit for which no place may be left, those in work counted; FaultError 103."""
        if _state(db, unit) is not None:
            return  # its place is counted already
        self._place_left(db, order, self._in_work(db, order.id, unit, serving))

    def begin(self, db: sqlite3.Connection, order_id: str, unit: str) -> Low | None:
        """Count a unit whose certificates are announced, once; FaultError 103 if no place is left.

        Return what is left, when that has just become little.
        """
        if _state(db, unit) is not None:
            return None
        row = self._row(db, order_id)
        if row is None:
            raise FaultError(Code.INTERNAL, f"order {order_id} has no row")
        self._place_left(db, row[0], 0, Fate.RETRY)
        db.execute("INSERT INTO order_unit VALUES (?, ?, 'begun')", (unit, order_id))
        self._count(db, order_id, "intents")
        return self._low(db, row[0])

    def _low(self, db: sqlite3.Connection, order: WorkOrder) -> Low | None:
        if not (least := order.quantity * self.place.low_percent // 100):
            return None
        use = self.use(db, order.id)
        left = min(order.quantity - use.sealed - use.live, order.begun_max - use.begun + use.credited)
        return Low(left, order.quantity) if left == least else None

    def seal(self, db: sqlite3.Connection, unit: str) -> str:
        """Count a unit that is registered, once; return the order if it was its last, else nothing."""
        order_id = _moved_on(db, unit, "sealed")
        if order_id:
            self._count(db, order_id, "sealed")
        return order_id if order_id and self._exhausted(db, order_id) else ""

    def credit(self, db: sqlite3.Connection, unit: str) -> None:
        """Give the begin of a destroyed unit back, if it was never sealed."""
        if order_id := _moved_on(db, unit, "credited"):
            self._count(db, order_id, "credited")

    def may_go_on(self, db: sqlite3.Connection, unit: str) -> None:
        """Refuse to bring a begun unit back into work if its place was taken meanwhile; StatementError."""
        if _state(db, unit) != "begun":
            return
        (order_id,) = db.execute("SELECT order_id FROM order_unit WHERE unit = ?", (unit,)).fetchone()
        row, use = self._row(db, order_id), self.use(db, order_id)
        if row is not None and use.sealed + use.live >= row[0].quantity:
            raise StatementError("wrong_state", f"order {order_id} has no place left for unit {unit}")

    def use(self, db: sqlite3.Connection, order_id: str) -> Use:
        """Return how much of an order is used here."""
        sums = "SELECT sum(intents), sum(sealed), sum(credited) FROM order_use WHERE order_id = ?"
        begun, sealed, credited = db.execute(sums, (order_id,)).fetchone()
        query = (
            "SELECT count(*) FROM order_unit JOIN unit USING(unit)"
            " WHERE order_id = ? AND state = 'begun' AND account = 'WIP'"
        )
        return Use(begun or 0, sealed or 0, credited or 0, db.execute(query, (order_id,)).fetchone()[0])

    def _place_left(
        self, db: sqlite3.Connection, order: WorkOrder, in_work: int, fate: Fate | None = None
    ) -> None:
        use = self.use(db, order.id)
        if use.sealed + use.live + in_work >= order.quantity:
            what = f"{use.sealed} sealed, {use.live + in_work} in work, of {order.quantity}"
            raise FaultError(Code.ORDER_EXHAUSTED, f"order {order.id}: {what}", fate)
        if use.begun - use.credited + in_work >= order.begun_max:
            what = f"{use.begun} begun, {use.credited} given back, {in_work} in work, of {order.begun_max}"
            raise FaultError(Code.ORDER_EXHAUSTED, f"order {order.id}: {what}", fate)

    def _in_work(self, db: sqlite3.Connection, order_id: str, unit: str, serving: Collection[str]) -> int:
        """Count the other units that are on their way to being begun."""
        query = (
            "SELECT unit FROM unit JOIN lot USING(lot) WHERE lot.order_id = ? AND account = 'WIP'"
            " AND intent <> '' AND unit NOT IN (SELECT unit FROM order_unit)"
        )
        found = {name for (name,) in db.execute(query, (order_id,))}
        if unseen := set(serving) - found - {unit}:
            asked = (msgspec.json.encode(sorted(unseen)).decode(), order_id)
            found |= {name for (name,) in db.execute(SERVED, asked)}
        return len(found - {unit})

    def _count(self, db: sqlite3.Connection, order_id: str, column: str) -> None:
        db.execute(
            f"UPDATE order_use SET {column} = {column} + 1 WHERE order_id = ? AND vault = ?",  # noqa: S608
            (order_id, self.place.vault),
        )

    def _exhausted(self, db: sqlite3.Connection, order_id: str) -> bool:
        row = self._row(db, order_id)
        query = "SELECT sum(sealed) FROM order_use WHERE order_id = ?"
        if row is None or db.execute(query, (order_id,)).fetchone()[0] < row[0].quantity:
            return False
        changed = "UPDATE work_order SET state = 'exhausted' WHERE id = ? AND state = 'open'"
        return bool(db.execute(changed, (order_id,)).rowcount)

    def _row(self, db: sqlite3.Connection, order_id: str) -> tuple[WorkOrder, str] | None:
        """An order as it counts here, and its state."""
        found = db.execute("SELECT statement, state FROM work_order WHERE id = ?", (order_id,)).fetchone()
        return None if found is None else (_order(found[0], self.place.vault), found[1])


@lru_cache(maxsize=64)
def _order(statement: bytes, vault: str) -> WorkOrder:
    """What a statement orders of a vault; the same bytes say the same, and every die asks."""
    return opened(statement).read(WorkOrder).at(vault)


@lru_cache(maxsize=256)
def _release(statement: bytes) -> KeyRelease:
    return opened(statement).read(KeyRelease)


def _state(db: sqlite3.Connection, unit: str) -> str | None:
    row = db.execute("SELECT state FROM order_unit WHERE unit = ?", (unit,)).fetchone()
    return None if row is None else str(row[0])


def _moved_on(db: sqlite3.Connection, unit: str, state: str) -> str:
    """Bring a begun unit into another state and return its order; nothing if it is not begun."""
    query = "UPDATE order_unit SET state = ? WHERE unit = ? AND state = 'begun' RETURNING order_id"
    found = db.execute(query, (state, unit)).fetchall()
    return str(found[0][0]) if found else ""
