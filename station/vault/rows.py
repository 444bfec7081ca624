"""Rows of the journal: what a change reads and writes within its transaction."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from station.vault.asked import Admission, Purpose, Step
from station.vault.die.dossier import Certificate, Dossier, PublicKey, Unit
from station.vault.die.recovery import Intent, Standing
from station.vault.faults import Code, FaultError
from station.vault.plant import site_claims

WIP, SECURED = "WIP", "SECURED"
NOTE = "INSERT INTO step(unit, name, phase, session, t, detail) VALUES (?, ?, ?, ?, ?, ?)"
ONE_MORE = ", (?, ?, ?, ?, ?, ?)"
ENDED = frozenset({"REJECT_HELD", "QUARANTINE"})
"""Where units are that may be terminated."""


def lot_of(db: sqlite3.Connection, ask: Admission) -> tuple[str, str]:
    """Product and order of a lot, which must be open; to verify or end a device it may be closed."""
    row = db.execute("SELECT product, order_id, state FROM lot WHERE lot = ?", (ask.lot,)).fetchone()
    if row is None or (row[2] != "open" and (ask.purpose.makes or ask.purpose.sorts)):
        raise FaultError(Code.LOT_CLOSED, f"lot {ask.lot} is not open")
    return row[0], row[1]


def admit_new(db: sqlite3.Connection, ask: Admission, admitted: dict[str, int]) -> None:
    """Admit a unit that was never seen; FaultError if its lot has all its devices.

    `admitted` remembers how many units a lot has at most: a change that was undone is counted too.
    """
    (quantity,) = db.execute("SELECT quantity FROM lot WHERE lot = ?", (ask.lot,)).fetchone()
    if admitted.get(ask.lot, quantity) >= quantity:
        (admitted[ask.lot],) = db.execute("SELECT count(*) FROM unit WHERE lot = ?", (ask.lot,)).fetchone()
    if admitted[ask.lot] >= quantity:
        raise FaultError(Code.ORDER_EXHAUSTED, f"lot {ask.lot} has {quantity} devices and all are admitted")
    admitted[ask.lot] += 1
    place = ask.unit.partition("/")[2]
    row = (ask.unit, ask.lot, place, Standing.ADMITTED.name, WIP, ask.now)
    db.execute("INSERT INTO unit VALUES (?, ?, ?, NULL, ?, '', ?, 1, 1, ?)", row)
    step = Step(ask.unit, ask.session, ask.now, Standing.ADMITTED, Intent.NONE)
    note(db, step, Standing.ADMITTED.name.lower(), "done", {})


def came_again(db: sqlite3.Connection, ask: Admission) -> None:
    """Count one more contact of a unit that is known."""
    query = "UPDATE unit SET contacts = contacts + 1, sessions = sessions + 1, updated = ? WHERE unit = ?"
    db.execute(query, (ask.now, ask.unit))


def moved(db: sqlite3.Connection, unit: str, account: str) -> None:
    """Move a unit to an account."""
    db.execute("UPDATE unit SET account = ? WHERE unit = ?", (account, unit))


def about(db: sqlite3.Connection, unit: str) -> tuple[str, str, bytes]:
    """Lot, order and UID of a unit; no UID yet is empty."""
    query = (
        "SELECT lot.lot, lot.order_id, coalesce(unit.uid, x'') FROM unit JOIN lot ON lot.lot = unit.lot"
        " WHERE unit.unit = ?"
    )
    lot, order, uid = db.execute(query, (unit,)).fetchone()
    return lot, order, uid


def drawn(db: sqlite3.Connection, unit: str, challenge: bytes) -> None:
    """Keep what a die drew; FaultError if another one drew the same, so that no generator can be believed."""
    db.execute("INSERT OR IGNORE INTO challenge VALUES (?, ?)", (challenge, unit))
    (owner,) = db.execute("SELECT unit FROM challenge WHERE value = ?", (challenge,)).fetchone()
    if owner != unit:
        raise FaultError(Code.TRNG_STATISTICS, f"unit {owner} drew the same challenge")


def keep_keys(db: sqlite3.Connection, unit: str, keys: Sequence[PublicKey]) -> None:
    """Give a unit these keys and no others; FaultError if another one has one of them."""
    db.execute("DELETE FROM public_key WHERE unit = ?", (unit,))
    held = [(key.spki_hash, unit, key.slot, key.algorithm) for key in keys]
    try:
        db.executemany("INSERT INTO public_key VALUES (?, ?, ?, ?)", held)
    except sqlite3.IntegrityError as error:
        raise _duplicate(db, unit, keys) from error


def _duplicate(db: sqlite3.Connection, unit: str, keys: Sequence[PublicKey]) -> FaultError:
    for key in keys:
        query = "SELECT unit FROM public_key WHERE spki_hash = ? AND unit <> ?"
        for (other,) in db.execute(query, (key.spki_hash, unit)):
            return FaultError(Code.SPKI_DUPLICATE, f"unit {other} has the same key in slot {key.slot}")
    return FaultError(Code.SPKI_DUPLICATE, f"unit {unit} has one key in two slots")


def reserve(db: sqlite3.Connection, unit: str, places: Iterable[Certificate]) -> None:
    """Reserve places of certificates; those that are there stay."""
    db.executemany(
        "INSERT OR IGNORE INTO cert VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, 'reserved')",
        [(one.issuer, one.serial, unit, one.slot, one.spki_hash, one.not_before) for one in places],
    )


def kept(db: sqlite3.Connection, cert: Certificate, digest: bytes) -> bool:
    """Keep a signed certificate with its SHA-256; False if it was kept before, and stays as it is."""
    query = (
        "UPDATE cert SET der = ?, der_hash = ?, state = 'issued' WHERE issuer = ? AND serial = ?"
        " AND der IS NULL"
    )
    return db.execute(query, (cert.der, digest, cert.issuer, cert.serial)).rowcount == 1


def refuse(ask: Admission, known: Unit | None) -> None:
    """Raise FaultError if a known unit may not be served for this purpose."""
    if ask.purpose is Purpose.TERMINATE:
        if known is None or known.account not in ENDED:
            raise FaultError(Code.UNIT_SPOILED, f"unit {ask.unit} is no reject, so it is not terminated")
        return
    if ask.purpose is Purpose.RMA_OPEN:
        if known is None:
            raise FaultError(Code.UNIT_SPOILED, f"unit {ask.unit} was never here, so it does not come back")
        return  # `Returns` looks at it
    if ask.purpose.sorts and known is not None:
        _refuse_in_test(known)
        return
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


def _refuse_in_test(known: Unit) -> None:
    """A die in test has nothing of a personalisation yet."""
    if known.standing is Standing.REGISTERED:
        raise FaultError(Code.UNIT_SEALED, f"unit {known.unit} is sealed")
    if known.account != WIP or known.intent not in (Intent.NONE, Intent.LOAD):
        at = known.intent.value or known.account
        raise FaultError(Code.UNIT_SPOILED, f"unit {known.unit} is past its test: {at}")


def forward(db: sqlite3.Connection, step: Step) -> None:
    """Take a step: what is done, what is announced next."""
    known = required(db, step.unit)
    if known.account != WIP:
        code = site_claims.disputed(db, step.unit) or Code.UID_DUPLICATE
        raise FaultError(code, "meanwhile another unit showed what this one has; both are quarantined")
    notes = [_noted(step, passed.name.lower(), "done", {}) for passed in step.passed]
    notes.append(_noted(step, step.standing.name.lower(), "done", step.proofs or {}))
    if step.intent is not Intent.NONE and step.intent is not known.intent:
        notes.append(_noted(step, step.intent.value, "intent", {}))
    db.execute(NOTE + ONE_MORE * (len(notes) - 1), tuple(chain.from_iterable(notes)))
    db.execute(
        "UPDATE unit SET standing = ?, intent = ?, updated = ? WHERE unit = ?",
        (step.standing.name, step.intent.value, step.now, step.unit),
    )


def note(db: sqlite3.Connection, step: Step, name: str, phase: str, detail: Mapping[str, str]) -> None:
    """Write down a step of a unit."""
    db.execute(NOTE, _noted(step, name, phase, detail))


def _noted(step: Step, name: str, phase: str, detail: Mapping[str, str]) -> tuple[object, ...]:
    told = msgspec.json.encode(dict(detail)).decode()
    return step.unit, name, phase, step.session, step.now, told


def unit_of(db: sqlite3.Connection, unit: str) -> Unit | None:
    """The unit's row; None if it was never admitted."""
    query = "SELECT unit, coalesce(uid, x''), standing, intent, account, contacts FROM unit WHERE unit = ?"
    row = db.execute(query, (unit,)).fetchone()
    if row is None:
        return None
    name, uid, standing, intent, account, contacts = row
    return Unit(name, uid, Standing[standing], Intent(intent), account, contacts)


def required(db: sqlite3.Connection, unit: str) -> Unit:
    """The row of a unit that must be there."""
    found = unit_of(db, unit)
    if found is None:
        raise FaultError(Code.INTERNAL, f"unit {unit} has no row")
    return found


def dossier_of(db: sqlite3.Connection, unit: Unit) -> Dossier:
    """All that is kept of a unit."""
    if unit.intent is Intent.NONE and unit.standing is Standing.ADMITTED:
        return Dossier(unit)
    keys = db.execute("SELECT spki_hash FROM public_key WHERE unit = ?", (unit.unit,))
    return Dossier(
        unit,
        identity_of(db, unit.unit),
        frozenset(digest for (digest,) in keys),
        certificates_of(db, unit.unit),
        proofs_of(db, unit.unit),
    )


def identity_of(db: sqlite3.Connection, unit: str) -> bytes:
    """Its IDENTITY object; empty if there is none."""
    row = db.execute("SELECT object FROM identity WHERE unit = ?", (unit,)).fetchone()
    return b"" if row is None else bytes(row[0])


def certificates_of(db: sqlite3.Connection, unit: str) -> tuple[Certificate, ...]:
    """Its certificates and reserved places, by slot."""
    query = (
        "SELECT issuer, serial, slot, spki_hash, not_before, coalesce(der, x'') FROM cert"
        " WHERE unit = ? ORDER BY slot"
    )
    return tuple(Certificate(*row) for row in db.execute(query, (unit,)))


def proofs_of(db: sqlite3.Connection, unit: str) -> dict[str, str]:
    """What its steps have proven, the last word of each."""
    query = "SELECT detail FROM step WHERE unit = ? AND phase = 'done' ORDER BY seq"
    found: dict[str, str] = {}
    for (detail,) in db.execute(query, (unit,)):
        found |= msgspec.json.decode(detail, type=dict[str, str])
    return found
