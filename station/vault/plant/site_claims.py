"""What a vault has claimed, or is to claim, in the registry of its plant: tables of the journal.

A claim is written in the transaction of the step that it belongs to, and waits until the plant's registry has
answered: the table is the outbox, and tells of each unit whether the whole plant has checked it.
"""

import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256

from drivers.protocols import se1_objects
from station.custody.ledger import Fact
from station.vault.die.dossier import Certificate
from station.vault.faults import Code
from station.vault.plant.uniqueness import Alarm, Claim, Holder, Kind

SCHEMA = """
CREATE TABLE IF NOT EXISTS site_claim(
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, value BLOB NOT NULL, unit TEXT NOT NULL REFERENCES unit,
  state TEXT NOT NULL CHECK(state IN ('waiting', 'held', 'lost')), holder TEXT NOT NULL DEFAULT '',
  UNIQUE(kind, value)) STRICT;
CREATE INDEX IF NOT EXISTS site_claim_unit ON site_claim(unit, kind);
CREATE INDEX IF NOT EXISTS site_claim_waiting ON site_claim(unit) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS site_claim_oldest ON site_claim(seq) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS site_alarm(id INTEGER PRIMARY KEY, unit TEXT NOT NULL, kind TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS site_state(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""
CODES: Mapping[Kind, Code] = {
    Kind.UID: Code.UID_DUPLICATE,
    Kind.SPKI: Code.SPKI_DUPLICATE,
    Kind.SERIAL: Code.REGISTRY_CONFLICT,
    Kind.CERTIFICATE: Code.REGISTRY_CONFLICT,
}
"""What a conflict is, by what two units have."""
WAITING = "site_claim INDEXED BY site_claim_waiting WHERE state = 'waiting'"
"""By unit; without its hint SQLite takes the other index, which is many times slower."""
LOCAL, SITE = "local", "site"
HIGH, FULL = "spool.high", "spool.full"
HIGH_PERCENT = 80


def of_uid(unit: str, uid: bytes) -> Claim:
    """The claim of a UID."""
    return Claim(Kind.UID, sha256(uid).digest(), unit)


def of_key(unit: str, spki_hash: bytes) -> Claim:
    """The claim of a public key, by the SHA-256 of its SubjectPublicKeyInfo."""
    return Claim(Kind.SPKI, spki_hash, unit)


def of_certificate(unit: str, issuer: bytes, serial: bytes) -> Claim:
    """The claim of a certificate's number, which its issuer may use once."""
    return Claim(Kind.CERTIFICATE, sha256(bytes([len(issuer)]) + issuer + serial).digest(), unit)


def of_identity(unit: str, identity: bytes) -> Claim:
    """The claim of the serial number in an IDENTITY object."""
    serial = se1_objects.decode_identity(identity).serial
    return Claim(Kind.SERIAL, sha256(serial.encode()).digest(), unit)


def of_certificates(unit: str, identity: bytes, places: Iterable[Certificate]) -> Iterator[Claim]:
    """What is claimed before a unit's reserved certificates are signed: its serial number and theirs."""
    yield of_identity(unit, identity)
    for place in places:
        yield of_certificate(unit, place.issuer, place.serial)


def wait(db: sqlite3.Connection, claims: Iterable[Claim]) -> None:
    """Write claims down to be sent; one that is known stays as it is."""
    db.executemany(
        "INSERT OR IGNORE INTO site_claim(kind, value, unit, state) VALUES (?, ?, ?, 'waiting')",
        [(one.kind.value, one.value, one.unit) for one in claims],
    )


def catch_up(db: sqlite3.Connection) -> None:
    """Write down what units had before this vault belonged to a plant's registry."""
    wait(db, _unclaimed(db))


def _unclaimed(db: sqlite3.Connection) -> Iterator[Claim]:
    without = "WHERE NOT EXISTS (SELECT 1 FROM site_claim s WHERE s.unit = u.unit AND s.kind = '{}')".format
    units = f"SELECT u.unit, u.uid FROM unit u {without(Kind.UID)} AND u.uid IS NOT NULL"  # noqa: S608
    yield from (of_uid(*row) for row in db.execute(units).fetchall())
    keys = f"SELECT u.unit, u.spki_hash FROM public_key u {without(Kind.SPKI)}"  # noqa: S608
    yield from (of_key(*row) for row in db.execute(keys).fetchall())
    certs = f"SELECT u.unit, u.issuer, u.serial FROM cert u {without(Kind.CERTIFICATE)}"  # noqa: S608
    yield from (of_certificate(*row) for row in db.execute(certs).fetchall())
    serials = (
        f"SELECT u.unit, u.object FROM identity u {without(Kind.SERIAL)}"  # noqa: S608
        " AND u.unit IN (SELECT unit FROM cert)"
    )
    yield from (of_identity(*row) for row in db.execute(serials).fetchall())


def batch(db: sqlite3.Connection, first: Collection[str], most: int) -> list[Claim]:
    """Claims that wait: those of units for which somebody waits, then the oldest."""
    of_unit = f"SELECT kind, value, unit FROM {WAITING} AND unit = ? ORDER BY seq"  # noqa: S608 - a constant
    oldest = (
        "SELECT kind, value, unit FROM site_claim INDEXED BY site_claim_oldest WHERE state = 'waiting'"
        " ORDER BY seq LIMIT ?"
    )
    rows = [row for unit in first for row in db.execute(of_unit, (unit,))]
    rows += db.execute(oldest, (most,)).fetchall()
    return [Claim(Kind(kind), value, unit) for kind, value, unit in dict.fromkeys(rows)][:most]


def held(db: sqlite3.Connection, claims: Iterable[Claim]) -> None:
    """The plant's registry has claims for us."""
    query = "UPDATE site_claim SET state = 'held' WHERE kind = ? AND value = ? AND state = 'waiting'"
    db.executemany(query, [(one.kind.value, one.value) for one in claims])


def claim_again(db: sqlite3.Connection, there: int) -> int:
    """Send all again if the registry has fewer claims than it confirmed; return how many it lacks."""
    (here,) = db.execute("SELECT count(*) FROM site_claim WHERE state = 'held'").fetchone()
    if here > there:
        db.execute("UPDATE site_claim SET state = 'waiting' WHERE state = 'held'")
    return max(0, int(here) - there)


def lose(db: sqlite3.Connection, claim: Claim, holder: Holder) -> None:
    """Another one has it, and keeps it."""
    query = "UPDATE site_claim SET state = 'lost', holder = ? WHERE kind = ? AND value = ?"
    db.execute(query, (f"unit {holder.unit} of {holder.vault}", claim.kind.value, claim.value))


def lost(db: sqlite3.Connection, unit: str) -> tuple[Kind, str] | None:
    """What a unit has that is another one's, and whose; UID before key before the rest."""
    query = "SELECT kind, holder FROM site_claim WHERE unit = ? AND state = 'lost' ORDER BY kind DESC LIMIT 1"
    row = db.execute(query, (unit,)).fetchone()
    return None if row is None else (Kind(row[0]), row[1])


def checked(db: sqlite3.Connection, unit: str) -> str:
    """`site` if every registry that there is has checked the unit; `local` as long as one has not."""
    query = "SELECT 1 FROM site_claim WHERE unit = ? AND state <> 'held'"
    return LOCAL if db.execute(query, (unit,)).fetchone() else SITE


def is_new(db: sqlite3.Connection, alarm: Alarm) -> bool:
    """Note an alarm of the plant's registry; False if it came before."""
    row = (alarm.id, alarm.claim.unit, alarm.claim.kind.value)
    return db.execute("INSERT OR IGNORE INTO site_alarm VALUES (?, ?, ?)", row).rowcount == 1


def disputed(db: sqlite3.Connection, unit: str) -> Code | None:
    """What a unit is disputed for, whether it was first or not; None if it is not."""
    query = (
        "SELECT kind FROM site_claim WHERE unit = ? AND state = 'lost'"
        " UNION SELECT kind FROM site_alarm WHERE unit = ? ORDER BY kind DESC LIMIT 1"
    )
    row = db.execute(query, (unit, unit)).fetchone()
    return None if row is None else CODES[Kind(row[0])]


def mark(db: sqlite3.Connection) -> bytes:
    """The mark by which the plant's registry knows this journal; drawn once."""
    new = secrets.token_bytes(16)
    db.execute("INSERT OR IGNORE INTO site_state VALUES ('mark', ?)", (new,))
    (kept,) = db.execute("SELECT value FROM site_state WHERE name = 'mark'").fetchone()
    return bytes(kept)


def name(db: sqlite3.Connection) -> str:
    """The name under which this vault has claimed; empty if it has not."""
    row = db.execute("SELECT value FROM site_state WHERE name = 'vault'").fetchone()
    return "" if row is None else bytes(row[0]).decode()


def keep_name(db: sqlite3.Connection, vault: str) -> None:
    """Note under which name this vault claims; it stays."""
    db.execute("INSERT OR IGNORE INTO site_state VALUES ('vault', ?)", (vault.encode(),))


def spooled(db: sqlite3.Connection) -> int:
    """Units of which something waits."""
    query = f"SELECT count(DISTINCT unit) FROM {WAITING}"  # noqa: S608 - a constant
    (count,) = db.execute(query).fetchone()
    return int(count)


def in_spool(db: sqlite3.Connection, unit: str) -> bool:
    """Whether something of a unit waits."""
    query = f"SELECT 1 FROM {WAITING} AND unit = ?"  # noqa: S608 - a constant
    return db.execute(query, (unit,)).fetchone() is not None


def level(db: sqlite3.Connection, most: int) -> list[Fact]:
    """Note how full the spool is, and return what is to be told; each level once on the way up."""
    count = spooled(db)
    steps = [
        name for name, least in ((HIGH, most * HIGH_PERCENT), (FULL, most * 100)) if count * 100 >= least
    ]
    row = db.execute("SELECT value FROM site_state WHERE name = 'level'").fetchone()
    before = int.from_bytes(row[0]) if row else 0
    if len(steps) != before:
        values = (bytes([len(steps)]),)
        db.execute("INSERT OR REPLACE INTO site_state VALUES ('level', ?)", values)
    return [Fact(name, data={"units": count, "most": most}) for name in steps[before:]]
