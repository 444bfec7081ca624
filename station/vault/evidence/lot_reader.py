"""What the journal holds of one lot, as files of a bundle; read beside its writer, at one moment."""

import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station.custody.checkpoint import Note
from station.custody.ledger import decoded
from station.errors import EvidenceError
from station.evidence.bundle import (
    ACTIONS,
    BALANCE,
    CHECKPOINT,
    LOT,
    ORDER,
    PERSONS,
    RECIPES,
    RELEASES,
    UNSEALED,
    BalanceSheet,
    LotSummary,
    SlotCertificate,
    UnsealedUnit,
)
from station.evidence.dual_control import ActionLine, PersonLine
from station.evidence.jws import Jws
from station.evidence.manifest import MANIFEST, DeviceLine
from station.evidence.strict import encoded
from station.vault.desk import people
from station.vault.desk.documents import Request, WorkOrder
from station.vault.desk.statement import opened
from station.vault.evidence import bundled_logs
from station.vault.evidence.bundled_logs import Shelf
from station.vault.pki import revoked


@dataclass(frozen=True)
class LotRow:
    """A lot as the journal has it."""

    lot: str
    product: str
    order: str
    quantity: int
    closed: bool


class LotReader:
    """Reads one lot under a checkpoint that covers all its leaves."""

    def __init__(self, db: sqlite3.Connection, logs: Sequence[Shelf], note: Note, lot: str) -> None:
        """`logs` are the vault's, the last under `note`; EvidenceError if it does not know the lot."""
        self._db, self._note = db, note
        query = "SELECT product, order_id, quantity, state = 'closed' FROM lot WHERE lot = ?"
        row = db.execute(query, (lot,)).fetchone()
        if row is None:
            raise EvidenceError(f"the vault knows no lot {lot}")
        product, order, quantity, closed = row
        self.row = LotRow(lot, product, order, quantity, bool(closed))
        self._end = logs[-1].base + note.checkpoint.size
        self._recipes = self._released(order)
        about = {"lot": [lot], "order": [order] if order else [], "recipe": [*self._recipes]}
        self._logs = bundled_logs.needed(db, logs, note, about)

    def covered(self) -> bool:
        """Whether the checkpoint covers all that the ledger tells of the lot."""
        rows = self._db.execute("SELECT entry FROM leaf WHERE idx >= ?", (self._end,))
        return not any(decoded(entry).lot == self.row.lot for (entry,) in rows)

    def small(self, mode: str) -> dict[str, bytes]:
        """Return the files that are one piece: summaries, checkpoint, units that were not sealed."""
        accounts = self._accounts()
        counts = {account: len(units) for account, units in accounts.items()}
        admitted = sum(counts.values())
        row = self.row
        summary = LotSummary(
            v=1,
            lot=row.lot,
            product=row.product,
            order=row.order,
            mode=mode,
            quantity=row.quantity,
            admitted=admitted,
            sealed=self._count("SELECT count(*) FROM record JOIN unit USING(unit) WHERE lot = ?"),
            certificates=self._count(
                "SELECT count(*) FROM cert JOIN unit USING(unit) WHERE lot = ? AND der IS NOT NULL"
            ),
            accounts=counts,
            closed=row.closed,
        )
        sheet = BalanceSheet(1, row.lot, row.quantity, row.quantity - admitted, accounts)
        return {
            LOT: encoded(summary),
            BALANCE: encoded(sheet),
            CHECKPOINT: self._note.encode(),
            UNSEALED: b"".join(encoded(unit) + b"\n" for unit in self._unsealed()),
        }

    def tiles(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files of the ledger under the checkpoint, by their names in the bundle."""
        for log in self._logs:
            yield from log.files()

    def write_manifest(self, folder: Path) -> Path:
        """Write a line for each sealed device, in the order of their leaves."""
        path = folder / MANIFEST
        with path.open("wb") as out:
            for line in self._lines():
                out.write(encoded(line) + b"\n")
        return path

    def _lines(self) -> Iterator[DeviceLine]:
        query = (
            "SELECT unit, jws, leaf FROM record JOIN unit USING(unit) WHERE lot = ? AND leaf < ?"
            " ORDER BY leaf"
        )
        for unit, jws, row in self._db.execute(query, (self.row.lot, self._end)):
            log = next(one for one in self._logs if row < one.end)
            yield DeviceLine(msgspec.json.decode(jws, type=Jws), self._certificates(unit), log.leaf(row))

    def _certificates(self, unit: str) -> tuple[str, ...]:
        query = "SELECT der FROM cert WHERE unit = ? AND der IS NOT NULL ORDER BY slot"
        return tuple(b64encode(der).decode() for (der,) in self._db.execute(query, (unit,)))

    def _unsealed(self) -> Iterator[UnsealedUnit]:
        query = (
            "SELECT unit, coalesce(uid, (SELECT uid FROM sorted_die WHERE sorted_die.unit = unit.unit"
            " AND sorted_die.state = 'loaded'), x''), account FROM unit"
            " WHERE lot = ? AND unit NOT IN (SELECT unit FROM record) ORDER BY unit"
        )
        issued = "SELECT slot, der FROM cert WHERE unit = ? AND der IS NOT NULL ORDER BY slot"
        for unit, uid, account in self._db.execute(query, (self.row.lot,)):
            found = self._db.execute(issued, (unit,))
            certs = tuple(SlotCertificate(slot, b64encode(der).decode()) for slot, der in found)
            yield UnsealedUnit(unit, uid.hex(), account, certs)

    def crl(self, issuer: bytes) -> bytes:
        """The last list of revoked certificates that an authority signed; empty if there is none."""
        row = self._db.execute(revoked.LAST, (issuer,)).fetchone()
        return b"" if row is None else bytes(row[3])

    def _released(self, order: str) -> dict[str, bytes]:
        """Recipes that were released and have fingerprints which the order allows, by their SHA-256."""
        row = self._db.execute("SELECT statement FROM work_order WHERE id = ?", (order,)).fetchone()
        allowed = () if row is None else opened(row[0]).read(WorkOrder).fingerprints
        rows = self._db.execute("SELECT hash, fingerprint, statement FROM recipe ORDER BY hash")
        return {digest: bytes(words) for digest, fingerprint, words in rows if fingerprint in allowed}

    def papers(self) -> dict[str, bytes]:
        """Return what persons signed: order, key releases, recipes, approvals of moves, and their cards."""
        found = {
            PERSONS: b"".join(encoded(line) + b"\n" for line in self._persons()),
            ACTIONS: b"".join(encoded(line) + b"\n" for line in self._actions()),
        }
        order = self._db.execute(
            "SELECT statement FROM work_order WHERE id = ?", (self.row.order,)
        ).fetchone()
        if order is not None:
            found[ORDER] = bytes(order[0])
        found |= {f"{RECIPES}/{digest}.json": words for digest, words in self._recipes.items()}
        query = "SELECT hash, statement FROM key_release WHERE order_id = ?"
        for digest, statement in self._db.execute(query, (self.row.order,)):
            found[f"{RELEASES}/{digest}.json"] = bytes(statement)
        return found

    def _persons(self) -> Iterator[PersonLine]:
        for person in people.everybody(self._db):
            query = "SELECT card FROM person WHERE person = ?"
            (card,) = self._db.execute(query, (person.person,)).fetchone()
            yield PersonLine(person.person, tuple(sorted(person.roles)), card.decode())

    def _actions(self) -> Iterator[ActionLine]:
        """Actions on the lot and its recipes that were approved and done, in the order of their hashes."""
        query = "SELECT action_hash, request FROM proposal WHERE state = 'used' ORDER BY action_hash"
        given = "SELECT statement FROM approval WHERE action_hash = ? AND used_by IS NOT NULL ORDER BY person"
        for digest, request in self._db.execute(query):
            if opened(request).read(Request).target in {self.row.lot, *self._recipes}:
                approvals = tuple(one.decode() for (one,) in self._db.execute(given, (digest,)))
                yield ActionLine(request.decode(), approvals)

    def _accounts(self) -> dict[str, tuple[str, ...]]:
        query = "SELECT account, unit FROM unit WHERE lot = ? ORDER BY account, unit"
        found: dict[str, list[str]] = {}
        for account, unit in self._db.execute(query, (self.row.lot,)):
            found.setdefault(account, []).append(unit)
        return {account: tuple(units) for account, units in found.items()}

    def _count(self, query: str) -> int:
        return int(self._db.execute(query, (self.row.lot,)).fetchone()[0])
