"""What the vault knows of lots, units, keys and certificates: each method is one durable change."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from station.vault import revoked
from station.vault.dossier import Certificate, Dossier, PublicKey, Record, Screened, Unit
from station.vault.faults import Code, Fate, FaultError
from station.vault.journal import Journal
from station.vault.recovery import Intent, Standing

WIP, SECURED = "WIP", "SECURED"


class Purpose(Enum):
    """Why a unit is brought."""

    PERSONALISE = 1
    RESUME = 2
    VERIFY = 3


@dataclass(frozen=True)
class Admission:
    """Who asks for admission of what."""

    unit: str
    lot: str
    purpose: Purpose
    session: bytes
    now: float


@dataclass(frozen=True)
class Step:
    """A unit's step forward: where it stands now, and what is announced next."""

    unit: str
    session: bytes
    now: float
    standing: Standing
    intent: Intent
    proofs: Mapping[str, str] | None = None
    """Hashes and nonces for the device record; kept with the step."""


@dataclass(frozen=True)
class Admitted:
    """A unit that may be served, under what its lot says."""

    product: str
    order: str
    dossier: Dossier


class Registry:
    """The tables of the journal, by what they are for."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.claiming = asyncio.Lock()
        """Held by who awaits something between a die's word and its claim, so that none is overtaken."""

    async def open_lot(self, lot: str, product: str, order: str, quantity: int, now: float) -> None:
        """Open a lot; the same lot again is no change, another quantity or product is refused."""

        def act(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT product, quantity, state FROM lot WHERE lot = ?", (lot,)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO lot VALUES (?, ?, ?, ?, 'open', ?)", (lot, product, order, quantity, now)
                )
            elif row != (product, quantity, "open"):
                raise FaultError(Code.LOT_CLOSED, f"lot {lot} is {row[2]} with {row[1]} devices of {row[0]}")

        await self._journal.commit(act)

    async def close_lot(self, lot: str) -> dict[str, int]:
        """Close a lot unless a unit of it is in work, and return the count of each account."""

        def act(db: sqlite3.Connection) -> dict[str, int]:
            if db.execute("SELECT 1 FROM lot WHERE lot = ?", (lot,)).fetchone() is None:
                raise FaultError(Code.LOT_CLOSED, f"lot {lot} is not known")
            work = db.execute(
                "SELECT unit FROM unit WHERE lot = ? AND account = ? AND intent <> '' ORDER BY unit",
                (lot, WIP),
            ).fetchall()
            if work:
                units = ", ".join(unit for (unit,) in work[:5])
                raise FaultError(Code.LOT_CLOSED, f"lot {lot} has {len(work)} units in work: {units}")
            db.execute("UPDATE lot SET state = 'closed' WHERE lot = ?", (lot,))
            query = "SELECT account, count(*) FROM unit WHERE lot = ? GROUP BY account"
            return dict(db.execute(query, (lot,)).fetchall())

        return await self._journal.commit(act)

    async def admit(self, ask: Admission) -> Admitted:
        """Admit a unit to a session, or refuse with a code 1xx."""

        def act(db: sqlite3.Connection) -> Admitted:
            product, order = _lot(db, ask)
            known = _unit(db, ask.unit)
            if known is None and ask.purpose is not Purpose.VERIFY:
                _admit_new(db, ask)
            else:
                _refuse(ask, known)
                db.execute(
                    "UPDATE unit SET contacts = contacts + 1, sessions = sessions + 1, updated = ?"
                    " WHERE unit = ?",
                    (ask.now, ask.unit),
                )
            return Admitted(product, order, _dossier(db, _required(db, ask.unit)))

        return await self._journal.commit(act)

    async def dossier(self, unit: str) -> Dossier | None:
        """All that is kept of a unit; None if it was never admitted."""

        def act(db: sqlite3.Connection) -> Dossier | None:
            known = _unit(db, unit)
            return None if known is None else _dossier(db, known)

        return await self._journal.commit(act)

    async def unit(self, unit: str) -> Unit | None:
        """What is known of a unit; None if it was never admitted."""
        return await self._journal.commit(lambda db: _unit(db, unit))

    def screened(self, step: Step, born: Screened) -> Awaitable[bytes]:
        """Bind the UID, keep what was born for the die, and return its IDENTITY object.

        Nothing is returned if the UID is another unit's; then that unit is quarantined.
        """

        def act(db: sqlite3.Connection) -> bytes:
            other = db.execute(
                "SELECT unit FROM unit WHERE uid = ? AND unit <> ?", (born.uid, step.unit)
            ).fetchone()
            if other is not None:
                _moved(db, other[0], Fate.QUARANTINE, step.now)
                return b""
            db.execute("UPDATE unit SET uid = ? WHERE unit = ?", (born.uid, step.unit))
            db.execute("INSERT OR IGNORE INTO identity VALUES (?, ?)", (step.unit, born.identity))
            db.execute("INSERT OR IGNORE INTO rma VALUES (?, ?, ?)", (step.unit, born.rma_box, born.rma_hash))
            _forward(db, step)
            return _identity(db, step.unit)

        return self._journal.commit(act)

    async def keys_ready(self, step: Step, keys: Iterable[PublicKey]) -> None:
        """Claim the public keys for the unit; FaultError if another one has them."""

        def act(db: sqlite3.Connection) -> None:
            for key in keys:
                row = db.execute(
                    "SELECT unit FROM public_key WHERE spki_hash = ?", (key.spki_hash,)
                ).fetchone()
                if row is not None and row[0] != step.unit:
                    raise FaultError(
                        Code.SPKI_DUPLICATE, f"unit {row[0]} has the same key in slot {key.slot}"
                    )
                db.execute("DELETE FROM public_key WHERE unit = ? AND slot = ?", (step.unit, key.slot))
                row_values = (key.spki_hash, step.unit, key.slot, key.algorithm)
                db.execute("INSERT INTO public_key VALUES (?, ?, ?, ?)", row_values)
            _forward(db, step)

        await self._journal.commit(act)

    async def proven(self, step: Step, reserved: Iterable[Certificate]) -> tuple[Certificate, ...]:
        """Reserve the certificates of proven keys and return the unit's; a reserved place stays as it is."""

        def act(db: sqlite3.Connection) -> tuple[Certificate, ...]:
            for cert in reserved:
                db.execute(
                    "INSERT OR IGNORE INTO cert VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, 'reserved')",
                    (cert.issuer, cert.serial, step.unit, cert.slot, cert.spki_hash, cert.not_before),
                )
            _forward(db, step)
            return _certificates(db, step.unit)

        return await self._journal.commit(act)

    async def issued(self, step: Step, certificates: Iterable[tuple[Certificate, bytes]]) -> None:
        """Keep the signed certificates, each with its SHA-256; one that is kept stays as it is."""

        def act(db: sqlite3.Connection) -> None:
            for cert, digest in certificates:
                db.execute(
                    "UPDATE cert SET der = ?, der_hash = ?, state = 'issued'"
                    " WHERE issuer = ? AND serial = ? AND der IS NULL",
                    (cert.der, digest, cert.issuer, cert.serial),
                )
            _forward(db, step)

        await self._journal.commit(act)

    async def certificates(self, unit: str) -> tuple[Certificate, ...]:
        """The unit's certificates and reserved places, by slot."""
        return await self._journal.commit(lambda db: _certificates(db, unit))

    def forward(self, step: Step) -> Awaitable[None]:
        """Take a step that needs no table but the unit's; it is on its way before anyone waits for it."""
        return self._journal.commit(lambda db: _forward(db, step))

    async def register(self, step: Step, record: Record) -> None:
        """Keep the record and move the unit to SECURED; the same record's unit again is no change."""

        def act(db: sqlite3.Connection) -> None:
            row = (step.unit, record.serial, record.body, record.hash, record.jws)
            db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?) ON CONFLICT(unit) DO NOTHING", row)
            _forward(db, step)
            db.execute("UPDATE unit SET account = ?, intent = '' WHERE unit = ?", (SECURED, step.unit))

        await self._journal.commit(act)

    async def record_of(self, unit: str) -> Record | None:
        """The record of a sealed unit."""
        query = "SELECT serial, body, hash, jws FROM record WHERE unit = ?"
        row = await self._journal.commit(lambda db: db.execute(query, (unit,)).fetchone())
        return None if row is None else Record(*row)

    async def failed(self, step: Step, code: Code, fate: Fate) -> None:
        """Note a failure; a fate that is final moves the unit to its account."""

        def act(db: sqlite3.Connection) -> None:
            _note(db, step, code.name.lower(), "failed", {"fate": fate.name})
            if fate in (Fate.REJECT_HELD, Fate.QUARANTINE):
                _moved(db, step.unit, fate, step.now)

        await self._journal.commit(act)


def _moved(db: sqlite3.Connection, unit: str, fate: Fate, now: float) -> None:
    """Move a unit to an account, and its certificates after it."""
    db.execute("UPDATE unit SET account = ? WHERE unit = ?", (fate.name, unit))
    revoked.follow(db, unit, fate.name, now)


def _lot(db: sqlite3.Connection, ask: Admission) -> tuple[str, str]:
    """Product and order of a lot, which must be open; to verify a device it may be closed."""
    row = db.execute("SELECT product, order_id, state FROM lot WHERE lot = ?", (ask.lot,)).fetchone()
    if row is None or (row[2] != "open" and ask.purpose is not Purpose.VERIFY):
        raise FaultError(Code.LOT_CLOSED, f"lot {ask.lot} is not open")
    return row[0], row[1]


def _admit_new(db: sqlite3.Connection, ask: Admission) -> None:
    (quantity,) = db.execute("SELECT quantity FROM lot WHERE lot = ?", (ask.lot,)).fetchone()
    (count,) = db.execute("SELECT count(*) FROM unit WHERE lot = ?", (ask.lot,)).fetchone()
    if count >= quantity:
        raise FaultError(Code.ORDER_EXHAUSTED, f"lot {ask.lot} has {quantity} devices and all are admitted")
    place = ask.unit.partition("/")[2]
    row = (ask.unit, ask.lot, place, Standing.ADMITTED.name, WIP, ask.now)
    db.execute("INSERT INTO unit VALUES (?, ?, ?, NULL, ?, '', ?, 1, 1, ?)", row)
    step = Step(ask.unit, ask.session, ask.now, Standing.ADMITTED, Intent.NONE)
    _note(db, step, Standing.ADMITTED.name.lower(), "done", {})


def _refuse(ask: Admission, known: Unit | None) -> None:
    if known is None or (ask.purpose is Purpose.VERIFY and known.standing is not Standing.REGISTERED):
        raise FaultError(Code.UNIT_SPOILED, f"unit {ask.unit} is not sealed, so there is nothing to verify")
    if ask.purpose is Purpose.VERIFY:
        return
    if known.standing is Standing.REGISTERED:
        raise FaultError(Code.UNIT_SEALED, f"unit {known.unit} is sealed")
    if known.account != WIP:
        raise FaultError(Code.UNIT_SPOILED, f"unit {known.unit} is in account {known.account}")
    if known.intent is not Intent.NONE and ask.purpose is not Purpose.RESUME:
        raise FaultError(
            Code.UNIT_SPOILED, f"unit {known.unit} is in work, it goes on only by purpose RESUME"
        )


def _forward(db: sqlite3.Connection, step: Step) -> None:
    known = _required(db, step.unit)
    if known.account != WIP:
        raise FaultError(Code.UID_DUPLICATE, "meanwhile another unit showed this UID; both are quarantined")
    _note(db, step, step.standing.name.lower(), "done", dict(step.proofs or {}))
    if step.intent is not known.intent:
        _note(db, step, step.intent.value, "intent", {})
    db.execute(
        "UPDATE unit SET standing = ?, intent = ?, updated = ? WHERE unit = ?",
        (step.standing.name, step.intent.value, step.now, step.unit),
    )


def _note(db: sqlite3.Connection, step: Step, name: str, phase: str, detail: Mapping[str, str]) -> None:
    db.execute(
        "INSERT INTO step(unit, name, phase, session, t, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (step.unit, name, phase, step.session, step.now, msgspec.json.encode(detail).decode()),
    )


def _unit(db: sqlite3.Connection, unit: str) -> Unit | None:
    query = "SELECT unit, coalesce(uid, x''), standing, intent, account, sessions FROM unit WHERE unit = ?"
    row = db.execute(query, (unit,)).fetchone()
    if row is None:
        return None
    name, uid, standing, intent, account, sessions = row
    return Unit(name, uid, Standing[standing], Intent(intent), account, sessions)


def _required(db: sqlite3.Connection, unit: str) -> Unit:
    found = _unit(db, unit)
    if found is None:
        raise FaultError(Code.INTERNAL, f"unit {unit} has no row")
    return found


def _dossier(db: sqlite3.Connection, unit: Unit) -> Dossier:
    if unit.intent is Intent.NONE and unit.standing is Standing.ADMITTED:
        return Dossier(unit)
    keys = db.execute("SELECT spki_hash FROM public_key WHERE unit = ?", (unit.unit,))
    return Dossier(
        unit,
        _identity(db, unit.unit),
        frozenset(digest for (digest,) in keys),
        _certificates(db, unit.unit),
        _proofs(db, unit.unit),
    )


def _identity(db: sqlite3.Connection, unit: str) -> bytes:
    row = db.execute("SELECT object FROM identity WHERE unit = ?", (unit,)).fetchone()
    return b"" if row is None else bytes(row[0])


def _certificates(db: sqlite3.Connection, unit: str) -> tuple[Certificate, ...]:
    query = (
        "SELECT issuer, serial, slot, spki_hash, not_before, coalesce(der, x'') FROM cert"
        " WHERE unit = ? ORDER BY slot"
    )
    return tuple(Certificate(*row) for row in db.execute(query, (unit,)))


def _proofs(db: sqlite3.Connection, unit: str) -> dict[str, str]:
    query = "SELECT detail FROM step WHERE unit = ? AND phase = 'done' ORDER BY seq"
    found: dict[str, str] = {}
    for (detail,) in db.execute(query, (unit,)):
        found |= msgspec.json.decode(detail, type=dict[str, str])
    return found
