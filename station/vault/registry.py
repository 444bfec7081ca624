"""What the vault knows of lots, units, keys and certificates: each method is one durable change."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

import structlog

from station.custody import leaf_table
from station.custody.ledger import Fact
from station.vault import lot_closing, notices, rows
from station.vault.asked import Admission, Admitted, Step
from station.vault.claims import Claims, GapError
from station.vault.desk.documents import digest_of
from station.vault.desk.orders import Orders, Work
from station.vault.desk.roles import Action
from station.vault.desk.service import signers
from station.vault.die.dossier import Certificate, Dossier, PublicKey, Record, Screened, Unit
from station.vault.faults import Code, Fate, FaultError
from station.vault.journal import Journal
from station.vault.pki import revoked
from station.vault.plant import site_claims
from station.vault.plant.checks import Checks, Embedded
from station.vault.returns import Returns
from station.vault.sorted_dies import Birthplace, SortedDies
from station.vault.sorted_units import SortedUnits
from station.vault.stops import Stops
from station.vault.teller import Teller
from station.vault.unusual import Unusual
from station.vault.vigilance import Stop
from station.vault.wire import floor_pb2 as wire
from station.vault_answers import Quota

T = TypeVar("T")
log = structlog.get_logger()
EMBEDDED = Embedded()
NOTHING: Mapping[str, object] = {}
ALARMS = {
    Code.UID_DUPLICATE: "uid.duplicate",
    Code.SPKI_DUPLICATE: "spki.duplicate",
    Code.R_MAC: "rmac.wrong",
    Code.CARD_CRYPTOGRAM: "cryptogram.wrong",
}
"""Faults that are told as alarms of their own."""


class Registry:
    """The tables of the journal, by what they are for."""

    def __init__(
        self,
        journal: Journal,
        teller: Teller,
        orders: Orders,
        checks: Checks = EMBEDDED,
        sorted_dies: SortedDies | None = None,
        unusual: Unusual | None = None,
    ) -> None:
        self._journal, self._teller, self._orders, self._checks = journal, teller, orders, checks
        self.sorted_dies = sorted_dies or SortedDies(journal, teller, Birthplace(), known_only=False)
        self.returns = Returns(journal, teller)
        self._unusual = unusual or Unusual()
        self._serving: set[str] = set()
        """Units that have been admitted and not left, for the orders' count."""
        self._admitted: dict[str, int] = {}
        """How many units each lot has at most, so that they are not counted for each."""
        self.claiming = asyncio.Lock()
        """Held by who awaits something between a die's word and its claim, so that none is overtaken."""

    async def open_lot(self, lot: str, product: str, order: str, quantity: int, now: float) -> Quota | None:
        """Open a lot and return what is left of its order; the same again is no change, another is refused.

        A lot without an order is only sorted: nothing is personalised in it.
        """

        def act(db: sqlite3.Connection) -> Quota | None:
            if order:
                self._orders.for_lot(db, order, lot, product, now)
            row = db.execute("SELECT product, quantity, state FROM lot WHERE lot = ?", (lot,)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO lot VALUES (?, ?, ?, ?, 'open', ?)", (lot, product, order, quantity, now)
                )
                told = {"product": product, "quantity": quantity}
                self._teller.tell(db, now, Fact("lot.opened", lot=lot, order=order or None, data=told))
            elif row != (product, quantity, "open"):
                raise FaultError(Code.LOT_CLOSED, f"lot {lot} is {row[2]} with {row[1]} devices of {row[0]}")
            return self._orders.quota(db, order) if order else None

        return await self._journal.commit(act)

    async def release_keys(self, statement: bytes, station: str, now: float) -> str:
        """Keep a key release that two officers signed, and return its order; StatementError."""

        def act(db: sqlite3.Connection) -> str:
            persons = signers(db, Action.RELEASE_KEYS, statement)
            digest = digest_of(statement)
            known = db.execute("SELECT 1 FROM key_release WHERE hash = ?", (digest,)).fetchone()
            release = self._orders.release(db, statement, digest)
            if known is None:
                data = {
                    "statement": digest,
                    "stations": list(release.stations),
                    "not_after": release.not_after,
                    "signed_by": [one.person for one in persons],
                    "carried_by": station,
                }
                fact = Fact("key.released", "desk", data, order=release.order, key=release.key_set)
                self._teller.tell(db, now, fact)
            return release.order

        return await self._journal.commit(act)

    async def order_statement(self, order: str) -> bytes:
        """An order as persons signed it."""
        return await self._journal.commit(lambda db: self._orders.statement(db, order))

    async def close_lot(self, lot: str, now: float) -> dict[str, int]:
        """Close a lot whose balance is zero, and return the count of each account; FaultError 101 or 116."""
        return await self._journal.commit(
            lambda db: lot_closing.close(db, self._teller, lot, now, seals=self._orders.place.seals)
        )

    async def admit(self, ask: Admission) -> Admitted:
        """Admit a unit to a session, or refuse with a code 1xx."""

        def act(db: sqlite3.Connection) -> Admitted:
            product, order = rows.lot_of(db, ask)
            known = rows.unit_of(db, ask.unit)
            if ask.purpose.makes:
                self._checks.admit(db, ask.unit)
                work = Work(ask.lot, product, ask.fingerprint, ask.station, ask.now)
                self._orders.admit(
                    db, self._orders.check(db, order, work), ask.unit, frozenset(self._serving)
                )
            if known is None and (ask.purpose.makes or ask.purpose.sorts):
                rows.admit_new(db, ask, self._admitted)
                self._tell(db, ask.now, "die.admitted", ask.unit)
            else:
                rows.refuse(ask, known)
                rows.came_again(db, ask)
                if ask.purpose.makes:
                    self._tell(db, ask.now, "die.resumed", ask.unit)
            self._alarm(db, ask.now, self._unusual.came(ask.station, ask.now))
            self._serving.add(ask.unit)
            dossier = rows.dossier_of(db, rows.required(db, ask.unit))
            return Admitted(product, order, dossier, *self._orders.wishes(db, order))

        return await self._journal.commit(act)

    def left(self, unit: str) -> None:
        """A unit's session is over."""
        self._serving.discard(unit)

    async def dossier(self, unit: str) -> Dossier | None:
        """All that is kept of a unit; None if it was never admitted."""

        def act(db: sqlite3.Connection) -> Dossier | None:
            known = rows.unit_of(db, unit)
            return None if known is None else rows.dossier_of(db, known)

        return await self._journal.commit(act)

    async def unit(self, unit: str) -> Unit | None:
        """What is known of a unit; None if it was never admitted."""
        return await self._journal.commit(lambda db: rows.unit_of(db, unit))

    def screened(self, step: Step, born: Screened) -> Awaitable[bytes]:
        """Bind the UID, keep what was born for the die, and return its IDENTITY object.

        Nothing is returned if the UID is another unit's; then that unit is quarantined.
        """

        def act(db: sqlite3.Connection) -> bytes:
            self.sorted_dies.check(db, step.unit, born.uid)
            other = db.execute(
                "SELECT unit FROM unit WHERE uid = ? AND unit <> ?", (born.uid, step.unit)
            ).fetchone()
            if other is not None:
                self._moved(db, other[0], Fate.QUARANTINE, step.now)
                data = {"code": Code.UID_DUPLICATE.name, "other": step.unit}
                self._tell(db, step.now, "unit.quarantined", other[0], data)
                return b""
            rows.drawn(db, step.unit, born.challenge)
            db.execute("UPDATE unit SET uid = ? WHERE unit = ?", (born.uid, step.unit))
            db.execute("INSERT OR IGNORE INTO identity VALUES (?, ?)", (step.unit, born.identity))
            db.execute("INSERT OR IGNORE INTO rma VALUES (?, ?, ?)", (step.unit, born.rma_box, born.rma_hash))
            self._checks.write(db, step.unit, step.now, [site_claims.of_uid(step.unit, born.uid)])
            rows.forward(db, step)
            return rows.identity_of(db, step.unit)

        return self._answered(step.unit, self._journal.commit(act))

    async def keys_ready(self, step: Step, keys: Sequence[PublicKey]) -> None:
        """Claim the public keys for the unit; FaultError if another one has them."""

        def act(db: sqlite3.Connection) -> None:
            rows.keep_keys(db, step.unit, keys)
            claims = (site_claims.of_key(step.unit, key.spki_hash) for key in keys)
            self._checks.write(db, step.unit, step.now, claims)
            rows.forward(db, step)

        await self._answered(step.unit, self._journal.commit(act))

    async def proven(self, step: Step, reserved: Iterable[Certificate]) -> tuple[Certificate, ...]:
        """Count the unit against its order, reserve its certificates and return them; reserved ones stay."""

        def act(db: sqlite3.Connection) -> tuple[Certificate, ...]:
            order = rows.about(db, step.unit)[1]
            if low := self._orders.begin(db, order, step.unit):
                left = {"left": low.left, "quantity": low.quantity}
                self._teller.tell(db, step.now, Fact("quota.low", order=order, data=left))
            rows.reserve(db, step.unit, reserved)
            places = rows.certificates_of(db, step.unit)
            claims = site_claims.of_certificates(step.unit, rows.identity_of(db, step.unit), places)
            self._checks.write(db, step.unit, step.now, claims)
            rows.forward(db, step)
            return places

        return await self._answered(step.unit, self._journal.commit(act))

    async def _answered(self, unit: str, committed: Awaitable[T]) -> T:
        """What was committed, once the registry of the plant has checked it, or does not answer."""
        done = await committed
        await self._checks.answered(unit)
        return done

    async def checked(self, unit: str) -> str:
        """Who has checked that all of a unit is unique: `local`, or `site`, the whole plant."""
        return await self._checks.checked(unit)

    async def issued(self, step: Step, certificates: Iterable[tuple[Certificate, bytes]]) -> None:
        """Keep the signed certificates, each with its SHA-256; one that is kept stays as it is."""

        def act(db: sqlite3.Connection) -> None:
            new = {
                str(cert.slot): digest.hex() for cert, digest in certificates if rows.kept(db, cert, digest)
            }
            if new:
                self._tell(db, step.now, "die.issued", step.unit, {"certificates": new})
                self._alarm(db, step.now, self._unusual.issued(step.now))
            rows.forward(db, step)

        await self._journal.commit(act)

    async def certificates(self, unit: str) -> tuple[Certificate, ...]:
        """The unit's certificates and reserved places, by slot."""
        return await self._journal.commit(lambda db: rows.certificates_of(db, unit))

    def forward(self, step: Step) -> Awaitable[None]:
        """Take a step that needs no table but the unit's; it is on its way before anyone waits for it."""
        return self._journal.commit(lambda db: rows.forward(db, step))

    async def register(self, step: Step, record: Record) -> int:
        """Keep the record, move the unit to SECURED, and return the row of the leaf that tells so.

        A unit that is sealed keeps the record and the leaf that it has.
        """

        def act(db: sqlite3.Connection) -> int:
            row = db.execute("SELECT leaf FROM record WHERE unit = ?", (step.unit,)).fetchone()
            if row is not None:
                return int(row[0])
            rows.forward(db, step)
            rows.moved(db, step.unit, rows.SECURED)
            data = {"record": record.hash.hex(), "serial": record.serial}
            leaf = self._tell(db, step.now, "die.sealed", step.unit, data)
            values = (step.unit, record.serial, record.body, record.hash, record.jws, leaf)
            db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", values)
            if last_of := self._orders.seal(db, step.unit):
                of = {"quantity": self._orders.quota(db, last_of).quantity}
                self._teller.tell(db, step.now, Fact("order.exhausted", order=last_of, data=of))
            return leaf

        return await self._journal.commit(act)

    async def record_of(self, unit: str) -> Record | None:
        """The record of a sealed unit."""
        query = "SELECT serial, body, hash, jws, leaf FROM record WHERE unit = ?"
        row = await self._journal.commit(lambda db: db.execute(query, (unit,)).fetchone())
        return None if row is None else Record(*row)

    async def verified(self, unit: str, now: float) -> None:
        """Tell that a sealed unit proved to be what was sealed."""
        await self._journal.commit(lambda db: self._tell(db, now, "die.verified", unit))

    async def terminated(self, unit: str, now: float) -> None:
        """Tell that a die has ended for good; where the unit is does not change."""
        await self._journal.commit(lambda db: self._tell(db, now, "die.terminated", unit))

    async def failed(self, step: Step, code: Code, fate: Fate) -> None:
        """Note a failure; a fate that is final moves the unit to its account."""

        def act(db: sqlite3.Connection) -> None:
            rows.note(db, step, code.name.lower(), "failed", {"fate": fate.name})
            if code in ALARMS and site_claims.disputed(db, step.unit) is not code:
                self._tell(db, step.now, ALARMS[code], step.unit)
            if fate in (Fate.REJECT_HELD, Fate.QUARANTINE):
                self._moved(db, step.unit, fate, step.now)
                told = {"code": code.name, "fate": fate.name}
                self._tell(db, step.now, "die.spoiled", step.unit, told)

        await self._journal.commit(act)

    async def claimed(self, claims: Claims) -> tuple[int, int]:
        """Take a station's claims of a lot; return the next number and the last leaf.

        Claims that came before are passed over; GapError, which the ledger is told, if some before the first
        never came.
        """

        def act(db: sqlite3.Connection) -> tuple[int, int]:
            key = (claims.station, claims.lot)
            row = db.execute("SELECT next, leaf FROM claim WHERE station = ? AND lot = ?", key).fetchone()
            following, leaf = row or (0, -1)
            if claims.first > following:
                raise GapError(claims, following)
            units = SortedUnits(db, claims.lot)
            news = list(zip(claims.claims, claims.facts(), strict=True))[following - claims.first :]
            for claim, (fact, now) in news:
                for one in (fact, *units.take(claim)):
                    leaf = self._teller.tell(db, now, one)
            following = max(following, claims.first + len(claims.claims))
            db.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?)", (*key, following, leaf))
            return following, leaf

        try:
            return await self._journal.commit(act)
        except GapError as gap:
            await self.told(gap.fact, claims.claims[0].at)
            raise

    async def began(self, opening: Fact, start: Fact, now: float) -> None:
        """Tell that the vault started; before it what the ledger is, or that the configuration is another."""

        def act(db: sqlite3.Connection) -> None:
            if leaf_table.head(db).edge.size == 0:
                self._teller.tell(db, now, opening)
            elif (changed := self._teller.reconfigured(db)) is not None:
                self._teller.tell(db, now, changed)
            self._teller.tell(db, now, start)

        await self._journal.commit(act)

    async def stop_line(self, stops: Stops, stop: Stop, now: float) -> None:
        """Make a stop durable, and tell of it."""

        def act(db: sqlite3.Connection) -> None:
            stops.keep(db, stop, now)
            where = {"station": stop.station, "site": stop.site} if stop.site else {}
            data = {"code": stop.code.name, "why": stop.reason} | where
            self._teller.tell(db, now, Fact("line.stopped", data=data))

        await self._journal.commit(act)

    async def notices(
        self, start: int, end: int, concerns: notices.Concerns, base: int = 0
    ) -> list[wire.Notice]:
        """What a station is to know of the leaves in rows `start` to before `end`, of the log at `base`."""
        return await self._journal.commit(lambda db: notices.between(db, start, end, concerns, base))

    async def told(self, fact: Fact, now: float) -> None:
        """Tell what is no change of a unit."""
        await self._journal.commit(lambda db: self._teller.tell(db, now, fact))

    def _moved(self, db: sqlite3.Connection, unit: str, fate: Fate, now: float) -> None:
        """Move a unit to an account, and its certificates after it."""
        rows.moved(db, unit, fate.name)
        for fact in revoked.follow(db, unit, fate.name, now):
            self._teller.tell(db, now, fact)

    def _alarm(self, db: sqlite3.Connection, now: float, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._teller.tell(db, now, fact)
            log.warning("unusual", **fact.data)

    def _tell(
        self,
        db: sqlite3.Connection,
        now: float,
        event: str,
        unit: str,
        data: Mapping[str, object] = NOTHING,
    ) -> int:
        """Tell of a unit; return the leaf's row."""
        lot, order, uid = rows.about(db, unit)
        hashed = sha256(uid).hexdigest() if uid else None
        fact = Fact(event, data=data, unit=unit, uid_h=hashed, lot=lot, order=order or None)
        return self._teller.tell(db, now, fact)
